//! The switches about dumps that only Windows has, both ways: read from a command line, and written into the one with
//! which Windows starts its handler of crashes.

use super::{WindowsSwitches, lower::Lowering, switches::Id};
use collector::WindowsOptions;
use platform::{DumpCallback, Error};
use snapshot::OperatingSystem;
use std::path::Path;

impl Lowering<'_> {
    /// The DLL that `-md` names, on the system that has DLLs.
    pub(super) fn callback(&self) -> Option<&str> {
        let has_dlls = self.system == OperatingSystem::Windows;
        self.arguments.value(Id::Callback).filter(|_| has_dlls)
    }

    /// Those of the command line.
    pub(super) fn windows_switches(&self) -> WindowsSwitches {
        let arguments = self.arguments;
        WindowsSwitches {
            kernel: arguments.has(Id::Kernel),
            callback: self.callback().map(str::to_owned),
            wer: arguments.has(Id::Wer),
            wide: arguments.has(Id::Wide),
        }
    }
}

impl WindowsSwitches {
    /// What is asked of the dumps. The DLL of `-md` is loaded.
    ///
    /// # Errors
    /// If it cannot be loaded, or has no callback routine.
    pub(crate) fn options(&self) -> Result<WindowsOptions, Error> {
        let path = self.callback.as_ref().map(Path::new);
        Ok(WindowsOptions {
            wide: self.wide,
            kernel: self.kernel,
            callback: path.map(DumpCallback::load).transpose()?,
        })
    }

    /// The same without what its reports of a crash do anyway, as words of a command line.
    pub(crate) fn of_crashes(&self) -> Vec<String> {
        let words = [(self.kernel, "-mk"), (self.wide, "-64")];
        let given = words.into_iter().filter(|(is_given, _)| *is_given);
        given.map(|(_, word)| word.to_owned()).collect()
    }
}
