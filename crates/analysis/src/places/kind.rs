use super::Register;
use snapshot::{Memory, Registers, Trail};

/// Where a thread that throws holds what the type is known by: one value for all throws of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Holds it, or an address from which it is found.
    pub register: Register,
    /// How it is found from there.
    pub trail: Trail,
}

impl Kind {
    /// The register's own value.
    pub(crate) fn of(register: Register) -> Self {
        Self {
            register,
            trail: Trail::default(),
        }
    }

    /// The value; `None` where it cannot be read, or in a thread of another processor.
    pub fn value(self, registers: &Registers, memory: &dyn Memory) -> Option<u64> {
        self.trail.follow(self.register.value(registers)?, memory)
    }
}
