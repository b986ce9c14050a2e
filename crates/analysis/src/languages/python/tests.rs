//! Interpreters that were made up, whole and damaged. Real ones are read in `crates/firstchance/tests/real/languages.rs`.

use super::*;
use crate::languages::made_up::MadeUp;
use snapshot::{Registers, Thread, X86_64};

const RUNTIME: u64 = 0x1000;
const INTERPRETER: u64 = 0x1800;
const STATE: u64 = 0x1a00;
const FRAMES: [u64; 3] = [0x1c00, 0x1c80, 0x1d00];
const CODE: u64 = 0x1e00;
const TYPE: u64 = 0x2000;
const TEXTS: [u64; 2] = [0x2100, 0x2200];
const LINES: u64 = 0x2300;
const PTHREAD: u64 = 0x7f00_0000_1000;

/// A thread that runs `pay` at line 8 in two frames, both of one call of the interpreter's loop.
fn objects() -> MadeUp {
    let mut memory = MadeUp::new(RUNTIME, 0x1400);
    for (at, text) in TEXTS.into_iter().zip(["pay", "/srv/shop.py"]) {
        memory.put_u64(at + 16, text.len() as u64);
        // Compact, in ASCII, one byte for each letter.
        memory.put_u32s(at + 32, &[1 << 2 | 1 << 5 | 1 << 6]);
    }
    memory.put_u64(TYPE + 24, TYPE + 0x40);
    memory.put(TYPE + 0x40, b"code\0");
    memory.put_u64(CODE + 8, TYPE);
    // Three instructions without a column, one line further than the first.
    memory.put_u64(LINES + 16, 2);
    memory.put(LINES + 32, &[0x80 | 13 << 3 | 2, 2]);
    memory
}

/// In the layout of 3.11.
fn old() -> MadeUp {
    let mut memory = objects();
    memory.put(TEXTS[0] + 48, b"pay");
    memory.put(TEXTS[1] + 48, b"/srv/shop.py");
    memory.put_u64(RUNTIME + 40, INTERPRETER);
    memory.put_u64(INTERPRETER + 16, STATE);
    memory.put_u64(RUNTIME + 368, STATE);
    memory.put_u32s(RUNTIME + 376, &[1]);
    memory.put_u64(STATE + 152, PTHREAD);
    memory.put_u64(STATE + 56, STATE + 0x180);
    memory.put_u64(STATE + 0x180 + 8, FRAMES[0]);
    for (at, next, is_entry) in [(FRAMES[0], FRAMES[1], 0), (FRAMES[1], 0, 1)] {
        memory.put_u64(at + 32, CODE);
        memory.put_u64(at + 48, next);
        memory.put_u64(at + 56, CODE + 184 + 2);
        memory.put(at + 68, &[is_entry]);
    }
    for (at, value) in [(112, TEXTS[1]), (128, TEXTS[0]), (136, LINES)] {
        memory.put_u64(CODE + at, value);
    }
    memory.put_u32s(CODE + 72, &[7]);
    memory
}

/// In the layout that a map of 3.14 tells, which is none of a real version.
fn published() -> MadeUp {
    let mut memory = objects();
    memory.put(TEXTS[0] + 40, b"pay");
    memory.put(TEXTS[1] + 40, b"/srv/shop.py");
    memory.put(RUNTIME, b"xdebugpy");
    memory.put_u64(RUNTIME + 8, 0x030e_00f0);
    let offsets = [
        (5, 0x200),
        (8, 8),
        (9, 16),
        (15, 24),
        (16, 0x40),
        (18, 0x48),
        (19, 0x50),
        (24, 0),
        (26, 32),
        (27, 40),
        (28, 48),
        (32, 8),
        (33, 16),
        (34, 24),
        (36, 32),
        (40, 16),
        (42, 24),
        (43, 32),
        (44, 40),
        (48, 64),
    ];
    for (number, offset) in offsets {
        memory.put_u64(RUNTIME + 8 * number, offset);
    }
    memory.put_u64(RUNTIME + 0x200, INTERPRETER);
    memory.put_u64(INTERPRETER + 16, STATE);
    memory.put_u64(INTERPRETER + 24, INTERPRETER + 0x40);
    memory.put_u32s(INTERPRETER + 0x48, &[1]);
    memory.put_u64(INTERPRETER + 0x50, STATE);
    memory.put_u64(STATE + 40, PTHREAD);
    memory.put_u64(STATE + 32, FRAMES[0]);
    for (at, next, owner) in [
        (FRAMES[0], FRAMES[1], 0),
        (FRAMES[1], FRAMES[2], 0),
        (FRAMES[2], 0, 3),
    ] {
        // The lowest bits of a pointer say how it is counted.
        memory.put_u64(at + 16, CODE | 1);
        memory.put_u64(at + 8, next);
        memory.put_u64(at + 24, CODE + 64 + 2);
        memory.put(at + 32, &[owner]);
    }
    for (at, value) in [(16, TEXTS[1]), (24, TEXTS[0]), (32, LINES)] {
        memory.put_u64(CODE + at, value);
    }
    memory.put_u32s(CODE + 40, &[7]);
    memory
}

