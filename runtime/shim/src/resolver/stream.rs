//! In: TCP connections to the resolver. Out: the questions on them, and the answers back, each with its two bytes of length
//! (RFC 1035, 4.2.2).
//! **Invariant:** clients, their buffers and the time they may stay idle are bounded; one of them never delays another.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;

/// Clients at once; a further one takes the place of the one that was idle longest.
const MOST: usize = 32;
/// Milliseconds without a byte after which a client is dropped.
const IDLE: u64 = 10_000;
/// Bytes of answers a client may leave unread before its questions are not read any more.
const MOST_UNSENT: usize = 128 * 1024;
/// Bytes read at once.
const CHUNK: usize = 4096;

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamToken {
    /// A new client.
    Listener,
    /// The client of this number.
    Client(u64),
}

#[derive(Debug)]
struct Client {
    number: u64,
    socket: OwnedFd,
    received: Vec<u8>,
    unsent: Vec<u8>,
    active: u64,
}

/// The resolver's TCP side.
#[derive(Debug)]
pub(super) struct Streams {
    listener: OwnedFd,
    clients: Vec<Client>,
    next_number: u64,
}

impl Streams {
    /// `listener` listens and does not block.
    pub(super) fn new(listener: OwnedFd) -> Self {
        Streams {
            listener,
            clients: Vec::new(),
            next_number: 1,
        }
    }

    pub(super) fn interest<'own>(&'own self, add: &mut dyn FnMut(BorrowedFd<'own>, PollFlags, StreamToken)) {
        add(self.listener.as_fd(), PollFlags::IN, StreamToken::Listener);
        for client in &self.clients {
            let mut flags = PollFlags::empty();
            if client.unsent.len() < MOST_UNSENT {
                flags |= PollFlags::IN;
            }
            if !client.unsent.is_empty() {
                flags |= PollFlags::OUT;
            }
            add(client.socket.as_fd(), flags, StreamToken::Client(client.number));
        }
    }

    /// When [`Self::timer`] has something to do.
    pub(super) fn due(&self) -> Option<u64> {
        self.clients.iter().map(|client| client.active + IDLE).min()
    }

    /// Drops idle clients; returns their numbers.
    pub(super) fn timer(&mut self, now: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        self.clients.retain(|client| {
            let idle = now >= client.active + IDLE;
            if idle {
                gone.push(client.number);
            }
            !idle
        });
        gone
    }

    /// Takes a new client.
    pub(super) fn accept(&mut self, now: u64) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = rustix::net::accept_with(&self.listener, flags) else {
            return;
        };
        if self.clients.len() >= MOST
            && let Some(idlest) = (0..self.clients.len()).min_by_key(|index| self.clients[*index].active)
        {
            self.clients.swap_remove(idlest);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.clients.push(Client {
            number,
            socket,
            received: Vec::new(),
            unsent: Vec::new(),
            active: now,
        });
    }

    /// Reads and writes what a client allows; its whole questions, or none when it is gone.
    pub(super) fn ready(&mut self, number: u64, now: u64) -> Option<Vec<Vec<u8>>> {
        let index = self.clients.iter().position(|client| client.number == number)?;
        let client = &mut self.clients[index];
        client.active = now;
        if client.flush() && client.read() {
            Some(client.take_questions())
        } else {
            self.clients.swap_remove(index);
            None
        }
    }

    /// Sends an answer to a client, if it is still there.
    pub(super) fn answer(&mut self, number: u64, message: &[u8]) {
        let Some(index) = self.clients.iter().position(|client| client.number == number) else {
            return;
        };
        let Ok(length) = u16::try_from(message.len()) else {
            return;
        };
        let client = &mut self.clients[index];
        client.unsent.extend_from_slice(&length.to_be_bytes());
        client.unsent.extend_from_slice(message);
        if !client.flush() {
            self.clients.swap_remove(index);
        }
    }
}

impl Client {
    /// False when the client is gone.
    fn flush(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match rustix::net::send(&self.socket, &self.unsent, rustix::net::SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(Errno::AGAIN | Errno::INTR) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads once; false when the client is gone.
    fn read(&mut self) -> bool {
        if self.unsent.len() >= MOST_UNSENT {
            return true;
        }
        self.received.reserve(CHUNK);
        match rustix::io::read(&self.socket, rustix::buffer::spare_capacity(&mut self.received)) {
            Ok(0) => false,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    fn take_questions(&mut self) -> Vec<Vec<u8>> {
        let mut questions = Vec::new();
        let mut taken = 0;
        while let Some((prefix, rest)) = self.received[taken..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some(message) = rest.get(..length) else { break };
            questions.push(message.to_vec());
            taken += 2 + length;
        }
        self.received.drain(..taken);
        questions
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn streams() -> (Streams, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (Streams::new(listener.into()), address)
    }

    #[test]
    fn questions_in_pieces_and_many_at_once_come_out_whole() {
        let (mut streams, address) = streams();
        let mut client = TcpStream::connect(address).unwrap();
        streams.accept(0);
        client.write_all(&[0, 3, b'a']).unwrap();
        assert_eq!(streams.ready(1, 1), Some(vec![]));
        client.write_all(&[b'b', b'c', 0, 0, 0, 1, b'z', 0]).unwrap();
        assert_eq!(
            streams.ready(1, 2),
            Some(vec![b"abc".to_vec(), vec![], b"z".to_vec()])
        );
        streams.answer(1, b"answer");
        let mut answer = [0; 8];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"\x00\x06answer");
        drop(client);
        assert_eq!(streams.ready(1, 3), None, "gone");
        assert_eq!(streams.due(), None);
    }

    #[test]
    fn silent_clients_are_dropped_and_never_keep_others_out() {
        let (mut streams, address) = streams();
        let silent: Vec<_> = (0..MOST as u64)
            .map(|at| {
                let client = TcpStream::connect(address).unwrap();
                streams.accept(at);
                client
            })
            .collect();
        let mut late = TcpStream::connect(address).unwrap();
        streams.accept(100);
        assert_eq!(streams.clients.len(), MOST);
        late.write_all(&[0, 1, b'q']).unwrap();
        assert_eq!(streams.ready(MOST as u64 + 1, 101), Some(vec![b"q".to_vec()]));
        assert_eq!(streams.timer(IDLE + 50).len(), MOST - 1, "all but the late one");
        assert_eq!(streams.clients.len(), 1);
        drop(silent);
    }

    #[test]
    fn a_client_that_never_reads_is_not_read_from() {
        let (mut streams, address) = streams();
        let _client = TcpStream::connect(address).unwrap();
        streams.accept(0);
        let answer = vec![0; 60_000];
        for _ in 0..200 {
            if streams.clients[0].unsent.len() >= MOST_UNSENT {
                break;
            }
            streams.answer(1, &answer);
        }
        let mut flags = Vec::new();
        streams.interest(&mut |_, wanted, _| flags.push(wanted));
        assert_eq!(flags[1], PollFlags::OUT);
    }
}
