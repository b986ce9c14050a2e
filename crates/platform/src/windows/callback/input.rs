//! `MINIDUMP_CALLBACK_INPUT` and `MINIDUMP_CALLBACK_OUTPUT` (`minidumpapiset.h`), field by field.
//!
//! The header packs its structures to four bytes, but a `CONTEXT` (`DECLSPEC_ALIGN(16)`) stays at a multiple of 16 within
//! them, for Visual C++ and for clang where it compiles for it. gcc of mingw and the crate windows-sys have it four bytes
//! before. Whoever dumps with Windows' own dbghelp sees the first.

use snapshot::{
    Range,
    choice::{OfferedModule, OfferedThread},
};

/// The size of a `CONTEXT` of 64-bit processors in bytes, and in it the flag that more follows behind it
/// (`CONTEXT_XSTATE`).
const CONTEXT: usize = 1232;
const CONTEXT_FLAGS: usize = 0x30;
const XSTATE: u8 = 0x40;

/// Offsets in the input: the process, its handle, the type of the question, and what it is about.
const HANDLE: usize = 4;
const KIND: usize = 12;
const SUBJECT: usize = 16;

/// A question. It is valid as long as what it is about, to which it points.
#[repr(C, align(16))]
pub(super) struct Input([u8; SUBJECT + 1296]);

impl Input {
    /// A question of this type about the process.
    pub(super) fn new(pid: u32, handle: usize, kind: i32) -> Self {
        let mut input = Self([0; SUBJECT + 1296]);
        input.put(0, &pid.to_le_bytes());
        input.put(HANDLE, &handle.to_le_bytes());
        input.put(KIND, &kind.to_le_bytes());
        input
    }

    /// About the thread with this id (`MINIDUMP_INCLUDE_THREAD_CALLBACK`).
    pub(super) fn thread_id(mut self, id: u32) -> Self {
        self.put(SUBJECT, &id.to_le_bytes());
        self
    }

    /// About the module at this address (`MINIDUMP_INCLUDE_MODULE_CALLBACK`).
    pub(super) fn base(mut self, base: u64) -> Self {
        self.put(SUBJECT, &base.to_le_bytes());
        self
    }

    /// About a thread with its handle (`MINIDUMP_THREAD_CALLBACK`).
    pub(super) fn thread(self, thread: &OfferedThread, handle: usize) -> Self {
        let mut input = self.thread_id(thread.id);
        let size = thread.context.len().min(CONTEXT);
        let mut context = thread.context[..size].to_vec();
        if thread.context.len() > CONTEXT {
            context[CONTEXT_FLAGS] &= !XSTATE;
        }
        let at = SUBJECT + 16 + CONTEXT;
        input.put(SUBJECT + 4, &handle.to_le_bytes());
        input.put(SUBJECT + 16, &context);
        input.put(at, &(size as u32).to_le_bytes());
        input.put(at + 4, &thread.stack.start.to_le_bytes());
        input.put(at + 12, &thread.stack.end.to_le_bytes());
        input
    }

    /// About a module (`MINIDUMP_MODULE_CALLBACK`). `path` is its path in UTF-16 with a NUL at the end.
    pub(super) fn module(self, module: &OfferedModule, path: &[u16]) -> Self {
        let pointer = |at: *const u8| at.expose_provenance().to_le_bytes();
        let mut input = self;
        input.put(SUBJECT, &pointer(path.as_ptr().cast()));
        input.put(SUBJECT + 8, &module.range.start.to_le_bytes());
        input.put(SUBJECT + 16, &(module.range.len() as u32).to_le_bytes());
        input.put(SUBJECT + 20, &module.checksum.to_le_bytes());
        input.put(SUBJECT + 24, &module.timestamp.to_le_bytes());
        input.put(SUBJECT + 28, &module.version);
        if !module.codeview.is_empty() {
            input.put(SUBJECT + 80, &pointer(module.codeview.as_ptr()));
            input.put(SUBJECT + 88, &(module.codeview.len() as u32).to_le_bytes());
        }
        input
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The place for an answer. It is longer than the structure, whose fields lie one behind the other in old headers.
#[repr(C, align(16))]
pub(super) struct Output([u8; 256]);

impl Output {
    /// With these flags, which are the answer unless the routine changes them.
    pub(super) fn with_flags(flags: u32) -> Self {
        let mut output = Self([0; 256]);
        output.0[..4].copy_from_slice(&flags.to_le_bytes());
        output
    }

    /// The answer as flags.
    pub(super) fn flags(&self) -> u32 {
        self.word(0)
    }

    /// The answer as a range of memory: address, and 32 bits of size.
    pub(super) fn memory(&self) -> Range {
        let start = u64::from(self.word(4)) << 32 | u64::from(self.word(0));
        Range::new(start, start.saturating_add(self.word(8).into()))
    }

    /// The answer to [`CancelCallback`](windows_sys::Win32::System::Diagnostics::Debug::CancelCallback): whether it is to be
    /// asked again, and whether the dump is cancelled.
    pub(super) fn cancel(&self) -> (bool, bool) {
        (self.word(0) != 0, self.word(4) != 0)
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.0[at..].first_chunk().copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(input: &Input, at: usize) -> u32 {
        u32::from_le_bytes(*input.0[at..].first_chunk().expect("four bytes"))
    }

    /// The offsets are those that clang 18 lays out for `x86_64-pc-windows-msvc`.
    #[test]
    fn n49_a_thread_is_told_as_visual_c_lays_it_out() {
        let thread = OfferedThread {
            id: 7,
            context: vec![0xff; 1600],
            stack: Range::new(0x1_2000_0000, 0x1_2000_4000),
        };
        let input = Input::new(5, 0x44, 1).thread(&thread, 0x48);
        let words = [0, 4, 12, 16, 20, 32, 1264, 1268, 1272, 1276];
        let told = words.map(|at| word(&input, at));
        let context = [!0, 1232];
        let stack = [0x2000_0000, 1, 0x2000_4000];
        // `ContextFlags` say nothing of what is not there.
        assert_eq!(word(&input, 32 + CONTEXT_FLAGS), !0x40);
        assert_eq!(told[..5], [5, 0x44, 1, 7, 0x48]);
        assert_eq!(told[5..7], context);
        assert_eq!(told[7..], stack);
        assert_eq!(size_of::<Input>(), SUBJECT + 1296);
    }

    #[test]
    fn n49_answers_are_read_where_the_header_has_them() {
        let mut output = Output::with_flags(0x7f);
        assert_eq!(output.flags(), 0x7f);
        output.0[..12].copy_from_slice(&[0, 0x10, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0]);
        assert_eq!(output.memory(), Range::new(0x1_0000_1000, 0x1_0000_1200));
        assert_eq!(output.cancel(), (true, true));
    }
}
