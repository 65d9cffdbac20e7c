//! In: what a test wants. Out: a host, a neighbour on its LAN and containers, each a network namespace of this process.
//!
//! **Invariant:** nothing touches the machine's own network; a namespace goes when its last file and socket are dropped.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::firewall::{Firewall, Nft};
use crate::lease::{Lease, Leased};
use crate::spec::{Attachment, NetworkSpec, NetworkState, Protocol, PublishedPort};
use crate::{HostLock, Netlink, ensure_bridge, name, sandbox};

/// Long enough for a packet on one machine, short enough to wait for one that was dropped.
const PATIENCE: Duration = Duration::from_millis(400);

pub(super) const HOST_ON_LAN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A network namespace.
pub(super) struct Namespace(File);

impl Namespace {
    pub(super) fn new() -> Self {
        let make = || {
            #[expect(
                deprecated,
                reason = "its unsafe twin is for CLONE_FILES, which is not asked for"
            )]
            rustix::thread::unshare(UnshareFlags::NEWNET).expect("the tests of this module run as root");
            Self(File::open("/proc/thread-self/ns/net").expect("own namespace"))
        };
        thread::spawn(make).join().expect("made")
    }

    /// Runs `inside` on a thread in the namespace.
    pub(super) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).expect("entered");
                inside()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs one `ip` or `nft` command line in the namespace.
    pub(super) fn command(&self, line: &str) {
        self.run(|| {
            let mut words = line.split(' ');
            let output = Command::new(words.next().expect("a program"))
                .args(words)
                .output()
                .expect(line);
            assert!(
                output.status.success(),
                "{line}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        });
    }

    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Answers every TCP connection to `port` with `name` and who asked.
    pub(super) fn serve(&self, port: u16, name: &'static str) {
        let listener = self.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("bound"));
        thread::spawn(move || {
            while let Ok((mut stream, peer)) = listener.accept() {
                write!(stream, "{name} {}", peer.ip()).ok();
            }
        });
    }

    /// Answers every datagram to `port` with `name` and who asked.
    pub(super) fn serve_udp(&self, port: u16, name: &'static str) {
        let socket = self.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("bound"));
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                socket
                    .send_to(format!("{name} {}", peer.ip()).as_bytes(), peer)
                    .ok();
            }
        });
    }

    /// What the server at `address` answers over TCP; `None` when there is no way to one.
    pub(super) fn ask(&self, address: Ipv4Addr, port: u16) -> Option<String> {
        self.run(|| {
            let address = SocketAddr::V4(SocketAddrV4::new(address, port));
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).expect("set");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        })
    }

    /// What the server at `address` answers over UDP, asked from `source_port` (0: any).
    pub(super) fn ask_udp(&self, source_port: u16, address: Ipv4Addr, port: u16) -> Option<String> {
        self.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, source_port)).expect("bound");
            socket.set_read_timeout(Some(PATIENCE)).expect("set");
            // Connected: an answer from any other address or port is not seen.
            socket.connect((address, port)).ok()?;
            socket.send(b"?").ok()?;
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }
}

/// A host with a LAN of one neighbour, a firewall and any number of networks.
pub(super) struct Lab {
    pub(super) host: Namespace,
    pub(super) neighbour: Namespace,
    pub(super) networks: Vec<NetworkState>,
    netlink: Netlink,
    firewall: Firewall,
    run_root: PathBuf,
}

