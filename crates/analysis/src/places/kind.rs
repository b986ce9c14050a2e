use super::Register;
use snapshot::{Memory, Registers};

/// Where a thread that throws holds what the type is known by: one value for all throws of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Holds it, or an address from which it is found.
    pub register: Register,
    /// How far from each address in turn the next one lies, in bytes; the last word is the value.
    /// Empty where the register itself holds it.
    pub path: &'static [u16],
    /// Only the lower half of the last word counts.
    pub is_half: bool,
}

impl Kind {
    /// The register's own value.
    pub(crate) const fn of(register: Register) -> Self {
        Self {
            register,
            path: &[],
            is_half: false,
        }
    }

    /// The value; `None` where it cannot be read, or in a thread of another processor.
    pub fn value(self, registers: &Registers, memory: &dyn Memory) -> Option<u64> {
        let start = self.register.value(registers)?;
        let mut steps = self.path.iter();
        let value = steps.try_fold(start, |at, step| {
            memory.read_u64(at.wrapping_add(u64::from(*step)))
        })?;
        Some(if self.is_half {
            value & u64::from(u32::MAX)
        } else {
            value
        })
    }
}
