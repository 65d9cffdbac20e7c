//! In: decisions about intervals of system-call numbers, for several architectures. Out: the classic BPF program that takes them.
//! **Invariant:** a call made for an architecture that is not listed ends the process.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// What the filter does about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Let it through.
    Allow,
    /// Fail with this errno.
    Refuse(u32),
    /// socket(2): address families of the default profile: below `AF_ALG` (38), or 39, or above `AF_VSOCK` (40).
    CommonSocketFamilies,
    /// personality(2): the native, the 32-bit and the reporting ones; or asking.
    HarmlessPersonalities,
    /// clone(2) without any flag that makes a namespace.
    WithoutNamespaces,
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower half of the first argument on a little-endian machine; the kernel itself looks at no more of these arguments.
const FIRST_ARGUMENT: u32 = 16;

const RETURN_ALLOW: u32 = 0x7FFF_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_KILL_PROCESS: u32 = 0x8000_0000;

const EPERM: u32 = 1;
/// `CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET`.
const NAMESPACE_FLAGS: u32 = 0x7E02_0000;
/// Native, Linux/32, and both with `UNAME26`; the last one only asks for the current one.
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, u32::MAX];

/// One `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    value: u32,
}

const fn plain(code: u16, value: u32) -> Instruction {
    Instruction {
        code,
        jump_true: 0,
        jump_false: 0,
        value,
    }
}

const fn load(offset: u32) -> Instruction {
    plain(0x20, offset)
}

const fn finish(value: u32) -> Instruction {
    plain(0x06, value)
}

const fn jump(distance: u32) -> Instruction {
    plain(0x05, distance)
}

const fn test(code: u16, value: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction {
        code,
        jump_true,
        jump_false,
        value,
    }
}

const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;

/// Assembles the program of several architectures (`AUDIT_ARCH_*` and its intervals).
pub(super) fn assemble(sections: &[(u32, Vec<(u32, Decision)>)]) -> Vec<u8> {
    let mut program = vec![load(ARCHITECTURE)];
    for (architecture, intervals) in sections {
        let mut section = vec![load(NUMBER)];
        section.extend(tree(intervals));
        program.push(test(EQUAL, *architecture, 1, 0));
        program.push(jump(length(&section)));
        program.extend(section);
    }
    program.push(finish(RETURN_KILL_PROCESS));
    program.into_iter().flat_map(encode).collect()
}

fn encode(instruction: Instruction) -> [u8; 8] {
    let [c0, c1] = instruction.code.to_ne_bytes();
    let [v0, v1, v2, v3] = instruction.value.to_ne_bytes();
    [
        c0,
        c1,
        instruction.jump_true,
        instruction.jump_false,
        v0,
        v1,
        v2,
        v3,
    ]
}

fn length(instructions: &[Instruction]) -> u32 {
    // A program has at most 4096 instructions.
    u32::try_from(instructions.len()).unwrap_or(u32::MAX)
}

/// A balanced search tree over the intervals' starts.
fn tree(intervals: &[(u32, Decision)]) -> Vec<Instruction> {
    let Some((middle, _)) = intervals.get(intervals.len() / 2).filter(|_| intervals.len() > 1) else {
        return intervals.first().map_or_else(
            || vec![finish(RETURN_ERRNO | EPERM)],
            |(_, decision)| leaf(*decision),
        );
    };
    let (low, high) = intervals.split_at(intervals.len() / 2);
    let (low, high) = (tree(low), tree(high));
    let mut program = match u8::try_from(low.len()) {
        Ok(distance) => vec![test(AT_LEAST, *middle, distance, 0)],
        // Too far for a conditional jump.
        Err(_) => vec![test(AT_LEAST, *middle, 0, 1), jump(length(&low))],
    };
    program.extend(low);
    program.extend(high);
    program
}

/// The instructions that take one decision.
fn leaf(decision: Decision) -> Vec<Instruction> {
    let (allow, refuse) = (finish(RETURN_ALLOW), finish(RETURN_ERRNO | EPERM));
    match decision {
        Decision::Allow => vec![allow],
        Decision::Refuse(errno) => vec![finish(RETURN_ERRNO | errno)],
        Decision::CommonSocketFamilies => vec![
            load(FIRST_ARGUMENT),
            test(EQUAL, 38, 2, 0),
            test(EQUAL, 40, 1, 0),
            allow,
            refuse,
        ],
        Decision::HarmlessPersonalities => {
            let mut program = vec![load(FIRST_ARGUMENT)];
            for (distance, personality) in (1u8..=5).rev().zip(PERSONALITIES) {
                program.push(test(EQUAL, personality, distance, 0));
            }
            program.extend([refuse, allow]);
            program
        }
        Decision::WithoutNamespaces => {
            vec![
                load(FIRST_ARGUMENT),
                test(ANY_BIT, NAMESPACE_FLAGS, 1, 0),
                allow,
                refuse,
            ]
        }
    }
}
