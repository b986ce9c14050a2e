//! Registers as `CONTEXT` of each processor (`winnt.h`), both ways.

use super::{body::bytes_of, foreign_context, xstate};
use crate::fxsave;
use minidump_common::format::{
    CONTEXT_AMD64, CONTEXT_ARM64, CONTEXT_HAS_XSTATE, CONTEXT_X86, ContextFlagsAmd64,
    ContextFlagsArm64, ContextFlagsX86, FLOATING_SAVE_AREA_X86,
};
use scroll::{LE, Pread};
use snapshot::{Aarch64, Architecture, Detail, Registers, SparseBytes, Thread, X86, X86_64};

/// The thread's context, with what `detail` tells of its extended registers. `None` if its general
/// registers are not known.
pub(super) fn write(thread: &Thread, detail: Detail) -> Option<Vec<u8>> {
    let extended = thread.extended_for(detail).to_vec();
    Some(match thread.registers.as_ref()? {
        Registers::X86_64(r) => whole_amd64(r, &extended),
        Registers::X86(r) => bytes_of(x86(r, extended.first_chunk())),
        Registers::Aarch64(r) => bytes_of(arm64(r, extended.first_chunk())),
        Registers::Arm(r) => foreign_context::arm(r),
        Registers::RiscV64(r) => foreign_context::riscv64(r),
    })
}

/// Registers, and the extended ones as [`Thread::extended`] holds them.
pub(super) fn read(architecture: Architecture, bytes: &[u8]) -> Option<(Registers, SparseBytes)> {
    match architecture {
        Architecture::X86_64 | Architecture::X32 => {
            bytes.pread_with(0, LE).ok().map(|c| from_amd64(&c, bytes))
        }
        Architecture::X86 => bytes.pread_with(0, LE).ok().map(|c| from_x86(&c)),
        Architecture::Aarch64 => foreign_context::from_old_arm64(bytes)
            .or_else(|| bytes.pread_with(0, LE).ok().map(|c| from_arm64(&c))),
        Architecture::Arm => foreign_context::from_arm(bytes),
        Architecture::RiscV64 => foreign_context::from_riscv64(bytes),
    }
}

fn whole_amd64(r: &X86_64, extended: &[u8]) -> Vec<u8> {
    let mut context = amd64(r, extended.first_chunk());
    let Some(avx) = xstate::avx(extended) else {
        return bytes_of(context);
    };
    context.context_flags |= CONTEXT_HAS_XSTATE;
    let mut bytes = bytes_of(context);
    xstate::append(&mut bytes, extended, avx);
    bytes
}

fn amd64(r: &X86_64, fxsave: Option<&[u8; 512]>) -> CONTEXT_AMD64 {
    use ContextFlagsAmd64 as Flags;
    let mut flags =
        Flags::CONTEXT_AMD64_CONTROL | Flags::CONTEXT_AMD64_INTEGER | Flags::CONTEXT_AMD64_SEGMENTS;
    if fxsave.is_some() {
        flags |= Flags::CONTEXT_AMD64_FLOATING_POINT;
    }
    if r.debug != [0; 6] {
        flags |= Flags::CONTEXT_AMD64_DEBUG_REGISTERS;
    }
    let float_save = *fxsave.unwrap_or(&[0; 512]);
    let [dr0, dr1, dr2, dr3, dr6, dr7] = r.debug;
    CONTEXT_AMD64 {
        context_flags: flags.bits(),
        mx_csr: word(&float_save, 24),
        cs: r.cs,
        ds: r.ds,
        es: r.es,
        fs: r.fs,
        gs: r.gs,
        ss: r.ss,
        eflags: r.rflags as u32,
        dr0,
        dr1,
        dr2,
        dr3,
        dr6,
        dr7,
        rax: r.rax,
        rcx: r.rcx,
        rdx: r.rdx,
        rbx: r.rbx,
        rsp: r.rsp,
        rbp: r.rbp,
        rsi: r.rsi,
        rdi: r.rdi,
        r8: r.r8,
        r9: r.r9,
        r10: r.r10,
        r11: r.r11,
        r12: r.r12,
        r13: r.r13,
        r14: r.r14,
        r15: r.r15,
        rip: r.rip,
        float_save,
        ..CONTEXT_AMD64::default()
    }
}

/// `bytes` are the context with what may follow it.
fn from_amd64(c: &CONTEXT_AMD64, bytes: &[u8]) -> (Registers, SparseBytes) {
    let registers = X86_64 {
        rax: c.rax,
        rbx: c.rbx,
        rcx: c.rcx,
        rdx: c.rdx,
        rsi: c.rsi,
        rdi: c.rdi,
        rbp: c.rbp,
        rsp: c.rsp,
        r8: c.r8,
        r9: c.r9,
        r10: c.r10,
        r11: c.r11,
        r12: c.r12,
        r13: c.r13,
        r14: c.r14,
        r15: c.r15,
        rip: c.rip,
        rflags: c.eflags.into(),
        cs: c.cs,
        ss: c.ss,
        ds: c.ds,
        es: c.es,
        fs: c.fs,
        gs: c.gs,
        orig_rax: u64::MAX,
        debug: [c.dr0, c.dr1, c.dr2, c.dr3, c.dr6, c.dr7],
        ..X86_64::default()
    };
    let floating = ContextFlagsAmd64::CONTEXT_AMD64_FLOATING_POINT.bits();
    let has_floating = c.context_flags & floating == floating;
    let more = (c.context_flags & CONTEXT_HAS_XSTATE != 0)
        .then(|| xstate::read(bytes, &c.float_save))
        .flatten();
    let extended = has_floating.then(|| match more {
        Some(area) => SparseBytes::new(&area),
        None => SparseBytes::new(&c.float_save),
    });
    (Registers::X86_64(registers), extended.unwrap_or_default())
}

