use crate::Architecture;

/// General registers of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registers {
    /// 64-bit Intel and AMD.
    X86_64(X86_64),
    /// 32-bit Intel.
    X86(X86),
    /// 32-bit ARM.
    Arm(Arm),
    /// 64-bit ARM.
    Aarch64(Aarch64),
    /// 64-bit RISC-V.
    RiscV64(RiscV64),
}

impl Registers {
    /// The processor that has them.
    pub const fn architecture(&self) -> Architecture {
        match self {
            Registers::X86_64(_) => Architecture::X86_64,
            Registers::X86(_) => Architecture::X86,
            Registers::Arm(_) => Architecture::Arm,
            Registers::Aarch64(_) => Architecture::Aarch64,
            Registers::RiscV64(_) => Architecture::RiscV64,
        }
    }

    /// Instruction pointer.
    pub const fn ip(&self) -> u64 {
        match self {
            Registers::X86_64(r) => r.rip,
            Registers::X86(r) => r.eip as u64,
            Registers::Arm(r) => r.r[15] as u64,
            Registers::Aarch64(r) => r.pc,
            Registers::RiscV64(r) => r.pc,
        }
    }

    /// Stack pointer.
    pub const fn sp(&self) -> u64 {
        match self {
            Registers::X86_64(r) => r.rsp,
            Registers::X86(r) => r.esp as u64,
            Registers::Arm(r) => r.r[13] as u64,
            Registers::Aarch64(r) => r.sp,
            Registers::RiscV64(r) => r.x[1],
        }
    }

    /// The general registers that may hold addresses.
    pub fn pointers(&self) -> Vec<u64> {
        match self {
            Registers::X86_64(r) => vec![
                r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12,
                r.r13, r.r14, r.r15,
            ],
            Registers::X86(r) => [r.eax, r.ebx, r.ecx, r.edx, r.esi, r.edi, r.ebp]
                .map(u64::from)
                .to_vec(),
            Registers::Arm(r) => r.r[..13].iter().map(|&word| word.into()).collect(),
            Registers::Aarch64(r) => r.x.to_vec(),
            Registers::RiscV64(r) => r.x.to_vec(),
        }
    }
}

/// Registers of 64-bit Intel and AMD processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the processor's own names")]
pub struct X86_64 {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    pub fs_base: u64,
    pub gs_base: u64,
    /// The number of the system call that the thread is in, else all ones (Linux).
    pub orig_rax: u64,
    /// Debug registers 0–3, 6 and 7; 0 if unknown (Windows).
    pub debug: [u64; 6],
}

/// Registers of 32-bit Intel processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the processor's own names")]
pub struct X86 {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub esi: u32,
    pub edi: u32,
    pub ebp: u32,
    pub esp: u32,
    pub eip: u32,
    pub eflags: u32,
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    /// The number of the system call that the thread is in (Linux).
    pub orig_eax: u32,
}

/// Registers of 64-bit ARM processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the processor's own names")]
pub struct Aarch64 {
    pub x: [u64; 31],
    pub sp: u64,
    pub pc: u64,
    pub pstate: u64,
    /// `TPIDR_EL0`, the thread pointer.
    pub tls: u64,
}

/// Registers of 32-bit ARM processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the processor's own names")]
pub struct Arm {
    /// R0 to R15; R13 is the stack pointer, R14 the link register, R15 the program counter.
    pub r: [u32; 16],
    pub cpsr: u32,
    /// R0 at the entry of the system call that the thread is in (Linux).
    pub orig_r0: u32,
}

/// Registers of 64-bit RISC-V processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the processor's own names")]
pub struct RiscV64 {
    pub pc: u64,
    /// X1 to X31: the link register `ra`, the stack pointer `sp`, `gp`, `tp` and so on.
    pub x: [u64; 31],
}
