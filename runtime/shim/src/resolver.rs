//! In: what the container asks of 127.0.0.11. Out: answers from its networks' zone files, or from the host's servers.
//! **Invariant:** the names of a container's own networks never leave the host, and those of internal networks alone are never forwarded.

mod forward;
mod stream;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use rcompose_container::spec::ResolverSpec;
use rcompose_network::dns::decision::{self, Transport};
use rcompose_network::dns::zone::Zone;
use rcompose_network::{Attachment, ZoneFile, sandbox};
use rustix::event::PollFlags;

use crate::error::ShimError;
use crate::netns::Namespaces;
use forward::{Answer, Asker, ForwardToken, Forwarder};
use stream::{StreamToken, Streams};

/// Longest datagram read, in bytes; what our answers say we take (EDNS).
const DATAGRAM: usize = 4096;
/// Datagrams answered before others get their turn.
const BURST: usize = 64;
const DNS_PORT: u16 = 53;

/// Something of the resolver that can be waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ResolverToken {
    /// Datagrams.
    Datagram,
    /// TCP.
    Stream(StreamToken),
    /// A server of the host.
    Forward(ForwardToken),
}

/// The resolver of one container.
#[derive(Debug)]
pub(crate) struct Resolver {
    datagrams: UdpSocket,
    port: u16,
    streams: Streams,
    zones: Vec<ZoneFile>,
    forwarder: Forwarder,
    /// Grows with each query, so that several addresses of a name take turns.
    counter: u32,
}

impl Resolver {
    /// Binds in the network namespace the shim is in and leads port 53 there; `port` as an earlier shim had it.
    pub(crate) fn bind(
        spec: &ResolverSpec,
        attachments: &[Attachment],
        port: Option<u16>,
    ) -> Result<Self, ShimError> {
        let (datagrams, listener) = sandbox::bind_resolver(port)?;
        let nonblocking = || ShimError::system("prepare the resolver");
        datagrams.set_nonblocking(true).map_err(nonblocking())?;
        listener.set_nonblocking(true).map_err(nonblocking())?;
        let bound = datagrams.local_addr().map_err(nonblocking())?.port();
        let stream_port = listener.local_addr().map_err(nonblocking())?.port();
        if port.is_none() {
            sandbox::redirect_dns(bound, stream_port)?;
        }
        Ok(Self::on(datagrams, listener, bound, spec, attachments))
    }

    fn on(
        datagrams: UdpSocket,
        listener: TcpListener,
        port: u16,
        spec: &ResolverSpec,
        attachments: &[Attachment],
    ) -> Self {
        let zones = attachments
            .iter()
            .map(|attachment| ZoneFile::new(&attachment.zone_path, attachment.internal))
            .collect();
        let servers = spec
            .upstreams
            .iter()
            .filter_map(|server| server_address(server))
            .collect();
        let mut resolver = Resolver {
            datagrams,
            port,
            streams: Streams::new(listener.into()),
            zones,
            forwarder: Forwarder::new(servers),
            counter: 0,
        };
        resolver.reload();
        resolver
    }

    /// The port of 127.0.0.11 both sockets are bound to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Reads zone files that were replaced. One that is missing or damaged leaves its last good content in force.
    pub(crate) fn reload(&mut self) {
        for zone in &mut self.zones {
            let _last_good_stays = zone.refresh();
        }
    }

    pub(crate) fn interest<'own>(
        &'own self,
        add: &mut dyn FnMut(BorrowedFd<'own>, PollFlags, ResolverToken),
    ) {
        add(self.datagrams.as_fd(), PollFlags::IN, ResolverToken::Datagram);
        self.streams
            .interest(&mut |descriptor, flags, token| add(descriptor, flags, ResolverToken::Stream(token)));
        self.forwarder
            .interest(&mut |descriptor, flags, token| add(descriptor, flags, ResolverToken::Forward(token)));
    }

