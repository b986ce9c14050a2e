//! The modes of the victim, one file for each theme.
//!
//! A new mode is one entry of the table `MODES` of its file, with a function that runs it.

mod basic;
#[cfg(target_os = "linux")]
mod blocked;
mod crash;
#[cfg(target_os = "linux")]
mod hard_names;
#[cfg(target_os = "linux")]
mod mapping;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod memory_kinds;
mod pause;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_arch = "x86_64")]
mod registers;
#[cfg(target_os = "linux")]
mod signals;
mod threads;
#[cfg(windows)]
mod windows;
mod writing;

use crate::harness::{Harness, Outcome};

/// A mode: its name on the command line, and the function that runs it.
pub(crate) struct Mode {
    /// The first argument on the command line.
    pub(crate) name: &'static str,
    /// The arguments as the usage text shows them.
    pub(crate) args: &'static str,
    /// What it does, for the usage text.
    pub(crate) about: &'static str,
    /// Runs the mode. Many modes never return.
    pub(crate) run: fn(&Harness) -> Outcome,
}

/// Returns all modes that exist on this system.
pub(crate) fn all() -> impl Iterator<Item = &'static Mode> {
    tables().into_iter().flatten()
}

fn tables() -> Vec<&'static [Mode]> {
    vec![
        basic::MODES,
        threads::MODES,
        pause::MODES,
        writing::MODES,
        crash::MODES,
        #[cfg(target_arch = "x86_64")]
        registers::MODES,
        #[cfg(target_os = "linux")]
        memory::MODES,
        #[cfg(target_os = "linux")]
        memory_kinds::MODES,
        #[cfg(target_os = "linux")]
        hard_names::MODES,
        #[cfg(target_os = "linux")]
        process::MODES,
        #[cfg(target_os = "linux")]
        signals::MODES,
        #[cfg(target_os = "linux")]
        blocked::MODES,
        #[cfg(windows)]
        windows::MODES,
    ]
}
