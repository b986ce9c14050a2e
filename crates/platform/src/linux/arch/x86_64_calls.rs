//! x86-64: system calls made by a stopped thread of a target, and the signal frame that brings it back to where it stood
//! whatever becomes of us.
//!
//! The thread stands on a frame such as the kernel makes for a handler of signals (arch/x86/include/asm/sigframe.h,
//! `struct rt_sigframe`), while it makes the call. Behind the call's instruction stands a `ret`, which takes the frame's
//! first word: the address of `rt_sigreturn`, which loads everything from the frame.

use super::x86_64::{GENERAL, LARGEST_XSTATE, NT_PRSTATUS, NT_X86_SHSTK, NT_X86_XSTATE};
use crate::linux::sys::ptrace;
use std::io;

/// The code that makes a call and returns: `syscall; ret`.
pub(crate) const CALL: &[u8] = &[0x0f, 0x05, 0xc3];
/// The code that returns from a signal: `mov $15, %rax; syscall`.
pub(crate) const BACK: &[u8] = &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// The bytes of [`CALL`] up to the address that filters of system calls see.
pub(crate) const CALL_INSTRUCTION: u64 = 2;
/// This kind of processor, as filters of system calls are told it (`AUDIT_ARCH_X86_64`).
pub(crate) const AUDIT: u32 = 0xc000_003e;
/// The bytes below the stack pointer that a function may use without moving it (System V ABI, "red zone").
pub(crate) const RED_ZONE: u64 = 128;

/// Numbers of the words of `struct user_regs_struct` (sys/user.h).
mod word {
    pub(super) const R10: usize = 7;
    pub(super) const RAX: usize = 10;
    pub(super) const RDX: usize = 12;
    pub(super) const RSI: usize = 13;
    pub(super) const RDI: usize = 14;
    pub(super) const ORIG_RAX: usize = 15;
    pub(super) const RIP: usize = 16;
    pub(super) const CS: usize = 17;
    pub(super) const RSP: usize = 19;
    pub(super) const FS_BASE: usize = 21;
}

/// The words of `struct sigcontext`, by their numbers in `struct user_regs_struct`.
const CONTEXT: [usize; 18] = [9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16, 18];
/// Where in a frame its parts are, in bytes: `uc_flags`, `ss_flags`, the context, and what follows the signal's
/// information. The extended registers are to be aligned to 64 bytes, as the frame itself is.
const FLAGS: usize = 8;
const STACK_FLAGS: usize = 32;
const REGISTERS: usize = 48;
const SEGMENTS: usize = REGISTERS + 18 * 8;
const EXTENDED_POINTER: usize = REGISTERS + 23 * 8;
const MASK: usize = 304;
const EXTENDED: usize = 384;
/// Bytes of an XSAVE area that are the program's, where the kernel describes the rest (`struct _fpx_sw_bytes`).
const DESCRIPTION: usize = 464;
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;
/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const FRAME_FLAGS: u64 = 1 | 2 | 4;
/// Flags that no alternate stack has: it stays as it is.
const NO_STACK: u32 = 0x7fff_0000;
/// `__USER_CS` and `__USER_DS`.
const USER_CODE: u64 = 0x33;
const USER_DATA: u64 = 0x2b;
/// What an interrupted system call returns to the kernel itself (`ERESTARTSYS` and its like in linux/errno.h).
const RESTARTS: [i64; 4] = [-512, -513, -514, -516];

/// Where the two pieces of code are in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gadgets {
    /// The address of [`CALL`].
    pub(crate) call: u64,
    /// The address of [`BACK`].
    pub(crate) back: u64,
}

/// Everything that a call changes of a stopped thread.
pub(crate) struct Saved {
    general: [u64; GENERAL / 8],
    extended: Vec<u8>,
    mask: u64,
}

impl Saved {
    /// Reads them. Returns `None` for a thread whose calls cannot be made in this way: that of a 32-bit program, or one with
    /// a shadow stack, of which a `ret` to a frame takes no notice.
    pub(crate) fn of(tid: i32, buffer: &mut [u8]) -> io::Result<Option<Self>> {
        let mut bytes = [0; GENERAL];
        let is_narrow = ptrace::register_set(tid, NT_PRSTATUS, &mut bytes)?.len() < GENERAL;
        let general = words(&bytes);
        let has_shadow_stack = ptrace::register_set(tid, NT_X86_SHSTK, &mut [0; 8]).is_ok();
        if is_narrow || has_shadow_stack || general[word::CS] != USER_CODE {
            return Ok(None);
        }
        let extended = ptrace::register_set(tid, NT_X86_XSTATE, buffer)?.to_vec();
        let is_plain = (DESCRIPTION + 48..LARGEST_XSTATE).contains(&extended.len());
        let mask = ptrace::blocked_signals(tid)?;
        Ok(is_plain.then_some(Self {
            general,
            extended,
            mask,
        }))
    }

    pub(crate) fn stack_pointer(&self) -> u64 {
        self.general[word::RSP]
    }

