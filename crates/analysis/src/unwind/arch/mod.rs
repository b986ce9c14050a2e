//! What unwinding needs to know of a processor: its DWARF register numbers, what a call looks like,
//! and where the kernel puts the registers of a thread that a signal interrupted.

mod aarch64;
mod arm;
mod riscv64;
mod x86;
mod x86_64;

use snapshot::{Architecture, Registers};

/// The most DWARF numbers that any processor here has.
pub(crate) const MOST_REGISTERS: usize = 33;

/// What unwinding needs to know of a processor.
pub(crate) struct Processor {
    /// Size of a pointer in bytes.
    pub(crate) pointer: u64,
    /// DWARF number of the stack pointer.
    pub(crate) sp: usize,
    /// DWARF number of the frame pointer.
    pub(crate) fp: usize,
    /// DWARF number of the return address.
    pub(crate) ra: usize,
    /// Whether a call puts the return address in a register (ARM) and not on the stack.
    pub(crate) has_link_register: bool,
    /// Whether functions with a frame pointer have the caller's there, and the return address behind it.
    pub(crate) has_frame_chain: bool,
    /// The bits that belong to an address. The others of a return address may be a signature (ARM
    /// pointer authentication).
    pub(crate) address_mask: u64,
    /// The longest call instruction, in bytes.
    pub(crate) longest_call: usize,
    /// Whether these bytes, which end right before an address, end with a call instruction.
    pub(crate) ends_with_call: fn(&[u8]) -> bool,
    /// The code that a signal handler returns to, `rt_sigreturn`. It has no unwinding rules in musl
    /// and Go.
    pub(crate) signal_return: &'static [u8],
    /// Where the kernel has put the registers of the interrupted code: DWARF number, and offset in
    /// bytes from the stack pointer in `rt_sigreturn`.
    pub(crate) signal_registers: &'static [(usize, u64)],
    /// The same for the instruction pointer.
    pub(crate) signal_ip: u64,
}

/// The description of a processor.
pub(crate) fn processor(architecture: Architecture) -> &'static Processor {
    match architecture {
        Architecture::X86 => &x86::PROCESSOR,
        // The stack of x32 has words of eight bytes, too: calls push them.
        Architecture::X86_64 | Architecture::X32 => &x86_64::PROCESSOR,
        Architecture::Arm => &arm::PROCESSOR,
        Architecture::Aarch64 => &aarch64::PROCESSOR,
        Architecture::RiscV64 => &riscv64::PROCESSOR,
    }
}

/// The registers by their DWARF numbers; 0 for numbers that the processor does not use.
pub(crate) fn numbered(registers: &Registers) -> [u64; MOST_REGISTERS] {
    match registers {
        Registers::X86(r) => x86::numbered(r),
        Registers::X86_64(r) => x86_64::numbered(r),
        Registers::Arm(r) => arm::numbered(r),
        Registers::Aarch64(r) => aarch64::numbered(r),
        Registers::RiscV64(r) => riscv64::numbered(r),
    }
}
