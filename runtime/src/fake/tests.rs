//! The model refuses what the kernel would, and counts.

use super::*;
use crate::request::NetworkRequest;
use crate::request::{EndpointRequest, NetworkingRequest, PortRequest};
use crate::runtime::{Runtime, RuntimeError, StopOptions};

fn request(name: &str) -> ContainerRequest {
    ContainerRequest {
        name: name.to_owned(),
        service: name.to_owned(),
        image: "img".to_owned(),
        network: NetworkingRequest::Bridges(vec![EndpointRequest {
            network: "net".to_owned(),
            names: vec![],
            address: None,
            mac: None,
            interface: None,
        }]),
        ports: vec![PortRequest {
            host_ip: None,
            published: Some((8080, 8081)),
            target: 80,
            protocol: "tcp".to_owned(),
        }],
        ..ContainerRequest::minimal("p", "img")
    }
}

fn network() -> NetworkRequest {
    NetworkRequest {
        name: "net".to_owned(),
        project: "p".to_owned(),
        key: "default".to_owned(),
        config_hash: "1".to_owned(),
        internal: false,
        subnet: None,
        gateway: None,
        ip_range: None,
        bridge: None,
        mtu: None,
        icc: true,
        reserved: vec![],
        labels: std::collections::BTreeMap::default(),
    }
}

#[test]
fn a_container_lives_only_in_the_right_order() {
    let fake = FakeRuntime::new([("img", "sha256:1")]);
    fake.create_network(&network()).unwrap();
    let id = fake.create_container(&request("a"), None).unwrap();
    assert!(
        matches!(fake.start(&id), Err(RuntimeError::Invalid(_))),
        "an unwired container must not start"
    );
    fake.wire(std::slice::from_ref(&id)).unwrap();
    fake.start(&id).unwrap();
    assert!(
        fake.remove_container(&id, true).is_err(),
        "a running container must not be removed"
    );
    assert!(matches!(
        fake.remove_network("net"),
        Err(RuntimeError::InUse { .. })
    ));
    fake.stop(&id, &StopOptions::default()).unwrap();
    fake.unwire(std::slice::from_ref(&id)).unwrap();
    fake.remove_container(&id, true).unwrap();
    fake.remove_network("net").unwrap();
    assert!(fake.containers("p").unwrap().is_empty());
}

#[test]
fn ports_are_chosen_from_the_range_until_it_is_used_up() {
    let fake = FakeRuntime::new([("img", "sha256:1")]);
    fake.create_network(&network()).unwrap();
    let ids: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| fake.create_container(&request(name), None).unwrap())
        .collect();
    assert!(
        matches!(fake.wire(&ids), Err(RuntimeError::PortTaken { owner: Some(owner), .. }) if owner == "container a")
    );
    let states = fake.containers("p").unwrap();
    assert_eq!(states[1].ports[0].host_port, 8081);
    assert_ne!(states[0].networks["net"], states[1].networks["net"]);
}

#[test]
fn a_cut_stops_everything_after_its_effect() {
    let fake = FakeRuntime::new([("img", "sha256:1")]);
    fake.cut_after(1);
    fake.create_network(&network()).unwrap();
    assert!(matches!(
        fake.create_container(&request("a"), None),
        Err(RuntimeError::Cancelled)
    ));
    assert_eq!(fake.effects(), ["create_network net"]);
    fake.heal();
    assert!(fake.create_container(&request("a"), None).is_ok());
}