impl Lab {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let run_root = std::env::temp_dir().join(format!("rcompose-lab-{}-{number}", std::process::id()));
        std::fs::create_dir(&run_root).expect("scratch");
        let (host, neighbour) = (Namespace::new(), Namespace::new());
        host.command("ip link set lo up");
        host.command(&format!(
            "ip link add eth0 type veth peer name eth0 netns {}",
            neighbour.path()
        ));
        for (namespace, address, other) in [
            (&host, HOST_ON_LAN, NEIGHBOUR),
            (&neighbour, NEIGHBOUR, HOST_ON_LAN),
        ] {
            namespace.command(&format!("ip address add {address}/24 dev eth0"));
            namespace.command("ip link set eth0 up");
            namespace.command(&format!("ip route add default via {other}"));
        }
        let nft =
            Nft::locate(std::env::var_os("PATH").as_deref()).expect("the package nftables is installed");
        let firewall = Firewall::new("rcompose_lab".into(), &run_root, nft);
        let netlink = host.run(|| Netlink::route().expect("opened"));
        Self {
            host,
            neighbour,
            networks: Vec::new(),
            netlink,
            firewall,
            run_root,
        }
    }

    /// A network with its bridge; its index for [`Self::container`].
    pub(super) fn network(
        &mut self,
        name: &str,
        subnet: &str,
        change: impl FnOnce(&mut NetworkSpec),
    ) -> usize {
        let subnet: crate::Ipv4Net = subnet.parse().expect(subnet);
        let mut spec = NetworkSpec {
            name: name.into(),
            bridge: format!("rc-{name}"),
            subnet,
            gateway: subnet.nth(1).expect("room"),
            ip_range: None,
            reserved: Vec::new(),
            internal: false,
            mtu: None,
            isolated: false,
        };
        change(&mut spec);
        let netlink = &mut self.netlink;
        self.host.run(|| ensure_bridge(netlink, &spec).expect("made"));
        self.networks.push(NetworkState {
            spec,
            leases: Vec::new(),
        });
        self.networks.len() - 1
    }

    /// A container of `service` in a network, with its address.
    pub(super) fn container(
        &mut self,
        network: usize,
        service: &str,
        ports: &[PublishedPort],
    ) -> (Namespace, Ipv4Addr) {
        let state = &mut self.networks[network];
        let last = u64::try_from(state.leases.len()).expect("few") + 2;
        let address = state.spec.subnet.nth(last).expect("room");
        state.leases.push(Leased {
            address,
            lease: Lease {
                container_id: format!("{service}{last}"),
                container_name: format!("{service}-{last}"),
                project: None,
                service: Some(service.into()),
                names: vec![service.into()],
                ports: ports.to_vec(),
            },
        });
        let attachment = attachment(&state.spec, address);
        let namespace = Namespace::new();
        let netlink = &mut self.netlink;
        namespace.run(|| sandbox::build(netlink, &[attachment]).expect("built"));
        (namespace, address)
    }

    /// Makes the firewall follow the networks; tells whether it had to change.
    pub(super) fn apply(&self) -> bool {
        let lock: HostLock = self.firewall.lock().expect("locked");
        self.host
            .run(|| self.firewall.synchronise(&lock, &self.networks).expect("applied"))
    }

    pub(super) fn remove_table(&self) {
        let lock = self.firewall.lock().expect("locked");
        self.host
            .run(|| self.firewall.remove_table(&lock).expect("removed"));
    }

    pub(super) fn on_host<T: Send>(&mut self, inside: impl FnOnce(&mut Netlink) -> T + Send) -> T {
        let netlink = &mut self.netlink;
        self.host.run(|| inside(netlink))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.run_root).expect("scratch is removed");
    }
}

pub(super) fn attachment(spec: &NetworkSpec, address: Ipv4Addr) -> Attachment {
    Attachment {
        network: spec.name.clone(),
        bridge: spec.bridge.clone(),
        host_interface: name::veth_name(&address.to_string(), &spec.name, 1),
        container_interface: "eth0".into(),
        mac: name::mac_address(address),
        address,
        prefix: spec.subnet.prefix(),
        gateway: (!spec.internal).then_some(spec.gateway),
        default_route: !spec.internal,
        mtu: 1500,
        zone_path: String::new(),
        internal: spec.internal,
        isolated: spec.isolated,
    }
}

pub(super) fn tcp(host_port: u16, container_port: u16) -> PublishedPort {
    PublishedPort {
        host_ip: None,
        host_port,
        container_port,
        protocol: Protocol::Tcp,
    }
}
