//! Registers that hold the arguments of a function.

use snapshot::{Architecture, Registers};

/// A general register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// A register of x86-64, by its number in [`NAMES`].
    X86_64(u8),
    /// `X0` to `X30` of 64-bit ARM, by its number.
    Aarch64(u8),
}

/// The general registers of x86-64 in the order of Linux's `struct pt_regs`
/// (`arch/x86/include/asm/ptrace.h`).
const NAMES: [&str; 15] = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi",
];

impl Register {
    /// The register of that name: `rdi`, `x0`; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(at) = NAMES.iter().position(|known| *known == name) {
            return Some(Self::X86_64(at as u8));
        }
        let number = name.strip_prefix('x')?.parse().ok()?;
        (number < 31).then_some(Self::Aarch64(number))
    }

    /// The register of a C function's argument, from 0 on (System V ABI of x86-64, AAPCS64). Rust's
    /// functions get pointers in the same registers.
    pub(crate) fn of_c(machine: Architecture, argument: usize) -> Option<Self> {
        Self::of(machine, argument, ["rdi", "rsi", "rdx", "rcx"])
    }

    /// The register of a Go function's argument, from 0 on, since Go 1.17, or 1.18 on ARM (Go's
    /// `abi-internal.md`).
    pub(crate) fn of_go(machine: Architecture, argument: usize) -> Option<Self> {
        Self::of(machine, argument, ["rax", "rbx", "rcx", "rdi"])
    }

    fn of(machine: Architecture, argument: usize, names: [&str; 4]) -> Option<Self> {
        match machine {
            Architecture::X86_64 => Self::named(names.get(argument)?),
            Architecture::Aarch64 => Some(Self::Aarch64(argument as u8)),
            _ => None,
        }
    }

    /// Its offset, in bytes, in the kernel's `struct pt_regs`, which a BPF program gets, and in
    /// `struct user_regs_struct` of ptrace. Its value has eight bytes.
    pub const fn offset(self) -> usize {
        match self {
            Register::X86_64(at) | Register::Aarch64(at) => at as usize * 8,
        }
    }

    /// Its value; `None` if `registers` are those of another processor.
    pub fn value(self, registers: &Registers) -> Option<u64> {
        match (self, registers) {
            (Register::X86_64(at), Registers::X86_64(r)) => {
                let values = [
                    r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8, r.rax,
                    r.rcx, r.rdx, r.rsi, r.rdi,
                ];
                values.get(usize::from(at)).copied()
            }
            (Register::Aarch64(at), Registers::Aarch64(r)) => r.x.get(usize::from(at)).copied(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_where_the_kernel_has_it() {
        let rdi = Register::named("rdi").unwrap();
        assert_eq!(rdi.offset(), 112);
        assert_eq!(Register::named("r15").unwrap().offset(), 0);
        assert_eq!(Register::named("x2").unwrap().offset(), 16);
        assert_eq!(Register::named("x31"), None);
        let registers = Registers::X86_64(snapshot::X86_64 {
            rdi: 7,
            ..Default::default()
        });
        assert_eq!(rdi.value(&registers), Some(7));
        assert_eq!(Register::Aarch64(0).value(&registers), None);
    }
}
