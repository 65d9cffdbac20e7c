//! The bytes of version 1, for ever: a shim of today is spoken to by the engines of years to come.

use std::fmt::Debug;
use std::net::Ipv4Addr;

use super::*;

fn process() -> ProcessSpec {
    ProcessSpec {
        arguments: vec!["a".into(), "b".into()],
        environment: vec!["K=v".into()],
        working_directory: "/".into(),
        user: "u".into(),
        additional_groups: vec!["g".into()],
        capabilities: vec![1, 31],
        no_new_privileges: true,
        seccomp: Some(vec![6, 0].into()),
        rlimits: vec![(7, 1, u64::MAX)],
        oom_score_adj: Some(-5),
        terminal: true,
        terminal_size: Some((80, 24)),
    }
}

#[track_caller]
fn golden<T>(value: &T, expected: &str)
where
    T: Encode<()> + for<'bytes> Decode<'bytes, ()> + PartialEq + Debug,
{
    let bytes = minicbor::to_vec(value).expect("encodes");
    let digits =
        |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap());
    let text: String = bytes.iter().flat_map(digits).collect();
    assert_eq!(text, expected, "{value:?}");
    assert_eq!(&minicbor::decode::<T>(&bytes).expect("decodes"), value);
}

#[test]
fn requests_of_version_1_keep_their_bytes() {
    let stop = Request::Stop {
        signal: Some(15),
        grace_ms: Some(10_000),
        before: vec![process()],
    };
    for (request, expected) in [
        (Request::State, "820080"),
        (Request::Signal { signal: 10 }, "8201810a"),
        (
            stop,
            "8202830f19271081ac0082616161620181634b3d7602612f03617504816167058201181f06f50742060008818307011bffffffffffffffff09240af50b8218501818",
        ),
        (
            Request::Stop {
                signal: None,
                grace_ms: None,
                before: Vec::new(),
            },
            "820283f6f680",
        ),
        (
            Request::Restart {
                signal: None,
                grace_ms: Some(1),
            },
            "820382f601",
        ),
        (
            Request::Exec {
                process: process(),
                kill_on_close: true,
            },
            "820482ac0082616161620181634b3d7602612f03617504816167058201181f06f50742060008818307011bffffffffffffffff09240af50b8218501818f5",
        ),
        (Request::Attach { stdin: true }, "820581f5"),
        (
            Request::Resize {
                columns: 80,
                rows: 24,
            },
            "82068218501818",
        ),
        (Request::WaitExit, "820780"),
        (Request::WaitHealthy, "820880"),
        (Request::Pause, "820980"),
        (Request::Unpause, "820a80"),
        (Request::ReloadZones, "820b80"),
        (Request::OpenRoot, "820c80"),
        (
            Request::ResizeExec {
                columns: 80,
                rows: 24,
            },
            "820d8218501818",
        ),
        (Request::SignalExec { signal: 2 }, "820e8102"),
    ] {
        golden(&request, expected);
    }
}

#[test]
fn replies_of_version_1_keep_their_bytes() {
    for (reply, expected) in [
        (Reply::Done, "820080"),
        (Reply::Started { pid: 4711 }, "820181191267"),
        (Reply::Exited { code: 137 }, "8202811889"),
        (Reply::Unhealthy { output: "no".into() }, "820381626e6f"),
        (
            Reply::Failed {
                stage: "mount /x".into(),
                errno: 2,
                detail: "d".into(),
            },
            "820483686d6f756e74202f78026164",
        ),
        (Reply::Unsupported, "820580"),
        (
            Reply::State {
                version: 1,
                pid: Some(7),
                json: "{}".into(),
            },
            "8206830107627b7d",
        ),
    ] {
        golden(&reply, expected);
    }
}

#[test]
fn the_start_plan_of_version_1_keeps_its_bytes() {
    let attachment = rcompose_network::Attachment {
        network: "n".into(),
        bridge: "b".into(),
        host_interface: "h".into(),
        container_interface: "eth0".into(),
        mac: [2, 0, 10, 89, 0, 2],
        address: Ipv4Addr::new(10, 89, 0, 2),
        prefix: 24,
        gateway: Some(Ipv4Addr::new(10, 89, 0, 1)),
        default_route: true,
        mtu: 1500,
        zone_path: "/z".into(),
        internal: false,
        isolated: false,
    };
    let plan = StartPlan {
        attachments: vec![attachment],
        boot_id: "boot".into(),
        wait_for_attach: true,
        container_directory: "/d".into(),
    };
    golden(
        &plan,
        "a40081ad00616e016162026168036465746830044602000a59000205440a59000206181807440a59000108f5091905dc0a622f7a0bf40cf40164626f6f7402f503622f64",
    );
}

#[test]
fn what_is_not_known_is_told_from_what_is_broken() {
    // A request of number 99: it decodes to nothing, and a shim answers `Unsupported`.
    assert!(minicbor::decode::<Request>(&[0x82, 0x18, 99, 0x80]).is_err());
    // A later version's further field of a known request is passed over.
    assert_eq!(
        minicbor::decode::<Request>(&[0x82, 0x01, 0x82, 0x0a, 0x18, 0x2a]).expect("decodes"),
        Request::Signal { signal: 10 }
    );
    // So is one of the start plan.
    let plan = StartPlan {
        attachments: Vec::new(),
        boot_id: "b".into(),
        wait_for_attach: false,
        container_directory: "/".into(),
    };
    let mut bytes = minicbor::to_vec(&plan).expect("encodes");
    bytes[0] += 1;
    bytes.extend_from_slice(&[0x18, 0x63, 0x01]);
    assert_eq!(minicbor::decode::<StartPlan>(&bytes).expect("decodes"), plan);
}
