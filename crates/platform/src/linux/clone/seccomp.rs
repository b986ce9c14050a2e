//! What a filter of system calls would say of a call, without making it (seccomp(2), "classic" BPF).
//!
//! A filter that kills for a call would kill the target if we made it; to have the filters pass over for a moment
//! (`PTRACE_O_SUSPEND_SECCOMP`) is no way: should we die in the midst, they are back before the call is made.

use crate::linux::sys::ptrace::{self, FilterInstruction};
use std::io;

/// A system call as filters see it (`struct seccomp_data`).
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemCall {
    pub(super) number: u32,
    /// The kind of processor, as the kernel's audit.h numbers it.
    pub(super) architecture: u32,
    /// The address of the instruction behind it.
    pub(super) instruction: u64,
    pub(super) arguments: [u64; 6],
}

/// The most filters that are looked at.
const MOST: usize = 64;
/// `SECCOMP_RET_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;

/// Whether all filters of a stopped thread plainly allow all these calls.
pub(super) fn allow(tid: i32, calls: &[SystemCall]) -> bool {
    for number in 0..MOST {
        match ptrace::seccomp_filter(tid, number) {
            Ok(filter) if calls.iter().all(|call| run(&filter, call) == Some(ALLOW)) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return number > 0,
            _ => return false,
        }
    }
    false
}

impl SystemCall {
    /// Returns a word of the structure.
    fn word(&self, at: u32) -> Option<u32> {
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&self.number.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.architecture.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.instruction.to_ne_bytes());
        for (place, argument) in bytes[16..].chunks_exact_mut(8).zip(self.arguments) {
            place.copy_from_slice(&argument.to_ne_bytes());
        }
        let at = at as usize;
        let word = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(word.try_into().ok()?))
    }
}

/// Parts of an instruction's code (`linux/bpf_common.h`).
mod code {
    pub(super) const CLASS: u16 = 0x07;
    pub(super) const LD: u16 = 0x00;
    pub(super) const LDX: u16 = 0x01;
    pub(super) const ST: u16 = 0x02;
    pub(super) const STX: u16 = 0x03;
    pub(super) const ALU: u16 = 0x04;
    pub(super) const JMP: u16 = 0x05;
    pub(super) const RET: u16 = 0x06;
    pub(super) const MODE: u16 = 0xe0;
    pub(super) const IMM: u16 = 0x00;
    pub(super) const ABS: u16 = 0x20;
    pub(super) const MEM: u16 = 0x60;
    pub(super) const LEN: u16 = 0x80;
    pub(super) const OPERATION: u16 = 0xf0;
    pub(super) const X: u16 = 0x08;
    /// The value that is returned is A.
    pub(super) const A: u16 = 0x10;
    pub(super) const TXA: u16 = 0x80;
}

/// The state of a filter that runs.
#[derive(Default)]
struct Machine {
    a: u32,
    x: u32,
    memory: [u32; 16],
}

/// Runs a filter. Returns what it says; `None` if it is none that the kernel would take.
fn run(filter: &[FilterInstruction], call: &SystemCall) -> Option<u32> {
    let mut machine = Machine::default();
    let mut at = 0;
    // It cannot jump back, so that it ends.
    loop {
        let instruction = Instruction::read(filter.get(at)?);
        at += 1;
        match instruction.code & code::CLASS {
            code::RET if instruction.code & code::A != 0 => return Some(machine.a),
            code::RET => return Some(instruction.k),
            code::JMP => at += machine.jump(&instruction)?,
            _ => machine.step(&instruction, call)?,
        }
    }
}

struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

