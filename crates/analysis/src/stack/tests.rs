//! Walks without a real process: memory is a list of words, code is a region.

use super::*;
use snapshot::{
    Aarch64, Architecture, NoMemory, Protection, Range, Region, Registers, System, X86,
};
use std::collections::BTreeMap;

/// Words by address; code reads as calls.
struct Words {
    stack: BTreeMap<u64, u64>,
    size: usize,
    code: Vec<u8>,
}

const CODE: Range = Range::new(0x10_0000, 0x11_0000);

impl Memory for Words {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        if CODE.contains(address) {
            let bytes = self
                .code
                .iter()
                .cycle()
                .skip((address % self.code.len() as u64) as usize);
            buf.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            return buf.len();
        }
        match self.stack.get(&address) {
            Some(word) if buf.len() <= self.size => {
                buf.copy_from_slice(&word.to_le_bytes()[..buf.len()])
            }
            _ => return 0,
        }
        buf.len()
    }
}

fn snapshot(architecture: Architecture, registers: Registers) -> Snapshot {
    Snapshot {
        system: System {
            architecture,
            ..System::default()
        },
        threads: vec![Thread {
            registers: Some(registers),
            ..Thread::default()
        }],
        regions: vec![Region {
            range: CODE,
            protection: Protection {
                read: true,
                write: false,
                execute: true,
            },
            ..Region::default()
        }],
        ..Snapshot::default()
    }
}

fn arm(fp: u64, stack: &[(u64, u64)]) -> Stack {
    let mut x = [0; 31];
    x[29] = fp;
    let registers = Aarch64 {
        x,
        sp: 0x8000,
        pc: 0x10_0100,
        ..Aarch64::default()
    };
    let snapshot = snapshot(Architecture::Aarch64, Registers::Aarch64(registers));
    // bl
    let code = 0x9400_0010u32.to_le_bytes().to_vec();
    let memory = Words {
        stack: stack.iter().copied().collect(),
        size: 8,
        code,
    };
    Stacks::new(&snapshot, &memory, Files::NONE).of(&snapshot.threads[0])
}

fn ips(stack: &Stack) -> Vec<u64> {
    stack.frames.iter().map(|f| f.ip).collect()
}

#[test]
fn arm_frames_are_chained_and_their_signatures_dropped() {
    let chain = [
        (0x8010, 0x8030),
        (0x8018, 0x00ab_0000_0010_0200),
        (0x8030, 0),
        (0x8038, 0x10_0300),
    ];
    let stack = arm(0x8010, &chain);
    assert_eq!(ips(&stack), [0x10_0100, 0x10_0200, 0x10_0300]);
    assert_eq!(stack.end, End::Root);
    assert!(stack.frames[1..].iter().all(|f| f.how == How::FramePointer));
}

#[test]
fn a_chain_that_leads_back_is_no_chain() {
    let circle = [
        (0x8010, 0x8030),
        (0x8018, 0x10_0200),
        (0x8030, 0x8010),
        (0x8038, 0x10_0300),
    ];
    let stack = arm(0x8010, &circle);
    assert!(stack.frames.len() <= 3, "{stack:?}");
    assert_ne!(stack.end, End::Root);
}

#[test]
fn a_stack_that_is_not_in_the_dump_is_named() {
    let stack = arm(0x8010, &[]);
    assert_eq!(ips(&stack), [0x10_0100]);
    assert_eq!(stack.end, End::NoMemory(0x8000));
    assert_eq!(
        stack.end.to_string(),
        "the stack at 0x8000 is not in the dump"
    );
}

#[test]
fn a_32_bit_stack_is_searched_for_return_addresses() {
    let registers = X86 {
        eip: 0x10_0100,
        esp: 0x8000,
        ebp: 7,
        ..X86::default()
    };
    let snapshot = snapshot(Architecture::X86, Registers::X86(registers));
    // Every 8 bytes: nops, and a call that ends at the eighth.
    let code = vec![0x90, 0x90, 0x90, 0xe8, 0, 0, 0, 0];
    let words = [
        (0x8000, 0x10_0203),
        (0x8004, 12),
        (0x8008, 0x10_0208),
        (0x800c, 0),
    ];
    let memory = Words {
        stack: words.into(),
        size: 4,
        code,
    };
    let stack = Stacks::new(&snapshot, &memory, Files::NONE).of(&snapshot.threads[0]);
    assert_eq!(ips(&stack), [0x10_0100, 0x10_0208]);
    assert_eq!(stack.frames[1].how, How::Scan);
}

#[test]
fn a_thread_without_registers_has_no_frames() {
    let snapshot = Snapshot::default();
    let stack = Stacks::new(&snapshot, &NoMemory, Files::NONE).of(&Thread::default());
    assert_eq!(
        stack,
        Stack {
            frames: vec![],
            end: End::NoRegisters
        }
    );
}