fn x86(r: &X86, fxsave: Option<&[u8; 512]>) -> CONTEXT_X86 {
    use ContextFlagsX86 as Flags;
    let mut flags = Flags::CONTEXT_X86_FULL;
    if fxsave.is_some() {
        flags |= Flags::CONTEXT_X86_FLOATING_POINT | Flags::CONTEXT_X86_EXTENDED_REGISTERS;
    }
    CONTEXT_X86 {
        context_flags: flags.bits(),
        float_save: fxsave.map(floating_save_area).unwrap_or_default(),
        gs: r.gs.into(),
        fs: r.fs.into(),
        es: r.es.into(),
        ds: r.ds.into(),
        edi: r.edi,
        esi: r.esi,
        ebx: r.ebx,
        edx: r.edx,
        ecx: r.ecx,
        eax: r.eax,
        ebp: r.ebp,
        eip: r.eip,
        cs: r.cs.into(),
        eflags: r.eflags,
        esp: r.esp,
        ss: r.ss.into(),
        extended_registers: *fxsave.unwrap_or(&[0; 512]),
        ..CONTEXT_X86::default()
    }
}

fn floating_save_area(fxsave: &[u8; 512]) -> FLOATING_SAVE_AREA_X86 {
    let fsave = fxsave::to_fsave(fxsave);
    let mut register_area = [0; 80];
    register_area.copy_from_slice(&fsave[28..]);
    FLOATING_SAVE_AREA_X86 {
        control_word: word(&fsave, 0),
        status_word: word(&fsave, 4),
        tag_word: word(&fsave, 8),
        error_offset: word(&fsave, 12),
        error_selector: word(&fsave, 16),
        data_offset: word(&fsave, 20),
        data_selector: word(&fsave, 24),
        register_area,
        cr0_npx_state: 0,
    }
}

fn from_x86(c: &CONTEXT_X86) -> (Registers, SparseBytes) {
    let registers = X86 {
        eax: c.eax,
        ebx: c.ebx,
        ecx: c.ecx,
        edx: c.edx,
        esi: c.esi,
        edi: c.edi,
        ebp: c.ebp,
        esp: c.esp,
        eip: c.eip,
        eflags: c.eflags,
        cs: c.cs as u16,
        ss: c.ss as u16,
        ds: c.ds as u16,
        es: c.es as u16,
        fs: c.fs as u16,
        gs: c.gs as u16,
        orig_eax: u32::MAX,
    };
    let floating = ContextFlagsX86::CONTEXT_X86_EXTENDED_REGISTERS.bits();
    let has_floating = c.context_flags & floating == floating;
    let extended = has_floating.then(|| SparseBytes::new(&c.extended_registers));
    (Registers::X86(registers), extended.unwrap_or_default())
}

/// `extended` is the kernel's `user_fpsimd_state`: V0–V31, FPSR, FPCR, padding.
fn arm64(r: &Aarch64, extended: Option<&[u8; 528]>) -> CONTEXT_ARM64 {
    use ContextFlagsArm64 as Flags;
    let mut flags = Flags::CONTEXT_ARM64_CONTROL | Flags::CONTEXT_ARM64_INTEGER;
    if extended.is_some() {
        flags |= Flags::CONTEXT_ARM64_FLOATING_POINT;
    }
    let state = extended.unwrap_or(&[0; 528]);
    let mut float_regs = [0; 32];
    for (register, bytes) in float_regs.iter_mut().zip(state.as_chunks().0) {
        *register = u128::from_le_bytes(*bytes);
    }
    CONTEXT_ARM64 {
        context_flags: flags.bits(),
        cpsr: r.pstate as u32,
        iregs: r.x,
        sp: r.sp,
        pc: r.pc,
        float_regs,
        fpsr: word(state, 512),
        fpcr: word(state, 516),
        ..CONTEXT_ARM64::default()
    }
}

fn from_arm64(c: &CONTEXT_ARM64) -> (Registers, SparseBytes) {
    let registers = Aarch64 {
        x: c.iregs,
        sp: c.sp,
        pc: c.pc,
        pstate: c.cpsr.into(),
        tls: 0,
    };
    let mut state: Vec<u8> = c.float_regs.iter().flat_map(|v| v.to_le_bytes()).collect();
    state.extend(
        [c.fpsr, c.fpcr, 0, 0]
            .into_iter()
            .flat_map(u32::to_le_bytes),
    );
    let floating = ContextFlagsArm64::CONTEXT_ARM64_FLOATING_POINT.bits();
    let has_floating = c.context_flags & floating == floating;
    let extended = has_floating.then(|| SparseBytes::new(&state));
    (Registers::Aarch64(registers), extended.unwrap_or_default())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
