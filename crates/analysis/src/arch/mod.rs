//! What unwinding must know of a processor: its DWARF register numbers, what a call looks like,
//! and where the kernel puts the registers of a thread that a signal interrupted.

mod aarch64;
mod x86;
mod x86_64;

use snapshot::{Architecture, Registers};

/// The most registers that any of them numbers.
pub(crate) const MOST_REGISTERS: usize = 33;

/// A processor, for unwinding.
pub(crate) struct Processor {
    /// Bytes a pointer.
    pub(crate) pointer: u64,
    /// DWARF number of the stack pointer.
    pub(crate) sp: usize,
    /// DWARF number of the frame pointer.
    pub(crate) fp: usize,
    /// DWARF number of the return address's column.
    pub(crate) ra: usize,
    /// The return address is in a register on entry (ARM), not on the stack.
    pub(crate) has_link_register: bool,
    /// Return addresses may be signed: bits that an address has not (ARM pointer authentication).
    pub(crate) address_mask: u64,
    /// The longest call instruction, in bytes.
    pub(crate) longest_call: usize,
    /// Whether these bytes, which end right before an address, end with a call instruction.
    pub(crate) ends_with_call: fn(&[u8]) -> bool,
    /// The code that a signal handler returns to, which has no unwinding rules in musl and Go.
    pub(crate) signal_return: &'static [u8],
    /// Where, counted from the stack pointer in that code, lie the instruction pointer and the
    /// registers of the interrupted code: (DWARF number, offset in bytes).
    pub(crate) signal_registers: &'static [(usize, u64)],
    /// Offset of the interrupted instruction pointer, as above.
    pub(crate) signal_ip: u64,
}

/// The processor of that name.
pub(crate) fn processor(architecture: Architecture) -> &'static Processor {
    match architecture {
        Architecture::X86 => &x86::PROCESSOR,
        Architecture::X86_64 => &x86_64::PROCESSOR,
        Architecture::Aarch64 => &aarch64::PROCESSOR,
    }
}

/// Registers by their DWARF numbers.
pub(crate) fn numbered(registers: &Registers) -> [u64; MOST_REGISTERS] {
    match registers {
        Registers::X86(r) => x86::numbered(r),
        Registers::X86_64(r) => x86_64::numbered(r),
        Registers::Aarch64(r) => aarch64::numbered(r),
    }
}