    /// When [`Self::timer`] has something to do.
    pub(crate) fn due(&self) -> Option<u64> {
        [self.streams.due(), self.forwarder.due()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn timer(&mut self, namespaces: &Namespaces, now: u64) {
        for number in self.streams.timer(now) {
            self.forwarder.forget(Asker::Stream(number));
        }
        for answer in self.forwarder.timer(namespaces, now) {
            self.send(&answer);
        }
    }

    pub(crate) fn ready(&mut self, token: ResolverToken, namespaces: &Namespaces, now: u64) {
        match token {
            ResolverToken::Datagram => self.answer_datagrams(namespaces, now),
            ResolverToken::Stream(StreamToken::Listener) => self.streams.accept(now),
            ResolverToken::Stream(StreamToken::Client(number)) => match self.streams.ready(number, now) {
                Some(questions) => {
                    self.reload();
                    for question in questions {
                        self.answer(&question, Asker::Stream(number), namespaces, now);
                    }
                }
                None => self.forwarder.forget(Asker::Stream(number)),
            },
            ResolverToken::Forward(token) => {
                if let Some(answer) = self.forwarder.ready(token, namespaces, now) {
                    self.send(&answer);
                }
            }
        }
    }

    fn answer_datagrams(&mut self, namespaces: &Namespaces, now: u64) {
        self.reload();
        let mut buffer = [0; DATAGRAM];
        for _ in 0..BURST {
            let Ok((length, from)) = self.datagrams.recv_from(&mut buffer) else {
                return;
            };
            self.answer(&buffer[..length], Asker::Datagram(from), namespaces, now);
        }
    }

    fn answer(&mut self, question: &[u8], asker: Asker, namespaces: &Namespaces, now: u64) {
        self.counter = self.counter.wrapping_add(1);
        let zones: Vec<&Zone> = self.zones.iter().map(ZoneFile::zone).collect();
        let transport = match asker {
            Asker::Datagram(_) => Transport::Udp,
            Asker::Stream(_) => Transport::Tcp,
        };
        let answer = match decision::answer(question, &zones, self.counter, transport) {
            decision::Answer::Reply(message) => Some(Answer { asker, message }),
            decision::Answer::Forward => self.forwarder.ask(question, asker, namespaces, now),
            decision::Answer::Drop => None,
        };
        if let Some(answer) = answer {
            self.send(&answer);
        }
    }

    fn send(&mut self, answer: &Answer) {
        match answer.asker {
            Asker::Datagram(to) => {
                // A full socket loses this answer; the asker asks again, as with any datagram.
                let _lost = self.datagrams.send_to(&answer.message, to);
            }
            Asker::Stream(number) => self.streams.answer(number, &answer.message),
        }
    }
}

/// `ip`, `ip:port` or `[ip]:port`.
fn server_address(text: &str) -> Option<SocketAddr> {
    text.parse()
        .ok()
        .or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    use super::*;

    const QUESTION_DB: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x00\x00\x01\x00\x01";

    struct Fixture {
        directory: std::path::PathBuf,
        resolver: Resolver,
        namespaces: Namespaces,
    }

    fn fixture(name: &str, internal: bool, upstreams: &[String]) -> Fixture {
        let directory =
            std::env::temp_dir().join(format!("rcompose-shim-resolver-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let zone = directory.join("zone");
        let directive = if internal { "@internal\n" } else { "" };
        std::fs::write(&zone, format!("{directive}db 10.89.0.2\n")).unwrap();
        let attachment = Attachment {
            network: "n".into(),
            bridge: "b".into(),
            host_interface: "h".into(),
            container_interface: "eth0".into(),
            mac: [2, 0, 0, 0, 0, 1],
            address: Ipv4Addr::new(10, 89, 0, 3),
            prefix: 24,
            gateway: None,
            default_route: false,
            mtu: 1500,
            zone_path: zone.to_str().unwrap().into(),
            internal,
            isolated: false,
        };
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        datagrams.set_nonblocking(true).unwrap();
        listener.set_nonblocking(true).unwrap();
        let spec = ResolverSpec {
            upstreams: upstreams.to_vec(),
        };
        Fixture {
            directory,
            resolver: Resolver::on(datagrams, listener, 0, &spec, &[attachment]),
            namespaces: Namespaces::current().unwrap(),
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.directory));
        }
    }

    fn client(fixture: &Fixture) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .connect(fixture.resolver.datagrams.local_addr().unwrap())
            .unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    fn ask(fixture: &mut Fixture, client: &UdpSocket, question: &[u8]) -> Vec<u8> {
        client.send(question).unwrap();
        fixture
            .resolver
            .ready(ResolverToken::Datagram, &fixture.namespaces, 0);
        let mut answer = [0; 512];
        let length = client.recv(&mut answer).unwrap();
        answer[..length].to_vec()
    }

    #[test]
    fn names_of_the_zone_are_answered_and_a_replaced_zone_is_noticed() {
        let mut fixture = fixture("zone", false, &[]);
        let client = client(&fixture);
        assert!(ask(&mut fixture, &client, QUESTION_DB).ends_with(&[10, 89, 0, 2]));
        let zone = fixture.directory.join("zone");
        std::fs::write(fixture.directory.join("new"), "db 10.89.0.9\n").unwrap();
        std::fs::rename(fixture.directory.join("new"), zone).unwrap();
        assert!(ask(&mut fixture, &client, QUESTION_DB).ends_with(&[10, 89, 0, 9]));
    }

    #[test]
    fn tcp_answers_the_same() {
        let mut fixture = fixture("tcp", false, &[]);
        let mut address = Vec::new();
        fixture.resolver.interest(&mut |descriptor, _, token| {
            if let ResolverToken::Stream(StreamToken::Listener) = token {
                address.push(SocketAddr::try_from(rustix::net::getsockname(descriptor).unwrap()).unwrap());
            }
        });
        let mut client = std::net::TcpStream::connect(address[0]).unwrap();
        fixture.resolver.ready(
            ResolverToken::Stream(StreamToken::Listener),
            &fixture.namespaces,
            0,
        );
        client
            .write_all(&[0, u8::try_from(QUESTION_DB.len()).unwrap()])
            .unwrap();
        client.write_all(QUESTION_DB).unwrap();
        fixture.resolver.ready(
            ResolverToken::Stream(StreamToken::Client(1)),
            &fixture.namespaces,
            0,
        );
        let mut length = [0; 2];
        client.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        client.read_exact(&mut answer).unwrap();
        assert!(answer.ends_with(&[10, 89, 0, 2]));
    }

    #[test]
    fn internal_networks_never_forward() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let upstream = server.local_addr().unwrap().to_string();
        let mut question = QUESTION_DB.to_vec();
        question[13] = b'x';
        let mut inside = fixture("internal", true, std::slice::from_ref(&upstream));
        let asker = client(&inside);
        assert_eq!(ask(&mut inside, &asker, &question)[3] & 15, 3, "NXDOMAIN");
        assert!(server.recv(&mut [0; 16]).is_err(), "nothing left the host");
        let mut outside = fixture("outside", false, &[upstream]);
        let asker = client(&outside);
        asker.send(&question).unwrap();
        outside
            .resolver
            .ready(ResolverToken::Datagram, &outside.namespaces, 0);
        server.set_nonblocking(false).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(server.recv(&mut [0; 512]).unwrap() > 12, "forwarded");
    }

    #[test]
    fn a_local_answer_is_quick() {
        let mut fixture = fixture("quick", false, &[]);
        let client = client(&fixture);
        let began = Instant::now();
        for _ in 0..1000 {
            ask(&mut fixture, &client, QUESTION_DB);
        }
        // Not a benchmark: this only notices an answer that became a thousand times slower.
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?} for 1000",
            began.elapsed()
        );
    }

    #[test]
    fn servers_are_read_with_and_without_port() {
        assert_eq!(server_address("192.0.2.1").unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(
            server_address("192.0.2.1:5353").unwrap().to_string(),
            "192.0.2.1:5353"
        );
        assert_eq!(
            server_address("2001:db8::1").unwrap().to_string(),
            "[2001:db8::1]:53"
        );
        assert_eq!(
            server_address("[2001:db8::1]:54").unwrap().to_string(),
            "[2001:db8::1]:54"
        );
        assert_eq!(server_address("localhost"), None);
    }
}
