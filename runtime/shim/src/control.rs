//! In: connections to `control.sock`. Out: their requests, and the replies back.
//! **Invariant:** only root and the shim's own user are heard (`SO_PEERCRED`); a client that reads no replies is dropped, never waited for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::{AtFlags, Mode};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, sockopt};

use crate::error::ShimError;
use crate::packet;
use crate::protocol::{Reply, Request};

/// Connections at once; more are refused.
const MOST: usize = 512;
/// Connections the kernel keeps for us while we are busy.
const BACKLOG: i32 = 256;

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlToken {
    /// A new connection.
    Listener,
    /// The connection of this number.
    Connection(u64),
}

/// What a connection was promised.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// Replies of [`Reply::Exited`] owed at the end that no restart follows.
    pub(crate) exits: u32,
    /// Replies of [`Reply::Started`] owed at the next start.
    pub(crate) restarts: u32,
    /// A reply about health is owed.
    pub(crate) healthy: bool,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    socket: OwnedFd,
    promises: Promises,
}

/// The listening socket and everybody connected.
#[derive(Debug)]
pub(crate) struct Control {
    listener: Option<OwnedFd>,
    connections: Vec<Connection>,
    next_number: u64,
}

/// What reading a connection brought.
pub(crate) enum Incoming {
    /// Nothing yet.
    Nothing,
    /// A request and its descriptors.
    Request(Box<Request>, Vec<OwnedFd>),
    /// A request of a later version.
    Unknown,
    /// The client is gone.
    Closed,
}

impl Control {
    /// Listens nowhere.
    pub(crate) fn closed() -> Self {
        Control {
            listener: None,
            connections: Vec::new(),
            next_number: 1,
        }
    }

    /// Listens on `control.sock` in the run directory, in place of what a shim before us left there.
    pub(crate) fn listen(run_directory: BorrowedFd<'_>) -> Result<Self, ShimError> {
        let name = crate::CONTROL_SOCKET;
        crate::record::remove(run_directory, name)
            .map_err(ShimError::system("remove the old control.sock"))?;
        let socket =
            packet::socket(SocketFlags::NONBLOCK).map_err(ShimError::system("make the control socket"))?;
        let address =
            packet::control_address(run_directory).map_err(ShimError::system("name control.sock"))?;
        rustix::net::bind(&socket, &address).map_err(ShimError::system("bind control.sock"))?;
        // Nobody connects before listen(2), and the directory is 0700 anyway.
        rustix::fs::chmodat(run_directory, name, Mode::from_raw_mode(0o600), AtFlags::empty())
            .map_err(ShimError::system("protect control.sock"))?;
        rustix::net::listen(&socket, BACKLOG).map_err(ShimError::system("listen on control.sock"))?;
        Ok(Control {
            listener: Some(socket),
            ..Self::closed()
        })
    }

    /// Takes no further connections; those that are there go on.
    pub(crate) fn stop_listening(&mut self, run_directory: BorrowedFd<'_>) {
        self.listener = None;
        // The engine may have removed the whole directory by now.
        let _gone = crate::record::remove(run_directory, crate::CONTROL_SOCKET);
    }

    /// What to wait for.
    pub(crate) fn interest<'own>(&'own self, add: &mut dyn FnMut(BorrowedFd<'own>, PollFlags, ControlToken)) {
        if let Some(listener) = &self.listener {
            add(listener.as_fd(), PollFlags::IN, ControlToken::Listener);
        }
        for connection in &self.connections {
            add(
                connection.socket.as_fd(),
                PollFlags::IN,
                ControlToken::Connection(connection.number),
            );
        }
    }

    /// Takes one connection, if it may speak to us.
    pub(crate) fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = rustix::net::accept_with(listener, flags) else {
            return;
        };
        let Ok(peer) = sockopt::socket_peercred(&socket) else {
            return;
        };
        let allowed = peer.uid.is_root() || peer.uid == rustix::process::geteuid();
        if !allowed || self.connections.len() >= MOST {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.connections.push(Connection {
            number,
            socket,
            promises: Promises::default(),
        });
    }

    /// Reads one request. A closed connection is forgotten by this.
    pub(crate) fn receive(&mut self, number: u64) -> Incoming {
        let Some(connection) = self.find(number) else {
            return Incoming::Closed;
        };
        match packet::receive::<Request>(&connection.socket, RecvFlags::DONTWAIT) {
            Ok(Some((request, descriptors))) => Incoming::Request(Box::new(request), descriptors),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Incoming::Nothing,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Incoming::Unknown,
            Ok(None) | Err(_) => {
                self.close(number);
                Incoming::Closed
            }
        }
    }

    /// Replies. A client that cannot take it is dropped; false then.
    pub(crate) fn reply(&mut self, number: u64, reply: &Reply, descriptors: &[BorrowedFd<'_>]) -> bool {
        let Some(connection) = self.find(number) else {
            return false;
        };
        let sent = packet::send(&connection.socket, reply, descriptors, SendFlags::DONTWAIT).is_ok();
        if !sent {
            self.close(number);
        }
        sent
    }

    /// What this connection was promised, to change it.
    pub(crate) fn promises(&mut self, number: u64) -> Option<&mut Promises> {
        self.find(number).map(|connection| &mut connection.promises)
    }

    /// Keeps promises: `due` takes what is to be kept now from each connection's and gives the replies for it.
    pub(crate) fn keep(&mut self, reply: &Reply, mut due: impl FnMut(u64, &mut Promises) -> u32) {
        self.connections.retain_mut(|connection| {
            let count = due(connection.number, &mut connection.promises);
            (0..count).all(|_| packet::send(&connection.socket, reply, &[], SendFlags::DONTWAIT).is_ok())
        });
    }

    fn find(&mut self, number: u64) -> Option<&mut Connection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.number == number)
    }

    fn close(&mut self, number: u64) {
        self.connections.retain(|connection| connection.number != number);
    }
}
