//! The switches about dumps that only Windows has, both ways: read from a command line, and written into the one with
//! which Windows starts its handler of crashes.

use super::{
    WindowsSwitches,
    lower::Lowering,
    switches::{Id, Support, get},
};
use collector::WindowsOptions;
use platform::{DumpCallback, Error};
use std::path::Path;

impl Lowering<'_> {
    /// The DLL that `-md` names.
    pub(super) fn callback(&self) -> Option<&str> {
        let dll = self.arguments.value(Id::Callback);
        dll.filter(|_| self.has_here(Id::Callback))
    }

    /// Those of the command line that mean something on this system.
    pub(super) fn windows_switches(&self) -> WindowsSwitches {
        WindowsSwitches {
            kernel: self.has_here(Id::Kernel),
            callback: self.callback().map(str::to_owned),
            wer: self.has_here(Id::Wer),
            wide: self.has_here(Id::Wide),
        }
    }

    /// Whether a switch is there and means something on this system.
    pub(super) fn has_here(&self, id: Id) -> bool {
        self.arguments.has(id) && get(id).support(self.system) == Support::Yes
    }
}

impl WindowsSwitches {
    /// What is asked of the dumps. The DLL of `-md` is loaded.
    ///
    /// # Errors
    /// If it cannot be loaded, or has no callback routine.
    pub(crate) fn options(&self) -> Result<WindowsOptions, Error> {
        let path = self.callback.as_ref().map(Path::new);
        let callback = path.map(DumpCallback::load).transpose()?;
        Ok(self.with(callback))
    }

    /// The same for a crash that is happening, of which there is no second one: without the DLL if that cannot be loaded,
    /// and with a warning.
    pub(crate) fn options_at_crash(&self) -> (WindowsOptions, Vec<String>) {
        match self.options() {
            Ok(options) => (options, Vec::new()),
            Err(error) => {
                let warning = format!("the memory of a mini dump was taken: {error}");
                (self.with(None), vec![warning])
            }
        }
    }

    fn with(&self, callback: Option<DumpCallback>) -> WindowsOptions {
        WindowsOptions {
            wide: self.wide,
            kernel: self.kernel,
            reports: self.wer,
            callback,
        }
    }

    /// Those of a handler of crashes, as words of a command line, without the DLL. Windows reports the crash itself.
    pub(crate) fn of_crashes(&self) -> Vec<String> {
        let words = [(self.kernel, "-mk"), (self.wide, "-64")];
        let given = words.into_iter().filter(|(is_given, _)| *is_given);
        given.map(|(_, word)| word.to_owned()).collect()
    }
}
