//! The runtimes of languages: a program whose memory is any bytes, with a table of Go's or an interpreter of Python's at its start; or a
//! sound virtual machine of Java in which words are changed.
//!
//! The first byte tells which. Python's `_PyRuntime` and HotSpot's tables are known by the symbols of small libraries that are made here.
#![no_main]

#[allow(dead_code, reason = "the tests use more of the memory that is made up")]
#[path = "../../crates/analysis/src/languages/made_up.rs"]
mod made_up;
#[allow(dead_code, reason = "the tests use more of the machine that is made up")]
#[path = "../../crates/analysis/src/languages/java/made_up_machine.rs"]
mod made_up_machine;
#[path = "../../crates/analysis/src/languages/java/made_up_tables.rs"]
mod made_up_tables;

use analysis::{Candidates, FileBytes, Files, NoFiles, Stacks, examine};
use made_up_machine::{CODE, COMPILED, FRAME, STACK, START};
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

/// The file of a library.
struct Library(Vec<u8>);

impl Library {
    /// A small one of ELF with these symbols: its head, then the symbols, their names, and where these are.
    fn of(symbols: &[(String, u64)]) -> Self {
        let mut names = vec![0];
        let mut table = vec![0; SYMBOL];
        for (name, at) in symbols {
            table.extend(u64s(&[0x0001_0011 << 32 | names.len() as u64, FIRST + at, 8]));
            names.extend(name.bytes().chain([0]));
        }
        let (symbols_at, names_at) = (HEAD, HEAD + table.len() as u64);
        let sections_at = names_at + names.len() as u64;
        let sizes = [0x0038_0040_0000_0000, 0x0002_0003_0040_0001];
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend(u64s(&[0x1_003e_0003, 0, 64, sections_at, sizes[0], sizes[1]]));
        file.extend(u64s(&[0x5_0000_0001, 0, FIRST, FIRST, HEAD, HEAD, 0x1000]));
        file.extend(table);
        file.extend(names);
        file.extend([0; SECTION]);
        let size = names_at - symbols_at;
        file.extend(u64s(&[2 << 32, 0, 0, symbols_at, size, 0x1_0000_0002, 8, SYMBOL as u64]));
        let size = sections_at - names_at;
        file.extend(u64s(&[3 << 32, 0, 0, names_at, size, 0, 1, 0]));
        Self(file)
    }
}

/// Sizes of structures in a file of ELF, in bytes, and the address at which the library begins by its file.
const HEAD: u64 = 64 + 56;
const SYMBOL: usize = 24;
const SECTION: usize = 64;
const FIRST: u64 = 0x1000;

fn u64s(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Files for Library {
    fn images<'a>(&'a self, _: &'a Module) -> Candidates<'a> {
        let file: FileBytes = std::sync::Arc::new(self.0.clone());
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

fn read(snapshot: &Snapshot, memory: &dyn Memory, files: &dyn Files) {
    drop(examine(snapshot, memory, Stacks::new(snapshot, memory, files)));
}

/// A virtual machine in which each ten bytes change a word: where it is, and its value. Its library ends behind the tables, so that its
/// code is in no module.
fn read_java(changes: &[u8]) {
    let mut memory = made_up_machine::machine().memory;
    for change in changes.as_chunks::<10>().0 {
        let [low, high, word @ ..] = change;
        let at = usize::from(u16::from_le_bytes([*low, *high])) % (memory.bytes.len() - 8);
        memory.bytes[at..at + 8].copy_from_slice(word);
    }
    let thread = |id, rip, rsp, rbp| Thread {
        id,
        registers: Some(Registers::X86_64(X86_64 { rip, rsp, rbp, ..X86_64::default() })),
        ..Thread::default()
    };
    let snapshot = Snapshot {
        threads: vec![thread(71, COMPILED + 0x90, STACK, FRAME), thread(72, CODE + 0x50, STACK, FRAME)],
        modules: vec![Module {
            range: Range::new(START, START + made_up_tables::STATICS),
            path: "/lib/libjvm.so".to_owned(),
            ..Module::default()
        }],
        ..Snapshot::default()
    };
    read(&snapshot, &memory, &Library::of(&made_up_tables::symbols()));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let head: &[u8] = match kind % 6 {
        0 => b"xdebugpy",
        1 => &[0xfa, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        2 => &[0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        3 => &[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        4 => &[],
        _ => return read_java(rest),
    };
    let memory = Bytes([head, rest].concat());
    let snapshot = snapshot(memory.0.len() as u64);
    let python = Library::of(&[("_PyRuntime".to_owned(), 0)]);
    let files: [&dyn Files; 2] = [&NoFiles, &python];
    read(&snapshot, &memory, files[usize::from(kind % 6 == 0)]);
});
