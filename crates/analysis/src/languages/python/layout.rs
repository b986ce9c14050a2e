//! Where CPython keeps what is read here, in bytes: as it says itself since 3.13 (`_Py_DebugOffsets` in `pycore_debug_offsets.h`),
//! and by a table for each version before. The tables are those of release builds on 64-bit systems.

use super::Found;
use snapshot::Memory;

/// The places of one version.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) version: (u8, u8),
    /// In `_PyRuntime`: the first interpreter.
    pub(super) interpreters: u64,
    /// In an interpreter: the next one, and the first thread.
    pub(super) next_interpreter: u64,
    pub(super) threads: u64,
    pub(super) gil: GilPlace,
    /// In a GIL: who had it last, and whether it is locked.
    pub(super) gil_holder: u64,
    pub(super) gil_locked: u64,
    /// In a thread: the next one, its pthread_t, its number in the system.
    pub(super) next_thread: u64,
    pub(super) pthread: u64,
    pub(super) native: Option<u64>,
    pub(super) exceptions: Exceptions,
    pub(super) newest: Newest,
    pub(super) frame: FrameLayout,
    pub(super) code: CodeLayout,
    /// The size of the head of a text in ASCII, before its letters, and of another one.
    pub(super) text_head: u64,
    pub(super) wide_text_head: u64,
}

/// Where a GIL is.
#[derive(Clone, Copy, Debug)]
pub(super) enum GilPlace {
    /// In `_PyRuntime` itself.
    Runtime(u64),
    /// Behind a pointer in each interpreter.
    Interpreter(u64),
}

/// In a thread: the value of the exception that is raised, and the pointer to the stack of those that are handled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exceptions {
    /// Up to 3.11: the type stands before the value, which may still be the text that the exception will be made of.
    Old {
        value: u64,
        item: u64,
    },
    /// Since 3.12.
    New {
        value: u64,
        item: u64,
    },
    Unknown,
}

/// In a thread: the innermost frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Newest {
    Frame(u64),
    /// Behind a pointer to what has it.
    Behind(u64, u64),
}

/// In a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameLayout {
    pub(super) code: u64,
    pub(super) previous: u64,
    pub(super) at: At,
    pub(super) entry: Entry,
}

/// What tells the instruction of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// A 32-bit number, which counts so many bytes each.
    Number(u64, u32),
    /// A pointer into the code.
    Pointer(u64),
}

/// What tells that a call of the interpreter's loop began with a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// Each frame has a call of its own.
    Each,
    /// A byte of the frame, if it is not 0.
    Flag(u64),
    /// The frame behind it is none of a function: a byte of that, its owner, is 3 or more.
    Owner(u64),
}

/// In a code object.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeLayout {
    pub(super) file: u64,
    pub(super) name: u64,
    pub(super) first_line: u64,
    pub(super) lines: u64,
    /// Where the code begins, if it is in the object itself.
    pub(super) code: u64,
}

/// The layout of an interpreter. The error is a sentence.
pub(super) fn of(found: &Found, memory: &dyn Memory) -> Result<Layout, String> {
    let mut cookie = [0; 8];
    if memory.read_all(found.runtime, &mut cookie) && cookie == *b"xdebugpy" {
        return published(found.runtime, memory);
    }
    let told = found.version.and_then(|at| memory.read_u64(at));
    let told = told.map(|version| ((version >> 24) as u8, (version >> 16) as u8));
    match told.or(found.named) {
        Some((3, minor @ 8..=12)) => Ok(known(minor)),
        Some((major, minor)) => Err(format!(
            "Python {major}.{minor} is not read: 3.8 and later are"
        )),
        None => Err(
            "the version of Python is not known, so that its functions are not shown".to_owned(),
        ),
    }
}

