//! The compiled program is run by an interpreter and compared with the tables, call by call.

use super::*;

const ALLOW: u32 = 0x7FFF_0000;
const KILL: u32 = 0x8000_0000;

fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

/// Runs classic BPF over a `struct seccomp_data`; also counts instructions.
fn run_counted(program: &[u8], audit: u32, number: u32, arguments: &[u64]) -> (u32, usize) {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&audit.to_ne_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_ne_bytes());
    }
    let (mut accumulator, mut at, mut steps) = (0u32, 0usize, 0);
    loop {
        let bytes = &program[8 * at..8 * at + 8];
        let code = u16::from_ne_bytes([bytes[0], bytes[1]]);
        let value = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        at += 1;
        steps += 1;
        let choose = |condition: bool| usize::from(if condition { bytes[2] } else { bytes[3] });
        match code {
            0x20 => {
                let offset = usize::try_from(value).unwrap();
                accumulator = u32::from_ne_bytes(data[offset..offset + 4].try_into().unwrap());
            }
            0x05 => at += usize::try_from(value).unwrap(),
            0x06 => return (value, steps),
            0x15 => at += choose(accumulator == value),
            0x35 => at += choose(accumulator >= value),
            0x45 => at += choose(accumulator & value != 0),
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

fn run(program: &[u8], audit: u32, number: u32, arguments: &[u64]) -> u32 {
    run_counted(program, audit, number, arguments).0
}

/// What the tables say about a call whose arguments are all zero.
fn expected(architecture: &Architecture, name: &str, capabilities: &[u8]) -> u32 {
    let granted = table::WITH_CAPABILITY
        .iter()
        .any(|(capability, names)| capabilities.contains(capability) && names.contains(&name));
    let always =
        table::ALWAYS.iter().any(|group| group.contains(&name)) || architecture.besides.contains(&name);
    if granted || always || matches!(name, "socket" | "personality" | "clone") {
        ALLOW
    } else if name == "clone3" {
        errno(ENOSYS)
    } else {
        errno(EPERM)
    }
}

#[test]
fn every_call_of_every_architecture_gets_what_the_tables_say() {
    let all: Vec<u8> = (0..=40).collect();
    for capabilities in [&[][..], &[SYS_ADMIN], &[18, 19, 25], &all] {
        let program = compile(capabilities);
        for architecture in architectures() {
            for (name, number) in &architecture.numbers {
                let got = run(&program, architecture.audit, *number, &[]);
                assert_eq!(
                    got,
                    expected(&architecture, name, capabilities),
                    "{name} with {capabilities:?}"
                );
            }
        }
    }
}

#[test]
fn unassigned_numbers_are_refused_and_newer_ones_unknown() {
    let program = compile(&[]);
    for architecture in architectures() {
        let own = |number: &u32| architecture.foreign_from.is_none_or(|from| *number < from);
        let last = architecture.numbers.values().copied().filter(own).max().unwrap();
        let assigned: Vec<u32> = architecture.numbers.values().copied().collect();
        for number in (0..last).filter(|number| !assigned.contains(number)) {
            assert_eq!(
                run(&program, architecture.audit, number, &[]),
                errno(EPERM),
                "{number}"
            );
        }
        for number in [last + 1, last + 1000, 0x4000_0000, 0x4000_0001, u32::MAX] {
            assert_eq!(
                run(&program, architecture.audit, number, &[]),
                errno(ENOSYS),
                "{number}"
            );
        }
    }
    assert_eq!(
        run(&program, 0xC000_0015, 0, &[]),
        KILL,
        "another machine's calling convention"
    );
}

#[test]
fn arguments_are_looked_at() {
    let program = compile(&[]);
    let [native, _] = architectures();
    let number = |name: &str| native.numbers[name];
    let socket = |family: u64| run(&program, native.audit, number("socket"), &[family]);
    for family in (0..38).chain([39]).chain(41..60) {
        assert_eq!(socket(family), ALLOW, "family {family}");
    }
    for family in [38, 40, 0x1_0000_0026] {
        assert_eq!(socket(family), errno(EPERM), "family {family}");
    }
    let personality = |kind: u64| run(&program, native.audit, number("personality"), &[kind]);
    for kind in [0, 8, 0x20000, 0x20008, 0xFFFF_FFFF] {
        assert_eq!(personality(kind), ALLOW, "personality {kind:#x}");
    }
    for kind in [1, 9, 0x0040_0000, 0x0400_0000] {
        assert_eq!(personality(kind), errno(EPERM), "personality {kind:#x}");
    }
    let clone = |program: &[u8], flags: u64| run(program, native.audit, number("clone"), &[flags]);
    assert_eq!(clone(&program, 0x003D_0F00), ALLOW, "a thread");
    for bit in [17, 25, 26, 27, 28, 29, 30] {
        assert_eq!(clone(&program, 1 << bit), errno(EPERM), "namespace flag {bit}");
        assert_eq!(
            clone(&compile(&[SYS_ADMIN]), 1 << bit),
            ALLOW,
            "namespace flag {bit}"
        );
    }
}

#[test]
fn dangerous_calls_are_refused_by_default() {
    let program = compile(&crate::capability::DEFAULT);
    let [native, _] = architectures();
    for name in [
        "mount",
        "umount2",
        "unshare",
        "setns",
        "bpf",
        "fsopen",
        "open_tree",
        "move_mount",
        "keyctl",
        "add_key",
        "request_key",
        "userfaultfd",
        "io_uring_setup",
        "kexec_load",
        "init_module",
        "perf_event_open",
        "open_by_handle_at",
        "swapon",
        "reboot",
        "pivot_root",
        "mount_setattr",
        "settimeofday",
    ] {
        if let Some(number) = native.numbers.get(name) {
            assert_eq!(run(&program, native.audit, *number, &[]), errno(EPERM), "{name}");
        }
    }
    assert_eq!(
        run(&program, native.audit, native.numbers["chroot"], &[]),
        ALLOW,
        "chroot comes with its capability"
    );
}

#[test]
fn a_decision_takes_few_steps() {
    let program = compile(&[]);
    let [native, _] = architectures();
    let most = (0..500)
        .map(|number| run_counted(&program, native.audit, number, &[]).1)
        .max()
        .unwrap();
    assert!(most <= 18, "{most} instructions for one call");
    assert!(program.len() / 8 < 1000, "{} instructions", program.len() / 8);
}

#[test]
fn the_tables_name_no_call_twice() {
    let mut names: Vec<&str> = table::ALWAYS.iter().copied().flatten().copied().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 360, "{count}");
}
