//! What is known of the machine when firstchance is compiled. [`crate::system`] finds out the rest.

use snapshot::{Architecture, OperatingSystem};

/// The operating system that firstchance runs on.
pub const OS: OperatingSystem = if cfg!(windows) {
    OperatingSystem::Windows
} else {
    OperatingSystem::Linux
};

/// The processor that firstchance is compiled for. A process may be of another one: 32-bit programs
/// run on 64-bit processors.
pub const ARCHITECTURE: Architecture = if cfg!(target_arch = "aarch64") {
    Architecture::Aarch64
} else {
    Architecture::X86_64
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_machine() {
        let system = crate::system();
        assert_eq!((system.os, system.architecture), (OS, ARCHITECTURE));
        assert_eq!(ARCHITECTURE.pointer_size() as usize, size_of::<usize>());
    }
}
