//! In: questions about names that are not ours. Out: the host's servers' answers, asked from the host's network namespace.
//! **Invariant:** an answer is taken only from the server asked, for the id and the question sent; the table is bounded, and
//! every question gets an answer, SERVFAIL at the latest after four seconds.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_network::dns::message;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::netns::Namespaces;

/// Milliseconds after which the next server is asked as well.
const RACE_AFTER: u64 = 300;
/// Milliseconds after which a question is given up.
const GIVE_UP_AFTER: u64 = 4000;
/// Questions under way at once; more are answered SERVFAIL.
const MOST: usize = 256;
/// Longest message over TCP and its length prefix, in bytes.
const LONGEST: usize = 2 + 65_535;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A datagram's sender.
    Datagram(SocketAddr),
    /// A TCP client, by its number.
    Stream(u64),
}

/// An answer on its way back, under the asker's own id.
pub(super) struct Answer {
    /// Who asked.
    pub(super) asker: Asker,
    /// The message, without length prefix.
    pub(super) message: Vec<u8>,
}

/// One question under way.
#[derive(Debug)]
struct Forward {
    asker: Asker,
    question: Vec<u8>,
    attempts: Vec<Attempt>,
    next_server: usize,
    race_at: u64,
    deadline: u64,
    /// The best of the bad answers, kept in case no server has a better one.
    fallback: Option<Vec<u8>>,
}

/// The question put to one server.
#[derive(Debug)]
struct Attempt {
    socket: OwnedFd,
    /// The question under this attempt's own id.
    sent: Vec<u8>,
    /// What is still to be sent over TCP.
    unsent: Vec<u8>,
    /// What came over TCP so far.
    received: Vec<u8>,
}

/// Which attempt is ready: forward and attempt, as of the latest [`Forwarder::interest`].
pub(super) type ForwardToken = (usize, usize);

/// Everything asked of the host's servers.
#[derive(Debug)]
pub(super) struct Forwarder {
    servers: Vec<SocketAddr>,
    under_way: Vec<Forward>,
}

/// What reading an attempt came to.
enum Outcome {
    /// Nothing yet.
    Wait,
    /// This answer.
    Answer(Vec<u8>),
    /// This server will not answer.
    Failed,
}

impl Forwarder {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Forwarder {
            servers,
            under_way: Vec::new(),
        }
    }

    /// Asks the first server; an answer at once only when it cannot be asked.
    pub(super) fn ask(
        &mut self,
        question: &[u8],
        asker: Asker,
        namespaces: &Namespaces,
        now: u64,
    ) -> Option<Answer> {
        if self.under_way.len() >= MOST || self.servers.is_empty() {
            return Some(Answer {
                asker,
                message: server_failure(question),
            });
        }
        let mut forward = Forward {
            asker,
            question: question.to_vec(),
            attempts: Vec::new(),
            next_server: 0,
            race_at: now,
            deadline: now + GIVE_UP_AFTER,
            fallback: None,
        };
        forward.ask_next(&self.servers, namespaces, now);
        if forward.attempts.is_empty() {
            return Some(forward.give_up());
        }
        self.under_way.push(forward);
        None
    }

    /// What to wait for.
    pub(super) fn interest<'own>(&'own self, add: &mut dyn FnMut(BorrowedFd<'own>, PollFlags, ForwardToken)) {
        for (index, forward) in self.under_way.iter().enumerate() {
            for (number, attempt) in forward.attempts.iter().enumerate() {
                let flags = if attempt.unsent.is_empty() {
                    PollFlags::IN
                } else {
                    PollFlags::OUT
                };
                add(attempt.socket.as_fd(), flags, (index, number));
            }
        }
    }

    /// When [`Self::timer`] has something to do.
    pub(super) fn due(&self) -> Option<u64> {
        self.under_way
            .iter()
            .map(|forward| forward.race_at.min(forward.deadline))
            .min()
    }

    /// An attempt can be read or written. Finished questions keep their place until [`Self::timer`], so that tokens stay valid.
    pub(super) fn ready(&mut self, token: ForwardToken, namespaces: &Namespaces, now: u64) -> Option<Answer> {
        let forward = self.under_way.get_mut(token.0)?;
        let outcome = forward.attempts.get_mut(token.1)?.advance();
        let answer = match outcome {
            Outcome::Wait => return None,
            Outcome::Answer(answer) if !is_refusal(&answer) => Some(answer),
            Outcome::Answer(answer) => {
                forward.fallback.get_or_insert(answer);
                None
            }
            Outcome::Failed => None,
        };
        if let Some(mut message) = answer {
            message[..2].copy_from_slice(&forward.question[..2]);
            forward.attempts.clear();
            forward.deadline = 0;
            return Some(Answer {
                asker: forward.asker,
                message,
            });
        }
        forward.attempts.remove(token.1);
        forward.ask_next(&self.servers, namespaces, now);
        if forward.attempts.is_empty() {
            forward.deadline = 0;
            return Some(forward.give_up());
        }
        None
    }

    /// Time passed: the next server is asked as well, or the question given up.
    pub(super) fn timer(&mut self, namespaces: &Namespaces, now: u64) -> Vec<Answer> {
        let mut answers = Vec::new();
        let servers = &self.servers;
        self.under_way.retain_mut(|forward| {
            if forward.deadline == 0 {
                return false;
            }
            if now >= forward.deadline {
                answers.push(forward.give_up());
                return false;
            }
            if now >= forward.race_at {
                forward.ask_next(servers, namespaces, now);
            }
            true
        });
        answers
    }

    /// Forgets what a TCP client that is gone had asked.
    pub(super) fn forget(&mut self, asker: Asker) {
        for forward in self.under_way.iter_mut().filter(|forward| forward.asker == asker) {
            forward.attempts.clear();
            forward.deadline = 0;
        }
    }
}

