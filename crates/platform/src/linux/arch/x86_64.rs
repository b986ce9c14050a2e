//! x86-64: `struct user_regs_struct` (sys/user.h; 27 words of 64 bits, or 17 of 32 bits for a
//! 32-bit thread), and the XSAVE area.

use crate::{linux::sys::ptrace, xsave_layout};
use snapshot::{Registers, X86, X86_64, xsave};
use std::{
    arch::x86_64::{__cpuid, __cpuid_count},
    io,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// The instruction by which the kernel replaces that at a uprobe: int3.
pub(crate) const BREAKPOINT: &[u8] = &[0xcc];

pub(super) const NT_PRSTATUS: u32 = 1;
pub(super) const NT_X86_XSTATE: u32 = 0x202;
pub(super) const NT_X86_SHSTK: u32 = 0x204;
const NT_PRFPREG: u32 = 2;
const NT_386_TLS: u32 = 0x200;
/// Three `struct user_desc`.
const TLS_SEGMENTS: usize = 3 * 16;
/// The size in bytes of the largest XSAVE area: it is 11,008 bytes with AMX, and there is room for
/// what comes after it.
pub(super) const LARGEST_XSTATE: usize = 32 << 10;
pub(super) const GENERAL: usize = 27 * 8;
pub(super) const GENERAL_32: usize = 17 * 4;

/// The number of write(2).
pub(crate) const WRITE: i32 = 1;
/// The number of writev(2).
pub(crate) const WRITEV: i32 = 20;
/// Offsets in bytes of the first three arguments of a system call (rdi, rsi, rdx) in `struct
/// pt_regs`, where they are adjacent.
pub(crate) const PROBE_ARGUMENTS: [i16; 3] = [14 * 8, 13 * 8, 12 * 8];
/// The lowest of these offsets.
pub(crate) const PROBE_ARGUMENTS_START: i16 = 12 * 8;

/// Reads the general registers of a stopped thread.
pub(crate) fn general(tid: i32) -> io::Result<Registers> {
    let mut buffer = [0; GENERAL];
    let bytes = ptrace::register_set(tid, NT_PRSTATUS, &mut buffer)?;
    decode(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads the segments of thread-local memory of a stopped thread of a 32-bit program; empty if there are none.
pub(crate) fn tls_segments(tid: i32) -> Vec<u8> {
    let mut buffer = [0; TLS_SEGMENTS];
    let bytes = ptrace::register_set(tid, NT_386_TLS, &mut buffer);
    bytes.map(<[u8]>::to_vec).unwrap_or_default()
}

/// Decodes a register set of a 64-bit or 32-bit thread, which is told by its length.
pub(super) fn decode(bytes: &[u8]) -> Option<Registers> {
    match bytes.len() {
        GENERAL => Some(decode_64(bytes)),
        GENERAL_32 => Some(decode_32(bytes)),
        _ => None,
    }
}

/// Decodes a `struct user_regs_struct` of 64-bit words.
fn decode_64(bytes: &[u8]) -> Registers {
    let word = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().unwrap_or_default());
    Registers::X86_64(X86_64 {
        r15: word(0),
        r14: word(1),
        r13: word(2),
        r12: word(3),
        rbp: word(4),
        rbx: word(5),
        r11: word(6),
        r10: word(7),
        r9: word(8),
        r8: word(9),
        rax: word(10),
        rcx: word(11),
        rdx: word(12),
        rsi: word(13),
        rdi: word(14),
        orig_rax: word(15),
        rip: word(16),
        cs: word(17) as u16,
        rflags: word(18),
        rsp: word(19),
        ss: word(20) as u16,
        fs_base: word(21),
        gs_base: word(22),
        ds: word(23) as u16,
        es: word(24) as u16,
        fs: word(25) as u16,
        gs: word(26) as u16,
        debug: [0; 6],
    })
}

/// Decodes a register set of 32-bit words (`struct user_regs_struct32` of the kernel's asm/user32.h).
fn decode_32(bytes: &[u8]) -> Registers {
    let word = |at: usize| u32::from_le_bytes(bytes[at * 4..][..4].try_into().unwrap_or_default());
    Registers::X86(X86 {
        ebx: word(0),
        ecx: word(1),
        edx: word(2),
        esi: word(3),
        edi: word(4),
        ebp: word(5),
        eax: word(6),
        ds: word(7) as u16,
        es: word(8) as u16,
        fs: word(9) as u16,
        gs: word(10) as u16,
        orig_eax: word(11),
        eip: word(12),
        cs: word(13) as u16,
        eflags: word(14),
        esp: word(15),
        ss: word(16) as u16,
    })
}

/// The number of words of `struct pt_regs`, which a uprobe's program is given: the first of
/// `user_regs_struct`.
pub(crate) const PROBE_WORDS: usize = 21;
/// Which of them is the stack pointer.
pub(crate) const PROBE_STACK_POINTER: usize = 19;

/// Reads the same words of a stopped thread.
pub(crate) fn probed(tid: i32) -> io::Result<Vec<u8>> {
    let mut buffer = [0; GENERAL];
    let bytes = ptrace::register_set(tid, NT_PRSTATUS, &mut buffer)?;
    Ok(bytes.to_vec())
}

/// Decodes the registers that a uprobe's program reported; `None` if there are too few bytes.
pub(crate) fn from_probe(bytes: &[u8]) -> Option<Registers> {
    let mut whole = [0; GENERAL];
    whole[..PROBE_WORDS * 8].copy_from_slice(bytes.get(..PROBE_WORDS * 8)?);
    decode(&whole)
}

/// Where the kernel has the thread pointer of a thread that does not run (`struct task_struct`). Of a running one it is right
/// unless the program sets it by an instruction (`wrfsbase`), which libraries of threads do not.
pub(crate) const THREAD_POINTER: &[(&str, &str)] =
    &[("task_struct", "thread"), ("thread_struct", "fsbase")];

/// Adds the thread pointer to registers that a kernel's program told.
pub(crate) fn with_thread_pointer(registers: Registers, pointer: u64) -> Registers {
    match registers {
        Registers::X86_64(registers) => Registers::X86_64(X86_64 {
            fs_base: pointer,
            ..registers
        }),
        other => other,
    }
}

/// Returns the registers of a thread of a 32-bit program, of which a kernel's program told 64 bits.
pub(crate) fn narrowed(registers: Registers) -> Registers {
    let Registers::X86_64(wide) = registers else {
        return registers;
    };
    let [eax, ebx, ecx, edx] = [wide.rax, wide.rbx, wide.rcx, wide.rdx].map(|word| word as u32);
    let [esi, edi, ebp, esp] = [wide.rsi, wide.rdi, wide.rbp, wide.rsp].map(|word| word as u32);
    Registers::X86(X86 {
        eax,
        ebx,
        ecx,
        edx,
        esi,
        edi,
        ebp,
        esp,
        eip: wide.rip as u32,
        eflags: wide.rflags as u32,
        cs: wide.cs,
        ss: wide.ss,
        ds: wide.ds,
        es: wide.es,
        fs: wide.fs,
        gs: wide.gs,
        orig_eax: wide.orig_rax as u32,
    })
}

/// Returns a buffer for the extended registers of a thread. One buffer serves for all threads of a
/// process.
pub(crate) fn extended_buffer() -> Vec<u8> {
    vec![0; LARGEST_XSTATE]
}

/// Reads the extended registers of a stopped thread: the XSAVE area in the standard layout with the
/// registers of the shadow stack, or the FXSAVE area if the processor has no XSAVE.
pub(crate) fn extended(tid: i32, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
    let Ok(bytes) = ptrace::register_set(tid, NT_X86_XSTATE, buffer) else {
        return Ok(ptrace::register_set(tid, NT_PRFPREG, buffer)?.to_vec());
    };
    let mut area = xsave_layout().to_standard(bytes);
    add_shadow_stack(tid, &mut area);
    Ok(area)
}

/// Adds the registers of the shadow stack, which the kernel leaves out of the XSAVE area because
/// only it may set them. It tells the pointer, and only that, of a thread whose shadow stack is on
/// (arch/x86/kernel/fpu/regset.c, `ssp_get`).
fn add_shadow_stack(tid: i32, area: &mut Vec<u8>) {
    /// The bit of IA32_U_CET that turns the shadow stack on.
    const ON: u64 = 1;
    /// Whether the kernel does not know these registers (EINVAL): then it is not asked for each of a thousand threads.
    static UNKNOWN: AtomicBool = AtomicBool::new(false);
    if !has_shadow_stacks() || UNKNOWN.load(Ordering::Relaxed) {
        return;
    }
    let mut pointer = [0; 8];
    match ptrace::register_set(tid, NT_X86_SHSTK, &mut pointer) {
        Ok(_) => {
            let registers = [ON.to_le_bytes(), pointer];
            xsave::set(area, xsave::SHADOW_STACK, registers.as_flattened());
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            UNKNOWN.store(true, Ordering::Relaxed);
        }
        Err(_) => {}
    }
}

/// Returns whether the processor has shadow stacks (CPUID leaf 7, CET_SS; Intel SDM volume 1,
/// §17.2).
fn has_shadow_stacks() -> bool {
    const FEATURES: u32 = 7;
    const CET_SS: u32 = 1 << 7;
    static HAS: LazyLock<bool> = LazyLock::new(|| {
        __cpuid(0).eax >= FEATURES && __cpuid_count(FEATURES, 0).ecx & CET_SS != 0
    });
    *HAS
}

/// Returns the few registers that `/proc/TID/syscall` tells of a thread that does not stop.
pub(crate) fn from_syscall_file(sp: u64, ip: u64) -> Registers {
    Registers::X86_64(X86_64 {
        rsp: sp,
        rip: ip,
        cs: 0x33,
        ss: 0x2b,
        ..X86_64::default()
    })
}

/// Returns whether a thread that is in its exit leaves alone (exit(2), not exit_group(2)).
pub(crate) fn is_leaving_alone(tid: i32) -> bool {
    match general(tid) {
        Ok(Registers::X86_64(r)) => r.orig_rax == libc::SYS_exit as u64,
        // By the numbers of i386, exit is 1.
        Ok(Registers::X86(r)) => r.orig_eax == 1,
        _ => false,
    }
}
