//! General registers as `NT_PRSTATUS` holds them: the kernel's `struct user_regs_struct` of each
//! processor (`arch/*/include/asm/user*.h`, `uapi/asm/ptrace.h`).

use crate::bytes::{Put, Take};
use snapshot::{Aarch64, Architecture, Arm, Registers, RiscV64, X86, X86_64};

/// The registers in the kernel's order.
pub(crate) fn write(registers: &Registers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(34 * 8);
    match registers {
        Registers::X86_64(r) => x86_64_words(r).into_iter().for_each(|word| bytes.u64(word)),
        Registers::X86(r) => x86_words(r).into_iter().for_each(|word| bytes.u32(word)),
        Registers::Aarch64(r) => {
            r.x.into_iter().for_each(|word| bytes.u64(word));
            [r.sp, r.pc, r.pstate]
                .into_iter()
                .for_each(|word| bytes.u64(word));
        }
        Registers::Arm(r) => {
            let words = r.r.into_iter().chain([r.cpsr, r.orig_r0]);
            words.for_each(|word| bytes.u32(word));
        }
        Registers::RiscV64(r) => {
            bytes.u64(r.pc);
            r.x.into_iter().for_each(|word| bytes.u64(word));
        }
    }
    bytes
}

/// The registers from the kernel's order; `None` when there are too few bytes.
pub(crate) fn read(architecture: Architecture, bytes: &[u8]) -> Option<Registers> {
    match architecture {
        Architecture::X86_64 | Architecture::X32 => x86_64(bytes).map(Registers::X86_64),
        Architecture::X86 => x86(bytes).map(Registers::X86),
        Architecture::Aarch64 => aarch64(bytes).map(Registers::Aarch64),
        Architecture::Arm => arm(bytes).map(Registers::Arm),
        Architecture::RiscV64 => riscv64(bytes).map(Registers::RiscV64),
    }
}

fn x86_64_words(r: &X86_64) -> [u64; 27] {
    let segment = u64::from;
    [
        r.r15,
        r.r14,
        r.r13,
        r.r12,
        r.rbp,
        r.rbx,
        r.r11,
        r.r10,
        r.r9,
        r.r8,
        r.rax,
        r.rcx,
        r.rdx,
        r.rsi,
        r.rdi,
        r.orig_rax,
        r.rip,
        segment(r.cs),
        r.rflags,
        r.rsp,
        segment(r.ss),
        r.fs_base,
        r.gs_base,
        segment(r.ds),
        segment(r.es),
        segment(r.fs),
        segment(r.gs),
    ]
}

fn x86_64(bytes: &[u8]) -> Option<X86_64> {
    let mut words = Take(bytes);
    let mut next = || words.u64();
    Some(X86_64 {
        r15: next()?,
        r14: next()?,
        r13: next()?,
        r12: next()?,
        rbp: next()?,
        rbx: next()?,
        r11: next()?,
        r10: next()?,
        r9: next()?,
        r8: next()?,
        rax: next()?,
        rcx: next()?,
        rdx: next()?,
        rsi: next()?,
        rdi: next()?,
        orig_rax: next()?,
        rip: next()?,
        cs: next()? as u16,
        rflags: next()?,
        rsp: next()?,
        ss: next()? as u16,
        fs_base: next()?,
        gs_base: next()?,
        ds: next()? as u16,
        es: next()? as u16,
        fs: next()? as u16,
        gs: next()? as u16,
        debug: [0; 6],
    })
}

fn x86_words(r: &X86) -> [u32; 17] {
    let segment = u32::from;
    [
        r.ebx,
        r.ecx,
        r.edx,
        r.esi,
        r.edi,
        r.ebp,
        r.eax,
        segment(r.ds),
        segment(r.es),
        segment(r.fs),
        segment(r.gs),
        r.orig_eax,
        r.eip,
        segment(r.cs),
        r.eflags,
        r.esp,
        segment(r.ss),
    ]
}

fn x86(bytes: &[u8]) -> Option<X86> {
    let mut words = Take(bytes);
    let mut next = || words.u32();
    Some(X86 {
        ebx: next()?,
        ecx: next()?,
        edx: next()?,
        esi: next()?,
        edi: next()?,
        ebp: next()?,
        eax: next()?,
        ds: next()? as u16,
        es: next()? as u16,
        fs: next()? as u16,
        gs: next()? as u16,
        orig_eax: next()?,
        eip: next()?,
        cs: next()? as u16,
        eflags: next()?,
        esp: next()?,
        ss: next()? as u16,
    })
}

/// All but the thread pointer, which has a note of its own (`NT_ARM_TLS`).
fn aarch64(bytes: &[u8]) -> Option<Aarch64> {
    let mut words = Take(bytes);
    let mut r = Aarch64::default();
    for x in &mut r.x {
        *x = words.u64()?;
    }
    r.sp = words.u64()?;
    r.pc = words.u64()?;
    r.pstate = words.u64()?;
    Some(r)
}

/// `elf_gregset_t` of ARM: `struct pt_regs`, 18 words (`arch/arm/include/uapi/asm/ptrace.h`).
fn arm(bytes: &[u8]) -> Option<Arm> {
    let mut words = Take(bytes);
    let mut r = Arm::default();
    for word in &mut r.r {
        *word = words.u32()?;
    }
    r.cpsr = words.u32()?;
    r.orig_r0 = words.u32()?;
    Some(r)
}

/// `struct user_regs_struct` of RISC-V, which has the program counter in the place of X0
/// (`arch/riscv/include/uapi/asm/ptrace.h`).
fn riscv64(bytes: &[u8]) -> Option<RiscV64> {
    let mut words = Take(bytes);
    let mut r = RiscV64 {
        pc: words.u64()?,
        ..RiscV64::default()
    };
    for x in &mut r.x {
        *x = words.u64()?;
    }
    Some(r)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long they are, in bytes.
    const fn size(architecture: Architecture) -> usize {
        match architecture {
            Architecture::X86 => 17 * 4,
            Architecture::X86_64 | Architecture::X32 => 27 * 8,
            Architecture::Arm => 18 * 4,
            Architecture::Aarch64 => 34 * 8,
            Architecture::RiscV64 => 32 * 8,
        }
    }

    #[test]
    fn what_is_written_is_as_long_as_the_kernels_and_reads_back() {
        for architecture in [
            Architecture::X86,
            Architecture::X86_64,
            Architecture::X32,
            Architecture::Arm,
            Architecture::Aarch64,
            Architecture::RiscV64,
        ] {
            let bytes: Vec<u8> = (0..size(architecture)).map(|n| n as u8).collect();
            let registers = read(architecture, &bytes).unwrap();
            let again = write(&registers);
            assert_eq!(again.len(), size(architecture));
            assert_eq!(read(architecture, &again), Some(registers));
            assert_eq!(read(architecture, &bytes[1..]), None);
        }
    }
}
