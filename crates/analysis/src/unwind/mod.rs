//! Unwinding: from the registers of one frame to those of the frame that called it, by the tables
//! that compilers write into images.
//!
//! [`Dwarf`] reads the call frame information of ELF images, [`FunctionTable`] the unwind
//! information of 64-bit Windows images. `image` finds the tables, `stack` walks with them.

mod arch;
mod cpu;
mod dwarf;
mod pe;

pub(crate) use cpu::Cpu;
pub(crate) use dwarf::Dwarf;
pub(crate) use pe::FunctionTable;

/// The frame whose caller is looked for.
pub(crate) struct Callee<'a> {
    /// Its registers.
    pub(crate) cpu: &'a Cpu,
    /// Whether the instruction pointer is where the thread is; otherwise it is where a call will
    /// return to.
    pub(crate) is_exact: bool,
    /// An address of the image's file plus this is one of the process, modulo 2⁶⁴.
    pub(crate) bias: u64,
    /// Reads a little-endian word of 1 to 8 bytes from the process; `None` where there is no
    /// memory.
    pub(crate) word: &'a dyn Fn(u64, u8) -> Option<u64>,
}

impl Callee<'_> {
    /// The address, in the process, by which to look up names and unwinding rules.
    pub(crate) fn lookup(&self) -> u64 {
        lookup_address(self.cpu.ip, self.is_exact)
    }
}

/// The address by which to look up names and unwinding rules of a frame at `ip`.
///
/// That of a caller is one less: a call may be the last instruction of its function, so that it
/// returns to the first of the next one.
pub(crate) fn lookup_address(ip: u64, is_exact: bool) -> u64 {
    ip.wrapping_sub(u64::from(!is_exact))
}

/// What one way of unwinding found.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, on the stack"
)]
pub(crate) enum Step {
    /// The next frame.
    Caller {
        /// Its registers.
        cpu: Cpu,
        /// Whether the frame just left is the kernel's return from a signal handler: then the next
        /// frame was interrupted and did not call.
        is_signal_frame: bool,
    },
    /// There is no next frame: the one just left is the first function of the thread.
    Root,
}
