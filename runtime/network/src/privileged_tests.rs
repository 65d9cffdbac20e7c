//! Against the real kernel: bridges, sandboxes, firewall and DNS redirection in throw-away network namespaces.
//!
//! **Invariant:** every test that expects a packet to be dropped has seen the like of it arrive.

mod lab;
mod sandboxes;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::ipam::Holder;
use crate::privileged_tests::lab::{HOST_ON_LAN, Lab, NEIGHBOUR, Namespace, tcp};
use crate::spec::{Protocol, PublishedPort};
use crate::{NetworkError, conntrack, ensure_bridge, host_prefixes, remove_bridge};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn containers_of_a_network_reach_each_other_and_the_world_and_the_world_does_not_reach_them() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let (one, one_address) = lab.container(web, "one", &[]);
    let (two, two_address) = lab.container(web, "two", &[]);
    one.serve(80, "one");
    lab.neighbour.serve(80, "neighbour");
    assert_eq!(
        lab.neighbour.ask(one_address, 80),
        Some(format!("one {NEIGHBOUR}")),
        "without the firewall the LAN can route to a container"
    );
    lab.apply();
    assert_eq!(lab.neighbour.ask(one_address, 80), None);
    assert_eq!(two.ask(one_address, 80), Some(format!("one {two_address}")));
    assert_eq!(lab.host.ask(one_address, 80), Some("one 10.89.0.1".into()));
    assert_eq!(
        two.ask(NEIGHBOUR, 80),
        Some(format!("neighbour {HOST_ON_LAN}")),
        "masqueraded"
    );
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let other = lab.network("other", "10.89.1.0/24", |_| {});
    let (server, _) = lab.container(web, "web", &[tcp(8080, 80)]);
    let (peer, _) = lab.container(web, "peer", &[]);
    let (client, _) = lab.container(other, "client", &[]);
    server.serve(80, "web");
    lab.apply();
    assert_eq!(lab.host.ask(LOCALHOST, 8080), Some("web 10.89.0.1".into()));
    assert_eq!(lab.host.ask(HOST_ON_LAN, 8080), Some("web 10.89.0.1".into()));
    assert_eq!(
        lab.neighbour.ask(HOST_ON_LAN, 8080),
        Some(format!("web {NEIGHBOUR}")),
        "the LAN's own address is seen"
    );
    assert_eq!(
        client.ask(HOST_ON_LAN, 8080),
        Some("web 10.89.0.1".into()),
        "from another network"
    );
    assert_eq!(
        client.ask(Ipv4Addr::new(10, 89, 1, 1), 8080),
        Some("web 10.89.0.1".into()),
        "by its gateway"
    );
    assert_eq!(
        server.ask(HOST_ON_LAN, 8080),
        Some("web 10.89.0.1".into()),
        "from itself"
    );
    assert_eq!(
        peer.ask(HOST_ON_LAN, 8080),
        Some("web 10.89.0.1".into()),
        "from its own network"
    );
    assert_eq!(lab.host.ask(LOCALHOST, 8081), None);
}

#[test]
fn a_port_published_on_one_address_is_not_reached_on_others() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let local = PublishedPort {
        host_ip: Some(LOCALHOST.into()),
        ..tcp(8080, 80)
    };
    let outside = PublishedPort {
        host_ip: Some(HOST_ON_LAN.into()),
        ..tcp(9090, 80)
    };
    let (server, _) = lab.container(web, "web", &[local, outside]);
    server.serve(80, "web");
    lab.apply();
    assert!(lab.host.ask(LOCALHOST, 8080).is_some());
    assert_eq!(lab.neighbour.ask(HOST_ON_LAN, 8080), None);
    assert_eq!(lab.host.ask(HOST_ON_LAN, 8080), None);
    assert!(lab.neighbour.ask(HOST_ON_LAN, 9090).is_some());
    assert_eq!(lab.host.ask(LOCALHOST, 9090), None);
}

