//! Walks without a real process: memory is a list of words, code is a region.

use super::*;
use crate::image::NoFiles;
use snapshot::{
    Aarch64, Architecture, NoMemory, OperatingSystem, Protection, Range, Region, Registers, System,
    X86, X86_64,
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
    arm_with_link(fp, 0, stack)
}

fn arm_with_link(fp: u64, link: u64, stack: &[(u64, u64)]) -> Stack {
    let mut x = [0; 31];
    (x[29], x[30]) = (fp, link);
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
    Stacks::new(&snapshot, &memory, &NoFiles).of(&snapshot.threads[0])
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

/// Two frames: one that returns to `0x10_0200`, and the outermost.
const CHAIN: [(u64, u64); 4] = [
    (0x8010, 0x8030),
    (0x8018, 0x10_0200),
    (0x8030, 0),
    (0x8038, 0x10_0300),
];

#[test]
fn the_caller_of_a_function_that_calls_none_is_in_the_link_register() {
    let stack = arm_with_link(0x8010, 0x10_0400, &CHAIN);
    assert_eq!(ips(&stack), [0x10_0100, 0x10_0400, 0x10_0200, 0x10_0300]);
    assert_eq!(stack.frames[1].how, How::LinkRegister);
    assert_eq!(stack.end, End::Root);
}

#[test]
fn a_link_register_that_is_in_the_frame_already_is_no_caller_of_its_own() {
    let stack = arm_with_link(0x8010, 0x10_0200, &CHAIN);
    assert_eq!(ips(&stack), [0x10_0100, 0x10_0200, 0x10_0300]);
    let nowhere = arm_with_link(0x8010, 0x7000, &CHAIN);
    assert_eq!(ips(&nowhere), [0x10_0100, 0x10_0200, 0x10_0300]);
}

/// A thread whose frame pointer is 0, and whose stack has one address behind a call.
fn guessed(os: OperatingSystem) -> Stack {
    let registers = X86_64 {
        rip: 0x10_0100,
        rsp: 0x8000,
        rbp: 0,
        ..X86_64::default()
    };
    let mut snapshot = snapshot(Architecture::X86_64, Registers::X86_64(registers));
    snapshot.system.os = os;
    let memory = Words {
        stack: [(0x8000, 12), (0x8008, 0x10_0208), (0x8010, 0)].into(),
        size: 8,
        code: vec![0x90, 0x90, 0x90, 0xe8, 0, 0, 0, 0],
    };
    Stacks::new(&snapshot, &memory, &NoFiles).of(&snapshot.threads[0])
}

#[test]
fn a_stack_with_a_guess_in_it_does_not_say_that_the_thread_began_there() {
    for os in [OperatingSystem::Linux, OperatingSystem::Windows] {
        let stack = guessed(os);
        assert_eq!(ips(&stack), [0x10_0100, 0x10_0208], "{os:?}");
        assert_eq!(stack.frames[1].how, How::Scan);
        assert_ne!(stack.end, End::Root, "{os:?}");
    }
}

#[test]
fn the_frame_pointer_of_64_bit_windows_is_no_end() {
    let registers = X86_64 {
        rip: 0x10_0100,
        rsp: 0x8000,
        rbp: 0x8010,
        ..X86_64::default()
    };
    let end = |os| {
        let mut snapshot = snapshot(Architecture::X86_64, Registers::X86_64(registers));
        snapshot.system.os = os;
        let memory = Words {
            stack: [(0x8010, 0), (0x8018, 0x10_0208)].into(),
            size: 8,
            code: vec![0x90, 0x90, 0x90, 0xe8, 0, 0, 0, 0],
        };
        let stacks = Stacks::new(&snapshot, &memory, &NoFiles);
        stacks.of(&snapshot.threads[0]).end
    };
    assert_eq!(end(OperatingSystem::Linux), End::Root);
    // Whether more is on the stack is looked for, but no more is in the dump.
    assert_eq!(end(OperatingSystem::Windows), End::NoMemory(0x8020));
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
    let stack = Stacks::new(&snapshot, &memory, &NoFiles).of(&snapshot.threads[0]);
    assert_eq!(ips(&stack), [0x10_0100, 0x10_0208]);
    assert_eq!(stack.frames[1].how, How::Scan);
}

#[test]
fn a_thread_without_registers_has_no_frames() {
    let snapshot = Snapshot::default();
    let stack = Stacks::new(&snapshot, &NoMemory, &NoFiles).of(&Thread::default());
    assert_eq!(stack, Stack::whole(vec![], End::NoRegisters));
}
