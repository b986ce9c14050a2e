//! The value that identifies the type of what is thrown.

use super::Register;
use snapshot::{Memory, Registers, Trail};

/// Where a thread that throws holds the value that identifies the type: the same value for all
/// throws of that type, and another for every other type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeKey {
    /// The register that holds the value, or an address from where it is read.
    pub register: Register,
    /// How the value is read from there.
    pub trail: Trail,
}

impl TypeKey {
    /// The value of the register itself.
    pub(crate) fn of(register: Register) -> Self {
        Self {
            register,
            trail: Trail::default(),
        }
    }

    /// The value; `None` if it cannot be read, or `registers` are those of another processor.
    pub fn value(self, registers: &Registers, memory: &dyn Memory) -> Option<u64> {
        self.trail.follow(self.register.value(registers)?, memory)
    }
}