/// As the interpreter says it.
fn published(runtime: u64, memory: &dyn Memory) -> Result<Layout, String> {
    let word = |number: u64| memory.read_u64(runtime.wrapping_add(8 * number));
    let unreadable = || "the map of Python's interpreter is damaged".to_owned();
    let version = word(1).ok_or_else(unreadable)?;
    let version = ((version >> 24) as u8, (version >> 16) as u8);
    if !((3, 13)..=(3, 15)).contains(&version) {
        let (major, minor) = version;
        return Err(format!(
            "the map that Python {major}.{minor} has of itself is not known: 3.13 to 3.15 are"
        ));
    }
    let numbers = Numbers::of(version.1);
    let offset = |number: u64| {
        word(number)
            .filter(|offset| *offset < 1 << 24)
            .ok_or_else(unreadable)
    };
    let thread = offset(numbers.pthread)?;
    let gil = offset(numbers.gil)?;
    Ok(Layout {
        version,
        interpreters: offset(5)?,
        next_interpreter: offset(8)?,
        threads: offset(9)?,
        gil: GilPlace::Interpreter(offset(numbers.gil - 1)?),
        gil_holder: offset(numbers.gil + 3)?.wrapping_sub(gil),
        gil_locked: offset(numbers.gil + 2)?.wrapping_sub(gil),
        next_thread: offset(numbers.thread + 2)?,
        pthread: thread,
        native: Some(offset(numbers.pthread + 1)?),
        exceptions: match version.1 {
            // Not in the map: `Include/cpython/pystate.h` of 3.13.
            13 => Exceptions::New {
                value: 112,
                item: 120,
            },
            _ => Exceptions::Unknown,
        },
        newest: Newest::Frame(offset(numbers.thread + 4)?),
        frame: FrameLayout {
            code: offset(numbers.frame + 2)?,
            previous: offset(numbers.frame + 1)?,
            at: At::Pointer(offset(numbers.frame + 3)?),
            entry: Entry::Owner(offset(numbers.frame + 5)?),
        },
        code: CodeLayout {
            file: offset(numbers.code + 1)?,
            name: offset(numbers.code + 3)?,
            first_line: offset(numbers.code + 5)?,
            lines: offset(numbers.code + 4)?,
            code: offset(numbers.code + 9)?,
        },
        text_head: 40,
        wide_text_head: 56,
    })
}

/// Numbers of words in the map.
struct Numbers {
    /// The place of the GIL itself.
    gil: u64,
    /// The first word about threads, frames, code objects, which is their size.
    thread: u64,
    pthread: u64,
    frame: u64,
    code: u64,
}

impl Numbers {
    /// For 3.13, 3.14 and 3.15.
    fn of(minor: u8) -> Self {
        let [gil, thread, pthread, frame, code] = match minor {
            13 => [15, 19, 24, 28, 34],
            14 => [16, 22, 27, 31, 39],
            _ => [16, 22, 30, 39, 47],
        };
        Self {
            gil,
            thread,
            pthread,
            frame,
            code,
        }
    }
}

/// By the headers of that version (`pycore_runtime.h`, `pycore_interp.h`, `pystate.h`, `frameobject.h`, `pycore_frame.h`, `code.h`).
fn known(minor: u8) -> Layout {
    let old_code = CodeLayout {
        file: 104,
        name: 112,
        first_line: 40,
        lines: 120,
        code: 0,
    };
    let old_frame = |at, unit| FrameLayout {
        code: 32,
        previous: 24,
        at: At::Number(at, unit),
        entry: Entry::Each,
    };
    let old = Exceptions::Old {
        value: 96,
        item: 144,
    };
    // Of 3.9; the others say where they differ.
    let base = Layout {
        version: (3, minor),
        interpreters: 32,
        next_interpreter: 0,
        threads: 8,
        gil: GilPlace::Runtime(352),
        gil_holder: 8,
        gil_locked: 16,
        next_thread: 8,
        pthread: 176,
        native: None,
        exceptions: old,
        newest: Newest::Frame(24),
        frame: old_frame(104, 1),
        code: old_code,
        text_head: 48,
        wide_text_head: 72,
    };
    match minor {
        8 => Layout {
            gil: GilPlace::Runtime(1152),
            ..base
        },
        10 => Layout {
            frame: old_frame(96, 2),
            ..base
        },
        11 => Layout {
            interpreters: 40,
            threads: 16,
            gil: GilPlace::Runtime(360),
            pthread: 152,
            native: Some(160),
            exceptions: Exceptions::Old {
                value: 104,
                item: 120,
            },
            newest: Newest::Behind(56, 8),
            frame: FrameLayout {
                code: 32,
                previous: 48,
                at: At::Pointer(56),
                entry: Entry::Flag(68),
            },
            code: CodeLayout {
                file: 112,
                name: 128,
                first_line: 72,
                lines: 136,
                code: 184,
            },
            ..base
        },
        12 => Layout {
            interpreters: 40,
            threads: 72,
            gil: GilPlace::Interpreter(384),
            pthread: 136,
            native: Some(144),
            exceptions: Exceptions::New {
                value: 96,
                item: 104,
            },
            newest: Newest::Behind(56, 0),
            frame: FrameLayout {
                code: 0,
                previous: 8,
                at: At::Pointer(56),
                entry: Entry::Owner(70),
            },
            code: CodeLayout {
                file: 112,
                name: 128,
                first_line: 68,
                lines: 136,
                code: 192,
            },
            text_head: 40,
            wide_text_head: 56,
            ..base
        },
        _ => base,
    }
}
