//! Contexts of processors on which firstchance does not run, as Breakpad and Crashpad define them
//! (`minidump_cpu_arm.h`, `minidump_cpu_arm64.h`, `minidump_cpu_riscv.h` of Breakpad): general registers only.

use crate::bytes::{Put, Take};
use crate::registers;
use snapshot::{Aarch64, Architecture, Arm, Registers, RiscV64, SparseBytes};

/// The flags that say of which processor a context is, and the parts that it has.
const ARM: u32 = 0x4000_0000;
const OLD_ARM64: u32 = 0x8000_0000;
const RISCV64: u32 = 0x0800_0000;
const CONTROL_AND_INTEGER: u32 = 3;
/// The bytes of the floating-point registers of an ARM context: FPSCR, 32 of 8 bytes, 8 of 4.
const ARM_FLOATING: usize = 8 + 32 * 8 + 8 * 4;
/// Those of RISC-V: 32 of 8 bytes, FCSR, padding.
const RISCV64_FLOATING: usize = 32 * 8 + 8;

type Read = Option<(Registers, SparseBytes)>;

/// `MDRawContextARM`.
pub(super) fn arm(r: &Arm) -> Vec<u8> {
    let mut out = Vec::new();
    out.u32(ARM | CONTROL_AND_INTEGER);
    r.r.into_iter()
        .chain([r.cpsr])
        .for_each(|word| out.u32(word));
    out.resize(out.len() + ARM_FLOATING, 0);
    out
}

pub(super) fn from_arm(bytes: &[u8]) -> Read {
    let mut fields = Take(bytes);
    let _flags = fields.u32()?;
    let mut r = Arm::default();
    for word in &mut r.r {
        *word = fields.u32()?;
    }
    r.cpsr = fields.u32()?;
    Some((Registers::Arm(r), SparseBytes::default()))
}

/// `MDRawContextRISCV64`: flags and version, then the registers in the kernel's order.
pub(super) fn riscv64(r: &RiscV64) -> Vec<u8> {
    let mut out = Vec::new();
    out.u32(RISCV64 | CONTROL_AND_INTEGER);
    out.u32(1);
    out.put(&registers::write(&Registers::RiscV64(*r)));
    out.resize(out.len() + RISCV64_FLOATING, 0);
    out
}

pub(super) fn from_riscv64(bytes: &[u8]) -> Read {
    let registers = registers::read(Architecture::RiscV64, bytes.get(8..)?)?;
    Some((registers, SparseBytes::default()))
}

/// `MDRawContextARM64_Old`, which Breakpad wrote on iOS and Android before Windows had a context for this processor: flags of
/// eight bytes, X0 to X30, the stack pointer, the program counter and CPSR. `None` if the flags are of the newer one.
pub(super) fn from_old_arm64(bytes: &[u8]) -> Read {
    let mut fields = Take(bytes);
    if fields.u64()? & u64::from(OLD_ARM64) == 0 {
        return None;
    }
    let mut r = Aarch64::default();
    for x in &mut r.x {
        *x = fields.u64()?;
    }
    (r.sp, r.pc) = (fields.u64()?, fields.u64()?);
    r.pstate = fields.u32()?.into();
    Some((Registers::Aarch64(r), SparseBytes::default()))
}