impl Forward {
    /// Asks the next server that can be asked, if there is one.
    fn ask_next(&mut self, servers: &[SocketAddr], namespaces: &Namespaces, now: u64) {
        self.race_at = self.deadline;
        while let Some(server) = servers.get(self.next_server) {
            self.next_server += 1;
            let stream = matches!(self.asker, Asker::Stream(_));
            let opened = namespaces.in_host(|| Attempt::open(*server, &self.question, stream));
            if let Ok(Ok(attempt)) = opened {
                self.attempts.push(attempt);
                self.race_at = self.deadline.min(now + RACE_AFTER);
                return;
            }
        }
    }

    fn give_up(&mut self) -> Answer {
        let mut message = self
            .fallback
            .take()
            .unwrap_or_else(|| server_failure(&self.question));
        message[..2].copy_from_slice(&self.question[..2]);
        Answer {
            asker: self.asker,
            message,
        }
    }
}

impl Attempt {
    /// A connected socket from a port of the kernel's choice, with an id of its own: an answer from elsewhere never arrives.
    fn open(server: SocketAddr, question: &[u8], stream: bool) -> Result<Self, Errno> {
        let family = if server.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let kind = if stream {
            SocketType::STREAM
        } else {
            SocketType::DGRAM
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        match rustix::net::connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let mut id = [0; 2];
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
        let mut sent = question.to_vec();
        sent[..2].copy_from_slice(&id);
        let mut unsent = Vec::new();
        if !stream {
            rustix::net::send(&socket, &sent, rustix::net::SendFlags::NOSIGNAL)?;
        } else if let Ok(length) = u16::try_from(sent.len()) {
            unsent.extend_from_slice(&length.to_be_bytes());
            unsent.extend_from_slice(&sent);
        }
        Ok(Attempt {
            socket,
            sent,
            unsent,
            received: Vec::new(),
        })
    }

    fn advance(&mut self) -> Outcome {
        if !self.unsent.is_empty() {
            match rustix::net::send(&self.socket, &self.unsent, rustix::net::SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Outcome::Failed,
            }
            return Outcome::Wait;
        }
        let stream = !self.received.is_empty()
            || rustix::net::sockopt::socket_type(&self.socket) == Ok(SocketType::STREAM);
        // A datagram may be as long as EDNS lets it; untouched capacity costs no memory.
        let mut bytes = Vec::with_capacity(LONGEST);
        let read = rustix::io::read(&self.socket, rustix::buffer::spare_capacity(&mut bytes));
        match read {
            Ok(0) if stream => return Outcome::Failed,
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Outcome::Wait,
            Err(_) => return Outcome::Failed,
        }
        if stream {
            self.received.append(&mut bytes);
            let Some((prefix, message)) = self.received.split_first_chunk::<2>() else {
                return Outcome::Wait;
            };
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some(message) = message.get(..length) else {
                return if self.received.len() > LONGEST {
                    Outcome::Failed
                } else {
                    Outcome::Wait
                };
            };
            bytes = message.to_vec();
        }
        if message::answers(&bytes, &self.sent) {
            bytes.shrink_to_fit();
            Outcome::Answer(bytes)
        } else if stream {
            Outcome::Failed
        } else {
            Outcome::Wait
        }
    }
}

/// Answers after which another server is worth asking: SERVFAIL, NOTIMP and REFUSED.
fn is_refusal(message: &[u8]) -> bool {
    message
        .get(3)
        .is_some_and(|flags| matches!(flags & 0x0F, 2 | 4 | 5))
}

/// SERVFAIL for a question that was understood well enough to be forwarded.
fn server_failure(question: &[u8]) -> Vec<u8> {
    message::server_failure(question).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    fn question(name: &str) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend_from_slice(label.as_bytes());
        }
        message.extend_from_slice(&[0, 0, 1, 0, 1]);
        message
    }

    fn server() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn reply_from(server: &UdpSocket, flags: [u8; 2]) {
        let mut buffer = [0; 512];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        buffer[2] = flags[0];
        buffer[3] = flags[1];
        server.send_to(&buffer[..length], from).unwrap();
    }

    fn wait(forwarder: &mut Forwarder, namespaces: &Namespaces, now: u64) -> Option<Answer> {
        let mut tokens = Vec::new();
        let mut polls = Vec::new();
        forwarder.interest(&mut |descriptor, flags, token| {
            polls.push(rustix::event::PollFd::from_borrowed_fd(descriptor, flags));
            tokens.push(token);
        });
        rustix::event::poll(
            &mut polls,
            Some(&rustix::event::Timespec {
                tv_sec: 5,
                tv_nsec: 0,
            }),
        )
        .unwrap();
        let ready: Vec<_> = polls
            .iter()
            .zip(&tokens)
            .filter(|(poll, _)| !poll.revents().is_empty())
            .map(|(_, token)| *token)
            .collect();
        drop(polls);
        ready
            .into_iter()
            .find_map(|token| forwarder.ready(token, namespaces, now))
    }

    const ASKER: Asker = Asker::Stream(7);
    const DATAGRAM: Asker = Asker::Datagram(SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        9,
    ));

    #[test]
    fn an_answer_comes_back_under_the_askers_id() {
        let namespaces = Namespaces::current().unwrap();
        let (socket, address) = server();
        let mut forwarder = Forwarder::new(vec![address]);
        assert!(
            forwarder
                .ask(&question("example.org"), DATAGRAM, &namespaces, 0)
                .is_none()
        );
        reply_from(&socket, [0x81, 0x80]);
        let answer = wait(&mut forwarder, &namespaces, 1).expect("an answer");
        assert_eq!(answer.message[..4], [0x12, 0x34, 0x81, 0x80]);
        assert!(forwarder.timer(&namespaces, 2).is_empty());
        assert_eq!(forwarder.due(), None);
    }

    #[test]
    fn a_refusing_server_gives_way_to_the_next_and_a_silent_one_is_raced() {
        let namespaces = Namespaces::current().unwrap();
        let (silent, silent_address) = server();
        let (refusing, refusing_address) = server();
        let (good, good_address) = server();
        let mut forwarder = Forwarder::new(vec![silent_address, refusing_address, good_address]);
        assert!(
            forwarder
                .ask(&question("example.org"), DATAGRAM, &namespaces, 0)
                .is_none()
        );
        assert_eq!(forwarder.due(), Some(RACE_AFTER));
        forwarder.timer(&namespaces, RACE_AFTER);
        reply_from(&refusing, [0x81, 0x85]);
        assert!(wait(&mut forwarder, &namespaces, RACE_AFTER + 1).is_none());
        reply_from(&good, [0x81, 0x83]);
        let answer = wait(&mut forwarder, &namespaces, RACE_AFTER + 2).expect("the good answer");
        assert_eq!(answer.message[3] & 15, 3, "NXDOMAIN is an answer");
        drop(silent);
    }

    #[test]
    fn four_seconds_of_silence_are_a_server_failure() {
        let namespaces = Namespaces::current().unwrap();
        let (_silent, address) = server();
        let mut forwarder = Forwarder::new(vec![address]);
        let asked = question("example.org");
        assert!(forwarder.ask(&asked, DATAGRAM, &namespaces, 10).is_none());
        assert!(forwarder.timer(&namespaces, 4009).is_empty());
        let answers = forwarder.timer(&namespaces, 4010);
        assert_eq!(answers[0].message[..2], [0x12, 0x34]);
        assert_eq!(answers[0].message[3] & 15, 2, "SERVFAIL");
    }

    #[test]
    fn forged_answers_are_not_taken() {
        let namespaces = Namespaces::current().unwrap();
        let (socket, address) = server();
        let mut forwarder = Forwarder::new(vec![address]);
        assert!(
            forwarder
                .ask(&question("example.org"), DATAGRAM, &namespaces, 0)
                .is_none()
        );
        let mut asked = [0; 512];
        let (length, from) = socket.recv_from(&mut asked).unwrap();
        asked[2] = 0x81;
        let mut other_id = asked;
        other_id[0] ^= 1;
        socket.send_to(&other_id[..length], from).unwrap();
        assert!(wait(&mut forwarder, &namespaces, 1).is_none(), "another id");
        let mut other_question = asked;
        other_question[13] ^= 1;
        socket.send_to(&other_question[..length], from).unwrap();
        assert!(wait(&mut forwarder, &namespaces, 1).is_none(), "another question");
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        asked[3] = 0x83;
        stranger.send_to(&asked[..length], from).unwrap();
        asked[3] = 0x80;
        socket.send_to(&asked[..length], from).unwrap();
        let answer = wait(&mut forwarder, &namespaces, 1).expect("the real one");
        assert_eq!(answer.message[3] & 15, 0, "not the stranger's");
    }

    #[test]
    fn no_server_and_a_full_table_answer_at_once() {
        let namespaces = Namespaces::current().unwrap();
        assert!(
            Forwarder::new(Vec::new())
                .ask(&question("a"), ASKER, &namespaces, 0)
                .is_some()
        );
        let (_silent, address) = server();
        let mut forwarder = Forwarder::new(vec![address]);
        for _ in 0..MOST {
            assert!(forwarder.ask(&question("a"), DATAGRAM, &namespaces, 0).is_none());
        }
        assert!(forwarder.ask(&question("a"), DATAGRAM, &namespaces, 0).is_some());
    }

    #[test]
    fn over_tcp_the_answer_may_come_in_pieces() {
        use std::io::{Read, Write};
        let namespaces = Namespaces::current().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut forwarder = Forwarder::new(vec![listener.local_addr().unwrap()]);
        let asked = question("example.org");
        assert!(forwarder.ask(&asked, ASKER, &namespaces, 0).is_none());
        assert!(wait(&mut forwarder, &namespaces, 0).is_none(), "sends");
        let (mut stream, _) = listener.accept().unwrap();
        let mut frame = vec![0; asked.len() + 2];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([frame[0], frame[1]])), asked.len());
        frame[4] = 0x81;
        stream.write_all(&frame[..5]).unwrap();
        assert!(wait(&mut forwarder, &namespaces, 1).is_none(), "a piece");
        stream.write_all(&frame[5..]).unwrap();
        let answer = wait(&mut forwarder, &namespaces, 1).expect("the whole");
        assert_eq!(answer.message.len(), asked.len());
        assert_eq!(answer.message[..2], [0x12, 0x34]);
    }
}