    pub(crate) fn instruction(&self) -> u64 {
        self.general[word::RIP]
    }

    pub(crate) fn thread_pointer(&self) -> u64 {
        self.general[word::FS_BASE]
    }

    /// The most bytes that a frame takes.
    pub(crate) fn frame_bytes(&self) -> u64 {
        (EXTENDED + self.extended.len() + 4 + 127) as u64 & !63
    }

    /// Returns a frame below an address that brings the thread back, and its own address.
    ///
    /// rt_sigreturn forgets how an interrupted call goes on: the call is made again from its begin there.
    pub(crate) fn frame(&self, top: u64, gadgets: Gadgets) -> (u64, Vec<u8>) {
        let mut general = self.general;
        let is_interrupted = RESTARTS.contains(&(general[word::RAX] as i64));
        if general[word::ORIG_RAX] as i64 >= 0 && is_interrupted {
            general[word::RAX] = general[word::ORIG_RAX];
            general[word::RIP] -= CALL_INSTRUCTION;
        }
        self.frame_with(&general, top, gadgets)
    }

    /// Returns a frame below an address that ends the process, and its own address.
    pub(crate) fn frame_of_end(&self, top: u64, gadgets: Gadgets) -> (u64, Vec<u8>) {
        let mut general = self.general;
        general[word::RIP] = gadgets.call;
        general[word::RAX] = libc::SYS_exit_group as u64;
        general[word::RDI] = 0;
        general[word::RSP] = top;
        self.frame_with(&general, top, gadgets)
    }

    fn frame_with(
        &self,
        general: &[u64; GENERAL / 8],
        top: u64,
        gadgets: Gadgets,
    ) -> (u64, Vec<u8>) {
        let at = (top - self.frame_bytes()) & !63;
        let mut frame = vec![0; EXTENDED];
        let mut put = |at: usize, word: u64| frame[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(0, gadgets.back);
        put(FLAGS, FRAME_FLAGS);
        put(STACK_FLAGS, NO_STACK.into());
        for (number, of) in CONTEXT.into_iter().enumerate() {
            put(REGISTERS + number * 8, general[of]);
        }
        put(SEGMENTS, USER_CODE | USER_DATA << 48);
        put(EXTENDED_POINTER, at + EXTENDED as u64);
        put(MASK, self.mask);
        frame.extend(self.extended_of_frame());
        (at, frame)
    }

    /// The extended registers as a frame has them: described for the kernel, and with a mark behind them.
    fn extended_of_frame(&self) -> Vec<u8> {
        let mut area = self.extended.clone();
        let features: [u8; 8] = area[DESCRIPTION..DESCRIPTION + 8]
            .try_into()
            .unwrap_or_default();
        let size = area.len() as u32;
        let mut description = Vec::new();
        description.extend(MAGIC_1.to_le_bytes());
        description.extend((size + 4).to_le_bytes());
        description.extend(features);
        description.extend(size.to_le_bytes());
        area[DESCRIPTION..DESCRIPTION + description.len()].copy_from_slice(&description);
        area.extend(MAGIC_2.to_le_bytes());
        area
    }

    /// Lets the thread begin a call, on a frame, with all signals blocked: else the call could be broken off, or a handler run
    /// on the frame. The registers come first: from then on the frame brings the signals back.
    pub(crate) fn begin(
        &self,
        tid: i32,
        gadgets: Gadgets,
        frame: u64,
        call: (i64, [u64; 4]),
    ) -> io::Result<()> {
        let mut general = self.general;
        general[word::RIP] = gadgets.call;
        general[word::RSP] = frame;
        general[word::RAX] = call.0 as u64;
        general[word::ORIG_RAX] = u64::MAX;
        let places = [word::RDI, word::RSI, word::RDX, word::R10];
        for (place, argument) in places.into_iter().zip(call.1) {
            general[place] = argument;
        }
        set_general(tid, &general)?;
        ptrace::block_signals(tid, u64::MAX)?;
        ptrace::to_next_call(tid)
    }

    /// Brings a thread that stands behind its call back to where it was. The signals come first: until the registers are set,
    /// the frame covers both.
    pub(crate) fn restore(&self, tid: i32) -> io::Result<()> {
        ptrace::block_signals(tid, self.mask)?;
        set_general(tid, &self.general)
    }
}

/// Returns what a thread's call has returned.
pub(crate) fn returned(tid: i32) -> io::Result<i64> {
    let mut bytes = [0; GENERAL];
    ptrace::register_set(tid, NT_PRSTATUS, &mut bytes)?;
    Ok(words(&bytes)[word::RAX] as i64)
}

fn words(bytes: &[u8; GENERAL]) -> [u64; GENERAL / 8] {
    let mut words = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word));
    std::array::from_fn(|_| words.next().unwrap_or(0))
}

fn set_general(tid: i32, general: &[u64; GENERAL / 8]) -> io::Result<()> {
    let bytes: Vec<u8> = general.iter().flat_map(|word| word.to_le_bytes()).collect();
    ptrace::set_register_set(tid, NT_PRSTATUS, &bytes)
}
