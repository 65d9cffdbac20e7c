//! In: device rules. Out: the eBPF program that version 2 asks about every opening and making of a device node
//! (`BPF_PROG_TYPE_CGROUP_DEVICE`, linux/bpf.h).
//! **Invariant:** what no rule allows is refused.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::device::{DeviceKind, DeviceRule};

/// Registers of the eBPF machine, as this program uses them.
mod register {
    pub(super) const RESULT: u8 = 0;
    pub(super) const CONTEXT: u8 = 1;
    pub(super) const KIND: u8 = 2;
    pub(super) const ACCESS: u8 = 3;
    pub(super) const MAJOR: u8 = 4;
    pub(super) const MINOR: u8 = 5;
    pub(super) const SCRATCH: u8 = 6;
}

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xBF;
const MOVE_VALUE: u8 = 0xB7;
const AND_VALUE: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// One `struct bpf_insn`.
fn instruction(code: u8, destination: u8, source: u8, offset: i16, value: i32) -> u64 {
    // The two registers are bit fields: the first is the low half on little-endian machines.
    let registers = if cfg!(target_endian = "little") {
        destination | source << 4
    } else {
        destination << 4 | source
    };
    let [o0, o1] = offset.to_ne_bytes();
    let [v0, v1, v2, v3] = value.to_ne_bytes();
    u64::from_ne_bytes([code, registers, o0, o1, v0, v1, v2, v3])
}

/// Compiles rules; any of them suffices.
pub(super) fn compile(rules: &[DeviceRule]) -> Vec<u64> {
    use register::{ACCESS, CONTEXT, KIND, MAJOR, MINOR, RESULT, SCRATCH};
    // struct bpf_cgroup_dev_ctx: access in the upper and kind in the lower half of the first word, then major and minor.
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        instruction(AND_VALUE, KIND, 0, 0, 0xFFFF),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules {
        let mut tests: Vec<Vec<u64>> = Vec::new();
        let kind = match rule.kind {
            DeviceKind::Any => None,
            DeviceKind::Block => Some(1),
            DeviceKind::Character => Some(2),
        };
        let refused = !(i32::from(rule.make) | i32::from(rule.read) << 1 | i32::from(rule.write) << 2) & 7;
        if refused != 0 {
            tests.push(vec![
                instruction(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0),
                instruction(AND_VALUE, SCRATCH, 0, 0, refused),
                instruction(JUMP_IF_NOT_EQUAL, SCRATCH, 0, 0, 0),
            ]);
        }
        let equal = [
            (KIND, kind),
            (MAJOR, rule.major.map(u32::cast_signed)),
            (MINOR, rule.minor.map(u32::cast_signed)),
        ];
        for (register, wanted) in equal {
            tests.extend(wanted.map(|wanted| vec![instruction(JUMP_IF_NOT_EQUAL, register, 0, 0, wanted)]));
        }
        let mut block: Vec<u64> = tests.concat();
        block.push(instruction(MOVE_VALUE, RESULT, 0, 0, 1));
        block.push(instruction(EXIT, 0, 0, 0, 0));
        // Every jump of the block leads behind it, to the next rule.
        let length = block.len();
        for (index, word) in block.iter_mut().enumerate() {
            let bytes = word.to_ne_bytes();
            if bytes[0] == JUMP_IF_NOT_EQUAL {
                let distance = i16::try_from(length - index - 1)
                    .unwrap_or(i16::MAX)
                    .to_ne_bytes();
                *word = u64::from_ne_bytes([
                    bytes[0],
                    bytes[1],
                    distance[0],
                    distance[1],
                    bytes[4],
                    bytes[5],
                    bytes[6],
                    bytes[7],
                ]);
            }
        }
        program.extend(block);
    }
    program.push(instruction(MOVE_VALUE, RESULT, 0, 0, 0));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::default_rules;

    /// Runs a program as the kernel would.
    fn run(program: &[u64], access: u32, kind: u32, major: u32, minor: u32) -> i64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0i64; 11];
        let mut at = 0;
        loop {
            let bytes = program[at].to_le_bytes();
            let (destination, source) = (usize::from(bytes[1] & 15), usize::from(bytes[1] >> 4));
            let offset = i16::from_le_bytes([bytes[2], bytes[3]]);
            let value = i64::from(i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]));
            at += 1;
            match bytes[0] {
                LOAD_WORD => {
                    registers[destination] = i64::from(context[usize::try_from(offset / 4).unwrap()]);
                }
                MOVE_REGISTER => registers[destination] = registers[source],
                MOVE_VALUE => registers[destination] = value,
                AND_VALUE => registers[destination] &= value,
                SHIFT_RIGHT => registers[destination] >>= value,
                JUMP_IF_NOT_EQUAL => {
                    if registers[destination] != value {
                        at += usize::try_from(offset).unwrap();
                    }
                }
                EXIT => return registers[0],
                other => panic!("unknown code {other:#x}"),
            }
        }
    }

    #[test]
    fn the_default_rules_allow_the_standard_devices_only() {
        let program = compile(&default_rules());
        let (make, read, write, block, character) = (1, 2, 4, 1, 2);
        assert_eq!(run(&program, read | write, character, 1, 3), 1, "null");
        assert_eq!(
            run(&program, read | write, character, 136, 7),
            1,
            "any pseudo terminal"
        );
        assert_eq!(run(&program, make, block, 8, 0), 1, "making a node of any device");
        assert_eq!(run(&program, read, block, 8, 0), 0, "reading a disk");
        assert_eq!(run(&program, read | make, character, 10, 229), 0, "opening fuse");
        assert_eq!(run(&program, write, character, 1, 1), 0, "memory");
    }
}