#[test]
fn loopback_of_the_host_cannot_be_reached_from_outside() {
    let mut lab = Lab::new();
    lab.host.serve(7777, "private");
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let (container, _) = lab.container(web, "web", &[]);
    // The neighbour sends packets to 127.0.0.1 over the wire, having no such address of its own.
    let forge = |namespace: &Namespace, gateway: Ipv4Addr| {
        namespace.command("ip address flush dev lo");
        namespace.run(|| {
            std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").expect("set");
        });
        namespace.command(&format!("ip route add 127.0.0.1/32 via {gateway} dev eth0"));
    };
    forge(&lab.neighbour, HOST_ON_LAN);
    forge(&container, Ipv4Addr::new(10, 89, 0, 1));
    lab.host
        .run(|| std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").expect("set"));
    let attack = |namespace: &Namespace| namespace.ask(LOCALHOST, 7777);
    assert_eq!(
        attack(&lab.neighbour),
        Some(format!("private {NEIGHBOUR}")),
        "the attack works unguarded"
    );
    assert_eq!(
        attack(&container),
        Some("private 10.89.0.2".into()),
        "the attack works unguarded"
    );
    lab.apply();
    assert_eq!(attack(&lab.neighbour), None);
    assert_eq!(attack(&container), None);
}

#[test]
fn replicas_behind_one_port_take_turns() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let names = ["one", "two", "three"];
    let replicas = names.map(|name| {
        let (replica, _) = lab.container(web, "web", &[tcp(8080, 80)]);
        replica.serve(80, name);
        replica
    });
    lab.apply();
    for (client, address) in [(&lab.host, LOCALHOST), (&lab.neighbour, HOST_ON_LAN)] {
        let mut answers: Vec<_> = (0..6).filter_map(|_| client.ask(address, 8080)).collect();
        answers.sort();
        let count = |name: &str| answers.iter().filter(|answer| answer.starts_with(name)).count();
        assert_eq!(names.map(count), [2, 2, 2], "{answers:?}");
    }
    drop(replicas);
}

#[test]
fn networks_are_apart_and_internal_ones_have_no_way_out_but_the_host_reaches_them() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let db = lab.network("db", "10.89.1.0/24", |spec| spec.internal = true);
    let (front, front_address) = lab.container(web, "front", &[tcp(8080, 80)]);
    let (back, back_address) = lab.container(db, "back", &[tcp(3306, 80)]);
    let (peer, peer_address) = lab.container(db, "peer", &[]);
    front.serve(80, "front");
    back.serve(80, "back");
    lab.neighbour.serve(80, "neighbour");
    // A container of an internal network has no default route; a hostile one with NET_ADMIN makes its own.
    back.command("ip route add default via 10.89.1.1");
    assert!(
        front.ask(back_address, 80).is_some(),
        "without the firewall networks are not apart"
    );
    assert!(
        back.ask(front_address, 80).is_some(),
        "without the firewall internal is not internal"
    );
    lab.apply();
    assert_eq!(front.ask(back_address, 80), None);
    assert_eq!(back.ask(front_address, 80), None);
    assert_eq!(back.ask(NEIGHBOUR, 80), None);
    assert_eq!(
        back.ask(HOST_ON_LAN, 8080),
        None,
        "not by a published port either"
    );
    assert_eq!(
        back.ask(Ipv4Addr::new(10, 89, 1, 1), 8080),
        None,
        "nor by one at its gateway"
    );
    assert_eq!(
        lab.neighbour.ask(HOST_ON_LAN, 3306),
        None,
        "internal networks publish nothing"
    );
    assert_eq!(lab.host.ask(back_address, 80), Some("back 10.89.1.1".into()));
    assert_eq!(peer.ask(back_address, 80), Some(format!("back {peer_address}")));
}

#[test]
fn containers_of_an_isolated_network_reach_the_world_but_not_each_other() {
    let mut lab = Lab::new();
    let apart = lab.network("apart", "10.89.0.0/24", |spec| spec.isolated = true);
    let (one, one_address) = lab.container(apart, "one", &[]);
    let (two, _) = lab.container(apart, "two", &[]);
    one.serve(80, "one");
    lab.neighbour.serve(80, "neighbour");
    lab.apply();
    assert_eq!(two.ask(one_address, 80), None);
    assert!(two.ask(NEIGHBOUR, 80).is_some());
    assert!(lab.host.ask(one_address, 80).is_some());
}

#[test]
fn udp_is_published_too_and_flows_from_before_are_forgotten() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    lab.apply();
    // This flow is tracked without translation: nobody answers.
    assert_eq!(lab.neighbour.ask_udp(4000, HOST_ON_LAN, 5353), None);
    let port = PublishedPort {
        protocol: Protocol::Udp,
        ..tcp(5353, 53)
    };
    let (server, _) = lab.container(web, "dns", &[port]);
    server.serve_udp(53, "dns");
    lab.apply();
    assert_eq!(
        lab.neighbour.ask_udp(4001, HOST_ON_LAN, 5353),
        Some(format!("dns {NEIGHBOUR}")),
        "a new flow"
    );
    assert_eq!(
        lab.neighbour.ask_udp(4000, HOST_ON_LAN, 5353),
        None,
        "the old flow is still untranslated"
    );
    let forgotten = lab.host.run(|| conntrack::flush_udp(&[5353]).expect("flushed"));
    assert!(forgotten >= 1);
    assert_eq!(
        lab.neighbour.ask_udp(4000, HOST_ON_LAN, 5353),
        Some(format!("dns {NEIGHBOUR}"))
    );
    assert_eq!(lab.host.ask_udp(0, LOCALHOST, 5353), Some("dns 10.89.0.1".into()));
    assert_eq!(lab.host.run(|| conntrack::flush_udp(&[9]).expect("flushed")), 0);
}

