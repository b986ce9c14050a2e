//! 64-bit ARM: system calls made by a stopped thread of a target. They are not made here yet: the frame of a signal has to be
//! written as `arch/arm64/kernel/signal.c` reads it, and tried. All functions say so.

use std::io;

/// No code is looked for.
pub(crate) const CALL: &[u8] = &[];
/// No code is looked for.
pub(crate) const BACK: &[u8] = &[];
pub(crate) const CALL_INSTRUCTION: u64 = 4;
/// This kind of processor, as filters of system calls are told it (`AUDIT_ARCH_AARCH64`).
pub(crate) const AUDIT: u32 = 0xc000_00b7;
pub(crate) const RED_ZONE: u64 = 0;

/// Where the two pieces of code are in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gadgets {
    pub(crate) call: u64,
    pub(crate) back: u64,
}

/// Everything that a call changes of a stopped thread: never had.
pub(crate) enum Saved {}

impl Saved {
    /// Returns `None`.
    pub(crate) fn of(_tid: i32, _buffer: &mut [u8]) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn stack_pointer(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn instruction(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn thread_pointer(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn frame_bytes(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn frame(&self, _top: u64, _gadgets: Gadgets) -> (u64, Vec<u8>) {
        match *self {}
    }

    pub(crate) fn frame_of_end(&self, _top: u64, _gadgets: Gadgets) -> (u64, Vec<u8>) {
        match *self {}
    }

    pub(crate) fn begin(
        &self,
        _tid: i32,
        _gadgets: Gadgets,
        _frame: u64,
        _call: (i64, [u64; 4]),
    ) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn restore(&self, _tid: i32) -> io::Result<()> {
        match *self {}
    }
}

/// Never called, as no call is begun.
pub(crate) fn returned(_tid: i32) -> io::Result<i64> {
    Err(io::ErrorKind::Unsupported.into())
}
