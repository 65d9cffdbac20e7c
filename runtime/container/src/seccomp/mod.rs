//! In: a container's capabilities. Out: the default system-call filter as a classic BPF program (seccomp(2)).
//! A search tree over the call's number, so that any call costs about seven comparisons; the kernel remembers what is always allowed.
//! **Invariant:** what no table allows is refused with EPERM, what is newer than the tables with ENOSYS, so that programs fall back.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod assemble;
mod table;

use std::collections::{BTreeMap, HashMap};

use assemble::{Decision, assemble};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// Capability number of `CAP_SYS_ADMIN`.
const SYS_ADMIN: u8 = 21;

/// The system calls of one architecture.
struct Architecture {
    /// `AUDIT_ARCH_*` of linux/audit.h.
    audit: u32,
    /// Numbers by name.
    numbers: HashMap<&'static str, u32>,
    /// Calls of the tables that only this architecture's family has.
    besides: &'static [&'static str],
    /// Numbers from here on belong to another calling convention that is refused (x32).
    foreign_from: Option<u32>,
}

macro_rules! numbers {
    ($architecture:ident) => {{
        use syscalls::$architecture::Sysno;
        let every = std::iter::successors(Some(Sysno::first()), Sysno::next);
        every
            .filter_map(|call| Some((call.name(), u32::try_from(call.id()).ok()?)))
            .collect()
    }};
}

/// The machine's own architecture first, then the 32-bit one it also runs.
#[cfg(target_arch = "x86_64")]
fn architectures() -> [Architecture; 2] {
    [
        Architecture {
            audit: 0xC000_003E,
            numbers: numbers!(x86_64),
            besides: table::ALWAYS_ON_X86,
            foreign_from: Some(0x4000_0000),
        },
        Architecture {
            audit: 0x4000_0003,
            numbers: numbers!(x86),
            besides: &["modify_ldt"],
            foreign_from: None,
        },
    ]
}

/// The machine's own architecture first, then the 32-bit one it also runs.
#[cfg(target_arch = "aarch64")]
fn architectures() -> [Architecture; 2] {
    [
        Architecture {
            audit: 0xC000_00B7,
            numbers: numbers!(aarch64),
            besides: table::ALWAYS_ON_ARM,
            foreign_from: None,
        },
        Architecture {
            audit: 0x4000_0028,
            numbers: numbers!(arm),
            besides: table::ALWAYS_ON_ARM,
            foreign_from: None,
        },
    ]
}

/// Compiles the default filter for a process with these capabilities (numbers): 8-byte `struct sock_filter`s in native byte order.
pub fn compile(capabilities: &[u8]) -> Vec<u8> {
    let sections: Vec<(u32, Vec<(u32, Decision)>)> = architectures()
        .iter()
        .map(|architecture| {
            (
                architecture.audit,
                intervals(architecture, &decisions(architecture, capabilities)),
            )
        })
        .collect();
    assemble(&sections)
}

/// What is decided about the calls of the tables, by number.
fn decisions(architecture: &Architecture, capabilities: &[u8]) -> BTreeMap<u32, Decision> {
    let mut decisions = BTreeMap::new();
    let mut decide = |name: &str, decision: Decision| {
        if let Some(number) = architecture.numbers.get(name) {
            decisions.insert(*number, decision);
        }
    };
    for name in table::ALWAYS
        .iter()
        .copied()
        .flatten()
        .chain(architecture.besides)
    {
        decide(name, Decision::Allow);
    }
    decide("socket", Decision::CommonSocketFamilies);
    decide("personality", Decision::HarmlessPersonalities);
    // Programs that make threads by clone3 fall back to clone, whose flags a filter can see.
    decide("clone", Decision::WithoutNamespaces);
    decide("clone3", Decision::Refuse(ENOSYS));
    for (capability, names) in table::WITH_CAPABILITY {
        if capabilities.contains(capability) {
            names.iter().for_each(|name| decide(name, Decision::Allow));
        }
    }
    decisions
}

/// The whole range of numbers as intervals of one decision: their first numbers, ascending, the first one 0.
fn intervals(architecture: &Architecture, decisions: &BTreeMap<u32, Decision>) -> Vec<(u32, Decision)> {
    let mut intervals: Vec<(u32, Decision)> = Vec::new();
    let mut next = 0;
    let mut add = |start: u32, decision: Decision| {
        if intervals.last().is_none_or(|(_, last)| *last != decision) {
            intervals.push((start, decision));
        }
    };
    for (number, decision) in decisions {
        if *number > next {
            add(next, Decision::Refuse(EPERM));
        }
        add(*number, *decision);
        next = number + 1;
    }
    let known = architecture
        .numbers
        .values()
        .copied()
        .filter(|number| architecture.foreign_from.is_none_or(|from| *number < from));
    let first_unknown = known.max().unwrap_or(0) + 1;
    if next < first_unknown {
        add(next, Decision::Refuse(EPERM));
    }
    add(first_unknown.max(next), Decision::Refuse(ENOSYS));
    intervals
}

#[cfg(test)]
mod tests;
