//! Against the real kernel: what a container finds in its network namespace, and what is left of it afterwards.

use std::io::Write;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{Lab, NEIGHBOUR, Namespace, attachment, tcp};
use crate::{Netlink, sandbox};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn port_53_of_the_resolver_address_leads_to_the_resolver_and_stays_free_for_the_container() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let (container, _) = lab.container(web, "web", &[]);
    let (udp, tcp) = container.run(|| {
        let sockets = sandbox::bind_resolver(None).expect("bound");
        let udp_port = sockets.0.local_addr().expect("bound").port();
        let tcp_port = sockets.1.local_addr().expect("bound").port();
        assert_eq!(udp_port, tcp_port);
        sandbox::redirect_dns(9, 9).expect("redirected");
        sandbox::redirect_dns(udp_port, tcp_port).expect("redirected anew");
        sockets
    });
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
            udp.send_to(b"resolver", peer).ok();
        }
    });
    thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            stream.write_all(b"resolver").ok();
        }
    });
    // The container's own server on every address, the resolver's included.
    container.serve(53, "own");
    container.serve_udp(53, "own");
    assert_eq!(
        container.ask_udp(0, sandbox::RESOLVER_ADDRESS, 53),
        Some("resolver".into())
    );
    assert_eq!(
        container.ask(sandbox::RESOLVER_ADDRESS, 53),
        Some("resolver".into())
    );
    assert_eq!(container.ask_udp(0, LOCALHOST, 53), Some("own 127.0.0.1".into()));
    assert_eq!(container.ask(LOCALHOST, 53), Some("own 127.0.0.1".into()));
}

#[test]
fn a_container_in_two_networks_has_both_and_one_default_route() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let db = lab.network("db", "10.89.1.0/24", |spec| spec.internal = true);
    let (peer, peer_address) = lab.container(db, "peer", &[]);
    peer.serve(80, "peer");
    lab.neighbour.serve(80, "neighbour");
    let both = [(web, "eth0"), (db, "eth1")].map(|(network, interface)| {
        let spec = &lab.networks[network].spec;
        let address = spec.subnet.nth(100).expect("room");
        crate::Attachment {
            container_interface: interface.into(),
            ..attachment(spec, address)
        }
    });
    let container = Namespace::new();
    lab.on_host(|host| {
        container.run(|| sandbox::build(host, &both).expect("built"));
    });
    lab.apply();
    assert_eq!(container.ask(peer_address, 80), Some("peer 10.89.1.100".into()));
    assert!(container.ask(NEIGHBOUR, 80).is_some());
    let addresses = container.run(|| {
        assert!(
            std::net::TcpListener::bind("[::1]:0").is_ok(),
            "loopback keeps its IPv6 address"
        );
        std::fs::read_to_string("/proc/thread-self/net/if_inet6").expect("read")
    });
    assert!(!addresses.contains("eth"), "interfaces have none: {addresses}");
}

#[test]
fn without_attachments_there_is_a_loopback_only() {
    let mut lab = Lab::new();
    let container = Namespace::new();
    lab.on_host(|host| container.run(|| sandbox::build(host, &[]).expect("built")));
    container.serve(80, "own");
    assert!(container.ask(LOCALHOST, 80).is_some());
    container.run(|| {
        assert_eq!(
            Netlink::route().expect("opened").links("").expect("listed").len(),
            1
        );
    });
}

#[test]
fn a_vanished_container_takes_its_veth_along() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let (container, _) = lab.container(web, "web", &[]);
    assert_eq!(lab.on_host(|host| host.links("rv").expect("listed").len()), 1);
    drop(container);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !lab.on_host(|host| host.links("rv").expect("listed").is_empty()) {
        assert!(
            Instant::now() < deadline,
            "the kernel removes the pair with the namespace"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "a measurement, not a proof: run with --ignored --nocapture"]
fn how_long_a_sandbox_takes() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let spec = lab.networks[web].spec.clone();
    let mut builds = Vec::new();
    let mut redirects = Vec::new();
    for i in 0..50 {
        let attachment = attachment(&spec, spec.subnet.nth(i + 2).expect("room"));
        let namespace = Namespace::new();
        lab.on_host(|host| {
            namespace.run(|| {
                let start = Instant::now();
                sandbox::build(host, &[attachment]).expect("built");
                builds.push(start.elapsed());
                let start = Instant::now();
                let (udp, _tcp) = sandbox::bind_resolver(None).expect("bound");
                let port = udp.local_addr().expect("bound").port();
                sandbox::redirect_dns(port, port).expect("redirected");
                redirects.push(start.elapsed());
            });
        });
    }
    builds.sort();
    redirects.sort();
    println!("build    p50 {:?} max {:?}", builds[25], builds[49]);
    println!("redirect p50 {:?} max {:?}", redirects[25], redirects[49]);
    let apply = |what: &str, lab: &Lab| {
        let start = Instant::now();
        lab.apply();
        println!("firewall {what} {:?}", start.elapsed());
    };
    apply("made", &lab);
    lab.container(web, "web", &[tcp(8080, 80)]);
    apply("extended", &lab);
    lab.networks[web].leases.clear();
    apply("replaced", &lab);
    apply("unchanged", &lab);
}
