//! Causes of snapshots that are made up: of processors that are not here, and of dumps that are made to do harm.

use super::*;
use crate::{NoFiles, Stacks};
use snapshot::{Aarch64, Protection, Range, Region, System, Thread, X86_64};
use std::collections::BTreeMap;

/// Words by their addresses, and elsewhere the same word everywhere, or nothing.
#[derive(Default)]
struct Words {
    known: BTreeMap<u64, u64>,
    elsewhere: Option<u64>,
}

impl Memory for Words {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        for (done, byte) in buf.iter_mut().enumerate() {
            let address = address.wrapping_add(done as u64);
            let word = self.known.get(&(address & !7)).copied().or(self.elsewhere);
            let Some(word) = word else {
                return done;
            };
            *byte = word.to_le_bytes()[(address & 7) as usize];
        }
        buf.len()
    }
}

fn region(start: u64, end: u64, execute: bool) -> Region {
    Region {
        range: Range::new(start, end),
        protection: Protection {
            read: true,
            write: !execute,
            execute,
        },
        ..Region::default()
    }
}

fn snapshot(registers: Registers, signal: u32, code: i32, address: u64) -> Snapshot {
    Snapshot {
        system: System {
            architecture: registers.architecture(),
            ..System::default()
        },
        threads: vec![Thread {
            id: 7,
            registers: Some(registers),
            ..Thread::default()
        }],
        regions: vec![
            region(0x1000, 0x9000, true),
            region(0x2_0000, 0x3_0000, false),
        ],
        exception: Some(Exception {
            thread: 7,
            code: signal,
            flags: code as u32,
            address,
            ..Exception::default()
        }),
        ..Snapshot::default()
    }
}

fn of(snapshot: &Snapshot, memory: &dyn Memory) -> Cause {
    let stacks = Stacks::new(snapshot, memory, &NoFiles);
    let stack = stacks.of(&snapshot.threads[0]);
    cause(snapshot, &stacks, &stack).unwrap()
}

fn arm() -> Registers {
    Registers::Aarch64(Aarch64 {
        pc: 0x1100,
        sp: 0x2_8000,
        ..Aarch64::default()
    })
}

/// What reads or writes is not decoded there.
#[test]
fn of_arm_the_words_of_the_kernel_are_told_and_no_more() {
    let found = of(&snapshot(arm(), 11, 1, 8), &Words::default());
    let Kind::Access(fault) = &found.kind else {
        panic!("{found:?}");
    };
    assert_eq!(
        (fault.address, fault.verb, &fault.place),
        (8, None, &Place::Null(8))
    );
    assert_eq!((&fault.access, &found.instruction), (&None, &None));
    let jump = of(&snapshot(arm(), 11, 1, 0x1100), &Words::default());
    assert!(
        matches!(
            jump.kind,
            Kind::Access(Fault {
                verb: Some(Verb::Execute),
                ..
            })
        ),
        "{jump:?}"
    );
    let full = of(&snapshot(arm(), 11, 2, 0x1_fff8), &Words::default());
    assert!(
        matches!(full.kind, Kind::Access(_)),
        "the stack pointer is far above: {full:?}"
    );
}

/// Of a foreign dump without the words of the signal, 0 does not mean that somebody sent it.
#[test]
fn a_signal_without_words_was_sent_by_nobody() {
    let x86 = X86_64 {
        rip: 0x1000,
        rsp: 0x2_8000,
        ..X86_64::default()
    };
    let silent = |signal| {
        let mut snapshot = snapshot(Registers::X86_64(x86), signal, 0, 0);
        let exception = snapshot.exception.as_mut();
        exception.expect("a signal").told = snapshot::Told::OnlySignal;
        snapshot
    };
    // mov eax,[rdi+0x10]
    let memory = Words {
        known: [(0x1000, 0x0010_478b)].into(),
        elsewhere: None,
    };
    let found = of(&silent(11), &memory);
    let Kind::Access(fault) = &found.kind else {
        panic!("{found:?}");
    };
    assert_eq!((fault.address, fault.is_reported), (0x10, false));
    let ended = of(&silent(15), &memory);
    let Kind::Sent(origin) = &ended.kind else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (origin.sender, origin.call, origin.is_kernel),
        (None, None, false)
    );
}

#[test]
fn dumps_made_to_do_harm_have_a_cause_of_some_kind() {
    let words = [
        0,
        1,
        0x4000,
        0x2_8000,
        0x6161_6161_6161_6161,
        1 << 63,
        u64::MAX,
        0x0ff3_0b0f_c748_a5f3,
    ];
    let systems = [OperatingSystem::Linux, OperatingSystem::Windows];
    let codes = [
        0,
        4,
        5,
        6,
        7,
        8,
        11,
        31,
        0xC000_0005,
        0xC000_0006,
        0xC000_00FD,
        0xC000_0409,
        0xE06D_7363,
    ];
    for (word, os, code) in words
        .iter()
        .flat_map(|word| systems.map(|os| (*word, os)))
        .flat_map(|(word, os)| codes.map(|code| (word, os, code)))
    {
        for flags in [0, 1, 2, 128, -6] {
            let registers = X86_64 {
                rax: word,
                rdi: word,
                rip: word,
                rsp: word,
                fs_base: word,
                ..X86_64::default()
            };
            let mut snapshot = snapshot(Registers::X86_64(registers), code, flags, word);
            snapshot.system.os = os;
            snapshot.threads[0].siginfo = Some(word.to_le_bytes().repeat(16));
            snapshot.threads[0].teb = word;
            if let Some(exception) = &mut snapshot.exception {
                exception.parameters = vec![word; 15];
            }
            let memory = Words {
                known: BTreeMap::new(),
                elsewhere: Some(word),
            };
            if let Some(exception) = &mut snapshot.exception {
                exception.name = "X".to_owned();
            }
            let found = of(&snapshot, &memory);
            assert!(!found.signature.is_empty(), "{found:?}");
            let stack = Stacks::new(&snapshot, &memory, &NoFiles).of(&snapshot.threads[0]);
            assert!(found.frame <= stack.frames.len());
        }
    }
}

#[test]
fn a_dump_that_a_program_asked_for_is_of_no_death() {
    let snapshot = snapshot(arm(), u32::MAX, 0, 0);
    let memory = Words::default();
    let stacks = Stacks::new(&snapshot, &memory, &NoFiles);
    let stack = stacks.of(&snapshot.threads[0]);
    assert_eq!(cause(&snapshot, &stacks, &stack), None);
}
