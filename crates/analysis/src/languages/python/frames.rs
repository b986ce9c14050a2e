//! The frames of a thread (`frameobject.h`, `pycore_frame.h`).

use super::layout::{At, Entry, Layout, Newest};
use super::lines;
use crate::languages::{LONGEST_NAME, LanguageFrame};
use crate::python_object as object;
use crate::runtime::Runtime;
use snapshot::Memory;
use std::collections::HashSet;

/// The most frames of one thread.
const MOST: usize = 1 << 14;

/// The largest table of lines, in bytes.
const LARGEST_TABLE: u64 = 1 << 20;

/// The name of a function whose own cannot be read.
pub(super) const UNREADABLE: &str = "(not in the dump)";

/// Since 3.14 the lowest bits of a pointer to an object may say how it is counted (`pycore_stackref.h`).
const TAGS: u64 = 3;

/// The owner of frames that are none of functions: they mark where a call of the interpreter's loop began.
const NO_FUNCTION: u8 = 3;

pub(super) struct Frames<'a> {
    pub(super) layout: &'a Layout,
    pub(super) memory: &'a dyn Memory,
}

impl Frames<'_> {
    fn word(&self, at: u64, offset: u64) -> Option<u64> {
        self.memory.read_u64(at.wrapping_add(offset))
    }

    fn byte(&self, at: u64, offset: u64) -> Option<u8> {
        let mut byte = [0];
        let is_read = self.memory.read_all(at.wrapping_add(offset), &mut byte);
        is_read.then_some(byte[0])
    }

    /// The functions of a thread, in the parts that one call of the interpreter's loop runs. `budget` is the number of frames that
    /// may be read.
    pub(super) fn of(&self, state: u64, budget: &mut usize) -> Vec<Vec<LanguageFrame>> {
        let (mut parts, mut part) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut next = self.newest(state);
        while let Some(frame) = next.filter(|frame| *frame != 0 && seen.insert(*frame)) {
            if seen.len() > MOST || *budget == 0 {
                break;
            }
            *budget -= 1;
            part.extend(self.function(frame));
            if self.is_entry(frame) {
                parts.push(std::mem::take(&mut part));
            }
            next = self.word(frame, self.layout.frame.previous);
        }
        parts.push(part);
        parts.retain(|part| !part.is_empty());
        parts
    }

    fn newest(&self, state: u64) -> Option<u64> {
        match self.layout.newest {
            Newest::Frame(at) => self.word(state, at),
            Newest::Behind(pointer, at) => self.word(self.word(state, pointer)?, at),
        }
    }

    fn is_entry(&self, frame: u64) -> bool {
        match self.layout.frame.entry {
            Entry::Each => true,
            Entry::Flag(at) => self.byte(frame, at).is_some_and(|flag| flag != 0),
            Entry::Owner(at) => self
                .byte(frame, at)
                .is_some_and(|owner| owner >= NO_FUNCTION),
        }
    }

    /// The function of a frame; `None` if it is of none.
    fn function(&self, frame: u64) -> Option<LanguageFrame> {
        if matches!(self.layout.frame.entry, Entry::Owner(_)) && self.is_entry(frame) {
            return None;
        }
        let code = self.word(frame, self.layout.frame.code)? & !TAGS;
        let Some(at) = self.instruction(frame, code) else {
            return Some(self.named(code, None));
        };
        at.map(|at| self.named(code, Some(at)))
    }

    /// The function of a code object, and the line of the instruction at `at`.
    fn named(&self, code: u64, at: Option<u64>) -> LanguageFrame {
        let is_code = object::is_a(code, "code", self.memory);
        let heads = (self.layout.text_head, self.layout.wide_text_head);
        let text = |at: u64| {
            let text = self.word(code, at).filter(|_| is_code)?;
            object::text(text, heads, LONGEST_NAME, self.memory)
        };
        LanguageFrame {
            language: Runtime::Python,
            function: text(self.layout.code.name).unwrap_or_else(|| UNREADABLE.to_owned()),
            file: text(self.layout.code.file),
            line: at.and_then(|at| self.line(code, at)),
        }
    }

    /// Where a frame is in its code, in bytes; `Some(None)` if its function has not begun yet: Python's tracebacks do not have it either
    /// (`_PyFrame_IsIncomplete`). `None` if that cannot be read.
    fn instruction(&self, frame: u64, code: u64) -> Option<Option<u64>> {
        let (at, first) = match self.layout.frame.at {
            At::Number(at, unit) => {
                let number = self.memory.read_u32(frame.wrapping_add(at))? as i32;
                (i64::from(number) * i64::from(unit), 0)
            }
            At::Pointer(at) => {
                let start = code.wrapping_add(self.layout.code.code);
                let first = self.memory.read_u32(start.wrapping_sub(16))?;
                (self.word(frame, at)?.wrapping_sub(start) as i64, first)
            }
        };
        let at = u64::try_from(at).ok();
        Some(at.filter(|at| *at >= u64::from(first) * 2))
    }

    fn line(&self, code: u64, at: u64) -> Option<u32> {
        let first = self
            .memory
            .read_u32(code.wrapping_add(self.layout.code.first_line))?;
        let table = self.word(code, self.layout.code.lines)?;
        let table = object::bytes(table, LARGEST_TABLE, self.memory)?;
        lines::line(self.layout.version, &table, first, at)
    }
}
