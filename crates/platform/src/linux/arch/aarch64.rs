//! 64-bit ARM: `struct user_pt_regs` and `struct user_fpsimd_state` (asm/ptrace.h).

use crate::linux::sys::ptrace;
use snapshot::{Aarch64, Registers};
use std::io;

/// The instruction by which the kernel replaces that at a uprobe: `brk #5`.
pub(crate) const BREAKPOINT: &[u8] = &0xd420_00a0_u32.to_le_bytes();

const NT_PRSTATUS: u32 = 1;
const NT_PRFPREG: u32 = 2;
const NT_ARM_TLS: u32 = 0x401;
const WORDS: usize = 34;

/// The number of write(2).
pub(crate) const WRITE: i32 = 64;
/// The number of writev(2).
pub(crate) const WRITEV: i32 = 66;
/// Offsets in bytes of the first three arguments of a system call in `struct pt_regs`, where they
/// are adjacent.
pub(crate) const PROBE_ARGUMENTS: [i16; 3] = [0, 8, 16];
/// The lowest of these offsets.
pub(crate) const PROBE_ARGUMENTS_START: i16 = 0;

/// Reads the general registers of a stopped thread.
pub(crate) fn general(tid: i32) -> io::Result<Registers> {
    let mut buffer = [0; WORDS * 8];
    let bytes = ptrace::register_set(tid, NT_PRSTATUS, &mut buffer)?;
    if bytes.len() != WORDS * 8 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let word = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().unwrap_or_default());
    let x = std::array::from_fn(word);
    let mut tls = [0; 8];
    let _ = ptrace::register_set(tid, NT_ARM_TLS, &mut tls);
    let tls = u64::from_le_bytes(tls);
    Ok(Registers::Aarch64(Aarch64 {
        x,
        sp: word(31),
        pc: word(32),
        pstate: word(33),
        tls,
    }))
}

/// The number of words of `struct user_pt_regs`, which a uprobe's program is given.
pub(crate) const PROBE_WORDS: usize = WORDS;
/// Which of them is the stack pointer.
pub(crate) const PROBE_STACK_POINTER: usize = 31;

/// Returns nothing: there are no such segments.
pub(crate) fn tls_segments(_tid: i32) -> Vec<u8> {
    Vec::new()
}

/// Reads the same words of a stopped thread.
pub(crate) fn probed(tid: i32) -> io::Result<Vec<u8>> {
    let mut buffer = [0; WORDS * 8];
    let bytes = ptrace::register_set(tid, NT_PRSTATUS, &mut buffer)?;
    Ok(bytes.to_vec())
}

/// The thread pointer is no general register here.
pub(crate) const THREAD_POINTER: &[(&str, &str)] = &[];

pub(crate) fn with_thread_pointer(registers: Registers, _pointer: u64) -> Registers {
    registers
}

/// Decodes the registers that a uprobe's program reported; `None` if there are too few bytes.
pub(crate) fn from_probe(bytes: &[u8]) -> Option<Registers> {
    let word = |at: usize| {
        Some(u64::from_le_bytes(
            bytes.get(at * 8..at * 8 + 8)?.try_into().ok()?,
        ))
    };
    word(WORDS - 1)?;
    Some(Registers::Aarch64(Aarch64 {
        x: std::array::from_fn(|at| word(at).unwrap_or(0)),
        sp: word(31)?,
        pc: word(32)?,
        pstate: word(33)?,
        tls: 0,
    }))
}

/// Returns the registers of a thread of a 32-bit program. They are as they are told: such programs are not known here.
pub(crate) fn narrowed(registers: Registers) -> Registers {
    registers
}

/// Returns a buffer for the extended registers of a thread. One buffer serves for all threads of a
/// process.
pub(crate) fn extended_buffer() -> Vec<u8> {
    vec![0; 1024]
}

/// Reads the floating-point registers of a stopped thread.
pub(crate) fn extended(tid: i32, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
    Ok(ptrace::register_set(tid, NT_PRFPREG, buffer)?.to_vec())
}

/// Returns the few registers that `/proc/TID/syscall` tells of a thread that does not stop.
pub(crate) fn from_syscall_file(sp: u64, ip: u64) -> Registers {
    Registers::Aarch64(Aarch64 {
        sp,
        pc: ip,
        ..Aarch64::default()
    })
}

/// Returns whether a thread that is in its exit leaves alone (exit(2), not exit_group(2)). The
/// number of the system call is in x8.
pub(crate) fn is_leaving_alone(tid: i32) -> bool {
    matches!(general(tid), Ok(Registers::Aarch64(r)) if r.x[8] == libc::SYS_exit as u64)
}
