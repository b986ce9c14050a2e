//! Tables that were made up, whole and damaged. Real ones are read in `crates/firstchance/tests/real/languages.rs`.

use super::line_table::{LineTable, find};
use super::module::{Module, Parts};
use crate::languages::made_up::MadeUp;
use snapshot::Range;

const START: u64 = 0x1000;
const TEXT: u64 = 0x40_0000;
const CALLS: u64 = START + 0x500;
const MODULE: u64 = START + 0x800;

/// A table of Go 1.20 with two functions: `main.outer`, with a call that is inlined at its beginning, and `main.last`; and a
/// `moduledata` that points at it.
fn table() -> MadeUp {
    let mut memory = MadeUp::new(START, 0x1000);
    memory.put_u32s(START, &[0xffff_fff1, 0x0801_0000]);
    let parts = [2, 1, 0, 0x100, 0x200, 0x280, 0x300, 0x400];
    for (number, value) in parts.into_iter().enumerate() {
        memory.put_u64(START + 8 + 8 * number as u64, value);
    }
    memory.put(START + 0x100, b"\0main.outer\0main.inlined\0main.last\0");
    memory.put_u32s(START + 0x200, &[1]);
    memory.put(START + 0x280, b"\0/src/shop.go\0");
    // Frames of 24 bytes; file 0; lines 10 and, from 0x20 on, 15; call 0 up to 0x10; nothing.
    memory.put(START + 0x301, &[50, 0x40, 0]);
    memory.put(START + 0x304, &[2, 0x40, 0]);
    memory.put(START + 0x308, &[22, 0x20, 10, 0x20, 0]);
    memory.put(START + 0x310, &[2, 0x10, 1, 0x30, 0]);
    memory.put_u32s(START + 0x400, &[0, 0x20, 0x40, 0x80, 0x80, 0]);
    let none = u32::MAX;
    let outer = [
        0,
        1,
        0,
        0,
        1,
        4,
        8,
        3,
        0,
        9,
        0x0400_0000,
        0,
        0,
        0x10,
        none,
        none,
        none,
        0,
    ];
    memory.put_u32s(START + 0x420, &outer);
    let last = [0x40, 25, 0, 0, 1, 4, 8, 0, 0, 30, 0x0000_0100];
    memory.put_u32s(START + 0x480, &last);
    memory.put_u32s(CALLS, &[0, 12, 0x20, 3]);
    memory.put_u64(MODULE, START);
    let words = [
        TEXT,
        TEXT + 0x80,
        0x9000,
        0x9100,
        0x9100,
        0x9200,
        0x9200,
        0x9300,
        0x9300,
        0x9400,
    ];
    for (number, value) in words.into_iter().enumerate() {
        memory.put_u64(MODULE + 8 * (22 + number as u64), value);
    }
    memory.put_u64(MODULE + 8 * 40, CALLS);
    memory.put(START + 0xb00, b"\xff Go buildinf:\x08\x02");
    memory.put(START + 0xb20, b"\x06go1.22");
    memory
}

fn module(memory: &MadeUp, section: Option<u64>) -> Option<Module> {
    let end = memory.start + memory.bytes.len() as u64;
    let parts = Parts {
        section,
        constants: &[Range::new(START, MODULE)],
        variables: &[Range::new(MODULE, end)],
    };
    Module::find(&parts, memory)
}

#[test]
fn functions_lines_and_inlined_calls_are_told_with_and_without_a_section() {
    let memory = table();
    for section in [Some(START), None] {
        let module = module(&memory, section).expect("a table");
        let told = |address| {
            let place = module.place(address, &memory)?;
            let frames = place.frames().into_iter();
            let frames = frames.map(|f| format!("{} {:?} {:?}", f.function, f.file, f.line));
            Some((
                frames.collect::<Vec<_>>(),
                place.symbol(address).to_string(),
            ))
        };
        let file = r#"Some("/src/shop.go")"#;
        let (frames, symbol) = told(TEXT + 4).expect("a function");
        assert_eq!(
            frames,
            [
                format!("main.inlined {file} Some(10)"),
                format!("main.outer {file} Some(15)"),
            ]
        );
        assert_eq!(symbol, "main.outer+0x4");
        let (frames, _) = told(TEXT + 0x11).expect("a function");
        assert_eq!(frames, [format!("main.outer {file} Some(10)")]);
        let (frames, symbol) = told(TEXT + 0x40).expect("a function");
        assert_eq!(frames, [format!("main.last {file} Some(10)")]);
        assert_eq!(symbol, "main.last");
        assert_eq!(told(TEXT + 0x80), None);
        assert_eq!(told(TEXT - 1), None);
    }
}

#[test]
fn a_table_is_found_by_its_head() {
    let memory = table();
    assert_eq!(find(&memory.bytes), Some(0));
    let mut moved = vec![0; 24];
    moved.extend(&memory.bytes);
    assert_eq!(find(&moved), Some(24));
    assert_eq!(find(&memory.bytes[8..]), None);
    assert!(LineTable::read(START + 8, Some(TEXT), &memory).is_none());
}

/// None of them ends in a panic, nor takes long.
#[test]
fn damaged_tables_are_read_as_far_as_they_go() {
    for memory in table().damaged() {
        for section in [Some(START), None] {
            let module = module(&memory, section);
            for address in [TEXT, TEXT + 0x20, TEXT + 0x7f, 0, u64::MAX] {
                let place = module
                    .as_ref()
                    .and_then(|module| module.place(address, &memory));
                assert!(place.is_none_or(|place| place.frames().len() <= 64));
            }
        }
    }
}
