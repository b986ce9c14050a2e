//! The switches about dumps that only Windows has, both ways: read from a command line, and written into the one with
//! which Windows starts its handler of crashes.

use super::{WindowsSwitches, lower::Lowering, switches::Id};
use collector::WindowsOptions;

impl Lowering<'_> {
    /// Those of the command line.
    pub(super) fn windows_switches(&self) -> WindowsSwitches {
        let arguments = self.arguments;
        WindowsSwitches {
            kernel: arguments.has(Id::Kernel),
            callback: arguments.value(Id::Callback).map(str::to_owned),
            wer: arguments.has(Id::Wer),
            wide: arguments.has(Id::Wide),
        }
    }
}

impl WindowsSwitches {
    /// What is asked of the dumps.
    pub(crate) fn options(&self) -> WindowsOptions {
        WindowsOptions { wide: self.wide }
    }

    /// The same without what its reports of a crash do anyway, as words of a command line.
    pub(crate) fn of_crashes(&self) -> Vec<String> {
        let words = self.wide.then(|| "-64".to_owned());
        words.into_iter().collect()
    }
}