impl Instruction {
    fn read(bytes: &FilterInstruction) -> Self {
        let [c0, c1, if_true, if_false, k0, k1, k2, k3] = *bytes;
        Self {
            code: u16::from_ne_bytes([c0, c1]),
            if_true,
            if_false,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}

impl Machine {
    /// Returns how many instructions are passed over.
    fn jump(&self, instruction: &Instruction) -> Option<usize> {
        let operand = self.operand(instruction);
        let is_met = match instruction.code & code::OPERATION {
            0x00 => return Some(instruction.k as usize),
            0x10 => self.a == operand,
            0x20 => self.a > operand,
            0x30 => self.a >= operand,
            0x40 => self.a & operand != 0,
            _ => return None,
        };
        let passed = if is_met {
            instruction.if_true
        } else {
            instruction.if_false
        };
        Some(passed.into())
    }

    fn operand(&self, instruction: &Instruction) -> u32 {
        match instruction.code & code::X {
            0 => instruction.k,
            _ => self.x,
        }
    }

    fn step(&mut self, instruction: &Instruction, call: &SystemCall) -> Option<()> {
        let slot = instruction.k as usize;
        match instruction.code & code::CLASS {
            code::LD => self.a = self.loaded(instruction, call)?,
            code::LDX => self.x = self.loaded(instruction, call)?,
            code::ST => *self.memory.get_mut(slot)? = self.a,
            code::STX => *self.memory.get_mut(slot)? = self.x,
            code::ALU => self.a = self.calculated(instruction)?,
            _ if instruction.code & code::TXA != 0 => self.a = self.x,
            _ => self.x = self.a,
        }
        Some(())
    }

    fn loaded(&self, instruction: &Instruction, call: &SystemCall) -> Option<u32> {
        match instruction.code & code::MODE {
            code::IMM => Some(instruction.k),
            code::ABS => call.word(instruction.k),
            code::MEM => self.memory.get(instruction.k as usize).copied(),
            code::LEN => Some(64),
            _ => None,
        }
    }

    fn calculated(&self, instruction: &Instruction) -> Option<u32> {
        let (a, operand) = (self.a, self.operand(instruction));
        Some(match instruction.code & code::OPERATION {
            0x00 => a.wrapping_add(operand),
            0x10 => a.wrapping_sub(operand),
            0x20 => a.wrapping_mul(operand),
            0x30 => a.checked_div(operand)?,
            0x40 => a | operand,
            0x50 => a & operand,
            0x60 => a.checked_shl(operand).unwrap_or(0),
            0x70 => a.checked_shr(operand).unwrap_or(0),
            0x80 => a.wrapping_neg(),
            0xa0 => a ^ operand,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u16, if_true: u8, if_false: u8, k: u32) -> FilterInstruction {
        let ([c0, c1], [k0, k1, k2, k3]) = (code.to_ne_bytes(), k.to_ne_bytes());
        [c0, c1, if_true, if_false, k0, k1, k2, k3]
    }

    fn call(number: u32, first: u64) -> SystemCall {
        SystemCall {
            number,
            architecture: 0xc000_003e,
            instruction: 0x7000,
            arguments: [first, 0, 0, 0, 0, 0],
        }
    }

    /// As container runtimes do: clone is allowed where it makes no namespace.
    #[test]
    fn a_filter_of_containers_allows_a_clone_without_namespaces_only() {
        let filter = [
            instruction(0x20, 0, 0, 4),
            instruction(0x15, 1, 0, 0xc000_003e),
            instruction(0x06, 0, 0, 0),
            instruction(0x20, 0, 0, 0),
            instruction(0x15, 1, 0, 56),
            instruction(0x06, 0, 0, ALLOW),
            instruction(0x20, 0, 0, 16),
            instruction(0x54, 0, 0, 0x7e02_0000),
            instruction(0x15, 1, 0, 0),
            instruction(0x06, 0, 0, 0x0005_0001),
            instruction(0x06, 0, 0, ALLOW),
        ];
        assert_eq!(run(&filter, &call(56, 0x400)), Some(ALLOW));
        assert_eq!(run(&filter, &call(56, 0x1000_0000)), Some(0x0005_0001));
        assert_eq!(run(&filter, &call(61, 0)), Some(ALLOW));
        let other = SystemCall {
            architecture: 0x4000_0003,
            ..call(61, 0)
        };
        assert_eq!(run(&filter, &other), Some(0));
    }

    #[test]
    fn what_is_no_filter_says_nothing() {
        assert_eq!(run(&[], &call(56, 0)), None);
        assert_eq!(run(&[instruction(0x20, 0, 0, 0)], &call(56, 0)), None);
        // Outside the structure, beyond the memory, divided by zero.
        for (code, k) in [(0x20, 64), (0x60, 16), (0x34, 0)] {
            let filter = [instruction(code, 0, 0, k), instruction(0x06, 0, 0, ALLOW)];
            assert_eq!(run(&filter, &call(56, 0)), None, "{code:#x}");
        }
    }
}