#[test]
fn a_bridge_is_completed_when_half_made_and_a_stranger_of_its_name_is_left_alone() {
    let mut lab = Lab::new();
    lab.host.command("ip link add rc-web type bridge");
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    lab.network("web", "10.89.0.0/24", |_| {});
    lab.host.command("ip link add rc-odd type veth peer name odd");
    let mut odd = lab.networks[web].spec.clone();
    odd.bridge = "rc-odd".into();
    let web = lab.networks[web].spec.clone();
    lab.on_host(|host| {
        assert!(host.link("rc-web").expect("read").expect("there").up);
        let taken = host_prefixes(host, &[]).expect("listed");
        let holder = |prefix: &str, holder: Holder| {
            taken
                .iter()
                .any(|taken| taken.prefix.to_string() == prefix && taken.holder == holder)
        };
        assert!(
            holder("10.89.0.0/24", Holder::Interface("rc-web".into())),
            "{taken:?}"
        );
        assert!(holder("192.0.2.0/24", Holder::Route("eth0".into())), "{taken:?}");
        let others = host_prefixes(host, &["rc-web"]).expect("listed");
        assert!(
            others
                .iter()
                .all(|taken| taken.prefix.to_string() != "10.89.0.0/24"),
            "{others:?}"
        );
        assert_eq!(host.default_route_mtu().expect("read"), Some(1500));

        let error = ensure_bridge(host, &odd).expect_err("a veth");
        assert!(matches!(error, NetworkError::NotABridge { .. }), "{error}");
        assert!(remove_bridge(host, &odd).is_err());
        assert_eq!(host.links("rc-").expect("listed").len(), 2);
        remove_bridge(host, &web).expect("removed");
        remove_bridge(host, &web).expect("not there is as good");
        assert_eq!(host.links("rc-").expect("listed").len(), 1);
    });
}

#[test]
fn the_table_is_written_when_networks_change_or_somebody_flushed_it_and_removed_at_the_end() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    assert!(lab.apply());
    assert!(!lab.apply(), "nothing changed");
    let (server, _) = lab.container(web, "web", &[tcp(8080, 80)]);
    server.serve(80, "web");
    assert!(lab.apply());
    lab.host.command("nft flush ruleset");
    assert_eq!(lab.host.ask(LOCALHOST, 8080), None);
    assert!(lab.apply());
    assert!(lab.host.ask(LOCALHOST, 8080).is_some());
    lab.host.command("nft add table inet foreign");
    lab.remove_table();
    lab.host.command("nft delete table inet foreign");
    assert_eq!(lab.host.ask(LOCALHOST, 8080), None);
    lab.remove_table();
}

#[test]
fn beside_docker_our_bridges_forward_and_leave_no_rule_behind() {
    let mut lab = Lab::new();
    lab.host.command("nft add table ip filter");
    lab.host
        .command("nft add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }");
    lab.host.command("nft add chain ip filter DOCKER-USER");
    lab.host
        .command("nft add rule ip filter DOCKER-USER iifname \"docker9\" accept");
    lab.host
        .command("nft add rule ip filter FORWARD jump DOCKER-USER");
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let (server, _) = lab.container(web, "web", &[tcp(8080, 80)]);
    server.serve(80, "web");
    lab.apply();
    assert!(lab.neighbour.ask(HOST_ON_LAN, 8080).is_some());
    lab.remove_table();
    let rules = lab.host.run(|| {
        let listing = Command::new("nft")
            .args(["list", "chain", "ip", "filter", "DOCKER-USER"])
            .output();
        String::from_utf8(listing.expect("run").stdout).expect("text")
    });
    assert!(rules.contains("docker9") && !rules.contains("rc-web"), "{rules}");
}

#[test]
fn a_stream_to_a_published_port_survives_a_replaced_ruleset() {
    let mut lab = Lab::new();
    let web = lab.network("web", "10.89.0.0/24", |_| {});
    let (server, _) = lab.container(web, "web", &[tcp(8080, 80)]);
    let listener = server.run(|| std::net::TcpListener::bind("0.0.0.0:80").expect("bound"));
    lab.apply();
    let mut client = lab
        .neighbour
        .run(|| TcpStream::connect((HOST_ON_LAN, 8080)).expect("connected"));
    let (mut accepted, _) = listener.accept().expect("accepted");
    lab.network("other", "10.89.1.0/24", |_| {});
    assert!(lab.apply());
    accepted.write_all(b"still here").expect("sent");
    drop(accepted);
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("set");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("received");
    assert_eq!(text, "still here");
}
