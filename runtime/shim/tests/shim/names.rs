//! The resolver inside a container with a network.

use std::net::Ipv4Addr;

use rcompose_network::{Attachment, Ipv4Net, Netlink, NetworkSpec, ensure_bridge, remove_bridge};
use rcompose_shim::Mode;
use rcompose_shim::protocol::{Reply, Request};

use super::fixture::Container;

/// A bridge that is removed again.
struct Bridge(NetworkSpec);

impl Bridge {
    fn new(name: &str, third: u8) -> Self {
        let spec = NetworkSpec {
            name: name.into(),
            bridge: format!("rcs{}{third}", std::process::id() % 10_000),
            subnet: Ipv4Net::new(Ipv4Addr::new(10, 213, third, 0), 24).unwrap(),
            gateway: Ipv4Addr::new(10, 213, third, 1),
            ip_range: None,
            reserved: Vec::new(),
            internal: false,
            mtu: None,
            isolated: false,
        };
        ensure_bridge(&mut Netlink::route().unwrap(), &spec).unwrap();
        Bridge(spec)
    }

    fn attach(&self, container: &mut Container, zone: &str) {
        let zone_path = container.data("zone");
        std::fs::write(&zone_path, zone).unwrap();
        container.plan.attachments = vec![Attachment {
            network: self.0.name.clone(),
            bridge: self.0.bridge.clone(),
            host_interface: format!("{}h", self.0.bridge),
            container_interface: "eth0".into(),
            mac: [2, 0, 10, 213, 0, 2],
            address: Ipv4Addr::new(10, 213, self.0.gateway.octets()[2], 2),
            prefix: 24,
            gateway: Some(self.0.gateway),
            default_route: true,
            mtu: 1500,
            zone_path: zone_path.to_str().unwrap().into(),
            internal: false,
            isolated: false,
        }];
        let configuration = format!("{}/etc/resolv.conf", container.spec.rootfs.lower[0]);
        std::fs::write(configuration, "nameserver 127.0.0.11\noptions ndots:0\n").unwrap();
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(remove_bridge(&mut Netlink::route().unwrap(), &self.0));
    }
}

#[test]
fn names_resolve_after_restart_replacement_and_adoption() {
    let bridge = Bridge::new("names", 1);
    let mut container = Container::new(
        "names",
        "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    );
    bridge.attach(&mut container, "db 10.213.1.77\n");
    container.start_ready();
    assert!(container.exec("ip address show eth0").1.contains("10.213.1.2/24"));
    let resolves = |address: &str| {
        let (code, stdout, stderr) = container.exec("nslookup db 127.0.0.11");
        assert!(code == 0 && stdout.contains(address), "{stdout}{stderr}");
    };
    resolves("10.213.1.77");
    std::fs::write(container.data("new"), "db 10.213.1.78\n").unwrap();
    std::fs::rename(container.data("new"), container.data("zone")).unwrap();
    resolves("10.213.1.78");
    assert!(matches!(
        container.ask(&Request::Restart {
            signal: None,
            grace_ms: None
        }),
        Reply::Started { .. }
    ));
    resolves("10.213.1.78");
    let port = container.state()["resolver_port"].clone();
    assert_ne!(port, 0);
    container.kill_shim();
    assert!(matches!(container.shim(Mode::Adopt), Reply::Started { .. }));
    assert_eq!(container.state()["resolver_port"], port);
    resolves("10.213.1.78");
    container.kill_shim();
    let pid = container.state()["pid"].as_i64().unwrap();
    assert!(
        std::process::Command::new("/bin/kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_end_unseen_gets_a_new_network_of_the_same_address() {
    let bridge = Bridge::new("again", 2);
    let mut container = Container::new("names-again", "exec sleep 1000");
    container.spec.restart = rcompose_container::spec::RestartPolicy::Always;
    bridge.attach(&mut container, "db 10.213.2.77\n");
    let pid = container.start();
    container.kill_shim();
    assert!(
        std::process::Command::new("/bin/kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
    super::fixture::wait_until("it is gone", || !super::fixture::is_alive(pid));
    assert_eq!(container.shim(Mode::Adopt), Reply::Started { pid: 0 });
    super::fixture::wait_until("it runs again", || container.state()["status"] == "running");
    assert!(container.exec("ip address show eth0").1.contains("10.213.2.2/24"));
    assert!(container.exec("nslookup db 127.0.0.11").1.contains("10.213.2.77"));
}
