//! In: requests of the engine. Out: the replies of one container's shim.
//! **Invariant:** nothing here waits longer than its caller said, whatever state the shim is in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

use crate::error::ShimError;
use crate::packet;
use crate::protocol::{Reply, Request};

/// How long connecting to a shim, or handing it a packet, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to one shim. Safe to poll for reading by [`AsFd`].
#[derive(Debug)]
pub struct ShimClient {
    socket: OwnedFd,
}

impl ShimClient {
    /// Connects through an opened run directory (`run/containers/<id>`).
    /// [`ShimError::NotRunning`] when no shim listens there.
    pub fn connect(run_directory: BorrowedFd<'_>) -> Result<Self, ShimError> {
        let address =
            packet::control_address(run_directory).map_err(ShimError::system("name control.sock"))?;
        let socket = packet::socket(SocketFlags::empty()).map_err(ShimError::system("make a socket"))?;
        sockopt::set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))
            .map_err(ShimError::system("limit the wait for a shim"))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => Ok(ShimClient { socket }),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::CONNREFUSED) => Err(ShimError::NotRunning),
            Err(rustix::io::Errno::AGAIN) => Err(ShimError::TimedOut),
            Err(error) => Err(ShimError::system("connect to control.sock")(error)),
        }
    }

    /// Sends a request with the descriptors it needs (copies; the caller keeps its own).
    pub fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), ShimError> {
        packet::send(&self.socket, request, descriptors, SendFlags::empty())
            .map_err(|error| broken("send to the shim", error))
    }

    /// The next reply and what came with it; `None` waits for ever.
    pub fn receive(&self, timeout: Option<Duration>) -> Result<(Reply, Vec<OwnedFd>), ShimError> {
        receive_within(&self.socket, timeout)
    }

    /// Sends a request and returns the first reply. Failures the shim reports are a [`Reply::Failed`], not an error.
    pub fn request(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> Result<(Reply, Vec<OwnedFd>), ShimError> {
        self.send(request, descriptors)?;
        self.receive(timeout)
    }
}

impl AsFd for ShimClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One reply from `socket`; a zero timeout is taken for the shortest there is.
pub(crate) fn receive_within(
    socket: &OwnedFd,
    timeout: Option<Duration>,
) -> Result<(Reply, Vec<OwnedFd>), ShimError> {
    let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
    sockopt::set_socket_timeout(socket, Timeout::Recv, timeout)
        .map_err(ShimError::system("limit the wait for a reply"))?;
    match packet::receive(socket, RecvFlags::empty()) {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(ShimError::Closed),
        Err(error) => Err(broken("receive from the shim", error)),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the standard library adds kinds at any time"
)]
fn broken(step: &str, error: io::Error) -> ShimError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ShimError::Closed,
        io::ErrorKind::WouldBlock => ShimError::TimedOut,
        io::ErrorKind::InvalidData => ShimError::Record {
            name: "the shim's reply".into(),
            problem: error.to_string(),
        },
        _ => ShimError::system(step)(error),
    }
}
