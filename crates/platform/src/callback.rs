//! The callback routine of a user's DLL, which chooses what a dump holds.

use crate::{Result, os};
use snapshot::{
    ProcessKey,
    choice::{Choice, Offer},
};
use std::path::Path;

/// The routine `MiniDumpCallbackRoutine` of a DLL
/// (<https://learn.microsoft.com/windows/win32/api/minidumpapiset/nc-minidumpapiset-minidump_callback_routine>). Every
/// function fails on Linux, which has none.
#[derive(Clone, Debug)]
pub struct DumpCallback(os::callback::Routine);

impl DumpCallback {
    /// Loads the DLL at this path, which stays loaded. Its code runs in this program, with all its rights.
    ///
    /// # Errors
    /// If it cannot be loaded, or does not export the routine.
    pub fn load(path: &Path) -> Result<Self> {
        os::callback::load(path).map(Self)
    }

    /// Asks the routine what a dump of the process is to hold.
    ///
    /// # Errors
    /// If the process is gone, or the routine cancels the dump.
    pub fn choose(&self, process: ProcessKey, offer: &Offer) -> Result<Choice> {
        self.0.choose(process, offer)
    }
}
