//! The modes, by theme.

mod basic;
#[cfg(target_os = "linux")]
mod blocked;
mod crash;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod odd;
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

use crate::stage::{Outcome, Stage};

/// One way to misbehave.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    /// Its arguments, for the usage text.
    pub(crate) args: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Stage) -> Outcome,
}

/// All modes of this system.
pub(crate) fn all() -> impl Iterator<Item = &'static Mode> {
    tables().into_iter().flatten()
}

fn tables() -> Vec<&'static [Mode]> {
    vec![
        basic::MODES,
        threads::MODES,
        pause::MODES,
        crash::MODES,
        #[cfg(target_arch = "x86_64")]
        registers::MODES,
        #[cfg(target_os = "linux")]
        memory::MODES,
        #[cfg(target_os = "linux")]
        odd::MODES,
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