fn snapshot() -> Snapshot {
    let registers = X86_64 {
        fs_base: PTHREAD,
        ..X86_64::default()
    };
    Snapshot {
        threads: vec![Thread {
            id: 12,
            registers: Some(Registers::X86_64(registers)),
            ..Thread::default()
        }],
        ..Snapshot::default()
    }
}

fn read_it(memory: &MadeUp) -> Result<Python, String> {
    let found = Found {
        runtime: RUNTIME,
        named: named_version("/usr/lib/libpython3.11.so.1.0"),
        version: None,
    };
    read(&found, &snapshot(), memory)
}

#[test]
fn the_functions_of_a_thread_are_told_by_a_table_and_by_the_map_of_the_interpreter() {
    for (memory, version) in [(old(), "3.11"), (published(), "3.14")] {
        let python = read_it(&memory).expect("an interpreter");
        assert_eq!(python.version, version);
        let [thread] = &python.threads[..] else {
            panic!("{python:?}");
        };
        assert_eq!(thread.thread, Some(12));
        let pay = LanguageFrame {
            language: crate::Runtime::Python,
            function: "pay".to_owned(),
            file: Some("/srv/shop.py".to_owned()),
            line: Some(8),
        };
        assert_eq!(thread.parts, [vec![pay.clone(), pay]], "{version}");
        let [gil] = python.gils[..] else {
            panic!("{python:?}");
        };
        assert_eq!(gil.owner, Some(12));
        assert!(gil.holds(gil.address + 100) && !gil.holds(gil.address + 300));
        assert_eq!(python.notes, Vec::<String>::new());
    }
}

#[test]
fn a_list_that_runs_in_a_circle_ends() {
    let mut memory = old();
    memory.put_u64(FRAMES[1] + 48, FRAMES[0]);
    memory.put_u64(STATE + 8, STATE);
    memory.put_u64(INTERPRETER, INTERPRETER);
    let python = read_it(&memory).expect("an interpreter");
    assert_eq!(python.threads.len(), 1);
    assert_eq!(python.threads[0].parts.concat().len(), 2);
}

#[test]
fn a_version_that_is_not_known_is_said() {
    for (version, words) in [
        (
            0x0310_0000,
            "the map that Python 3.16 has of itself is not known",
        ),
        (0x030c_0000, "the map that Python 3.12"),
    ] {
        let mut memory = published();
        memory.put_u64(RUNTIME + 8, version);
        let error = read_it(&memory).expect_err("a sentence");
        assert!(error.starts_with(words), "{error}");
    }
    let found = |named| Found {
        runtime: RUNTIME,
        named,
        version: None,
    };
    let memory = old();
    let error = |named| read(&found(named), &snapshot(), &memory).expect_err("a sentence");
    assert_eq!(
        error(Some((3, 7))),
        "Python 3.7 is not read: 3.8 and later are"
    );
    assert!(error(None).starts_with("the version of Python is not known"));
}

#[test]
fn versions_stand_in_the_names_of_files() {
    for (file, version) in [
        ("/usr/bin/python3.11", Some((3, 11))),
        (
            "/usr/lib/_json.cpython-312-x86_64-linux-gnu.so",
            Some((3, 12)),
        ),
        ("/usr/lib/libpython3.so", None),
        ("/usr/bin/python3", None),
    ] {
        assert_eq!(named_version(file), version, "{file}");
    }
}

/// None of them ends in a panic, nor takes long.
#[test]
fn damaged_interpreters_are_read_as_far_as_they_go() {
    for whole in [old(), published()] {
        for memory in whole.damaged() {
            if let Ok(python) = read_it(&memory) {
                assert!(python.threads.len() < 1000);
            }
        }
    }
}
