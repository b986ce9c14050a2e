//! The runtimes of languages: a program whose memory is any bytes, with a table of Go's or an interpreter of Python's at its start.
//!
//! The first byte tells which. Python's `_PyRuntime` is known by the symbols of a small library that is made here.
#![no_main]

use analysis::{Candidates, FileBytes, Files, NoFiles, Stack, Stacks};
use snapshot::{
    Memory, Module, Protection, Range, Region, Registers, Snapshot, Thread, X86_64,
};

const BASE: u64 = 0x40_0000;

/// The program's memory.
struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let at = usize::try_from(address.wrapping_sub(BASE)).unwrap_or(usize::MAX);
        let bytes = self.0.get(at..).unwrap_or_default();
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        count
    }
}

/// A library in Breakpad's form, whose only symbol is at its start.
struct Runtime;

impl Files for Runtime {
    fn images<'a>(&'a self, _: &'a Module) -> Candidates<'a> {
        Box::new(std::iter::empty())
    }

    fn tables<'a>(&'a self, _: &'a Module) -> Candidates<'a> {
        let symbols = "MODULE Linux x86_64 0 app\nPUBLIC 0 0 _PyRuntime\n";
        let file: FileBytes = std::sync::Arc::new(symbols.as_bytes().to_vec());
        Box::new(std::iter::once(file))
    }
}

fn region(range: Range, write: bool, name: &str) -> Region {
    Region {
        range,
        protection: Protection {
            read: true,
            write,
            execute: !write,
        },
        name: name.to_owned(),
        ..Region::default()
    }
}

fn snapshot(size: u64) -> Snapshot {
    let registers = X86_64 {
        rip: BASE + 0x100,
        rsp: BASE + 0x800,
        fs_base: BASE + 0x400,
        ..X86_64::default()
    };
    Snapshot {
        threads: vec![Thread {
            id: 1,
            registers: Some(Registers::X86_64(registers)),
            ..Thread::default()
        }],
        modules: vec![Module {
            range: Range::new(BASE, BASE + size),
            path: "/usr/bin/python3.11".to_owned(),
            ..Module::default()
        }],
        regions: vec![
            region(Range::new(BASE, BASE + size / 2), false, "/app"),
            region(Range::new(BASE + size / 2, BASE + size), true, "/app"),
            region(Range::new(0xc0_0000_0000, 0xc0_0000_1000), true, "[anon: Go: heap]"),
        ],
        ..Snapshot::default()
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let head: &[u8] = match kind % 5 {
        0 => b"xdebugpy",
        1 => &[0xfa, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        2 => &[0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        3 => &[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        _ => &[],
    };
    let memory = Bytes([head, rest].concat());
    let snapshot = snapshot(memory.0.len() as u64);
    let files: [&dyn Files; 2] = [&NoFiles, &Runtime];
    let stacks = Stacks::new(&snapshot, &memory, files[usize::from(kind % 5 == 0)]);
    let walk = |thread| (thread, stacks.of(thread));
    let mut threads: Vec<(&Thread, Stack)> = snapshot.threads.iter().map(walk).collect();
    analysis::languages(&stacks, &mut threads);
});
