//! Which events of an attached process have to be reported. The loop passes this on to whoever follows the
//! process, so that unwanted events are dropped where they happen.

use crate::{Chance, ExceptionFilter, Filter, Place};
use snapshot::{Exception, TargetEvent};

/// The events of an attached process that have to be reported: those that some rule has a condition for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeFor {
    /// Exceptions that one of these filters [wakes for](ExceptionFilter::wakes_for).
    pub exceptions: Vec<ExceptionFilter>,
    /// Signals, by number.
    pub signals: Vec<i32>,
    /// Places in the code, each with the number that [`TargetEvent::Breakpoint`] reports it under.
    pub breakpoints: Vec<(u32, Place)>,
    /// Modules that are mapped, if one of these filters lets their path pass.
    pub module_loads: Vec<Filter>,
    /// Modules that are unmapped, if one of these filters lets their path pass.
    pub module_unloads: Vec<Filter>,
    /// Whether the start of each thread is reported.
    pub thread_starts: bool,
    /// Whether the end of each thread is reported.
    pub thread_exits: bool,
    /// Debug strings, if one of these filters lets them pass.
    pub debug_strings: Vec<Filter>,
    /// Whether the end of the process is reported, while its memory still exists.
    pub exit: bool,
    /// Whether some rule acts on one of these events, so that the process has to stand still for it.
    pub acts: bool,
}

impl WakeFor {
    /// Whether an exception has to be reported.
    pub fn wakes_for(&self, exception: &Exception) -> bool {
        self.exceptions
            .iter()
            .any(|filter| filter.wakes_for(exception))
    }

    /// Whether `signal` has to be reported by itself, by which a program ends because nobody caught `uncaught`: where it is
    /// named, and where the second chance of the exception is not reported in its place.
    pub fn wakes_for_signal_of(&self, signal: &Exception, uncaught: &Exception) -> bool {
        let any = |selects: &dyn Fn(&ExceptionFilter) -> bool| self.exceptions.iter().any(selects);
        self.signals.contains(&(signal.code as i32))
            || any(&|filter| filter.names_signal_of(signal, uncaught))
            || !self.wakes_for(uncaught) && any(&|filter| filter.allows_signal_of(signal, uncaught))
    }

    /// Whether any exception has to be reported at its first chance, before a handler has seen it.
    pub fn wants_first_chance(&self) -> bool {
        let unhandled = |filter: &ExceptionFilter| filter.chance == Chance::Unhandled;
        !self.exceptions.iter().all(unhandled)
    }

    /// Whether any exception has to be reported at its second chance, when nobody has handled it.
    pub fn wants_unhandled(&self) -> bool {
        let mut filters = self.exceptions.iter();
        filters.any(ExceptionFilter::means_unhandled)
    }

    /// Whether some rule acts on an exception, and does not only show it.
    pub fn acts_on_exception(&self, exception: &Exception) -> bool {
        let mut filters = self.exceptions.iter();
        self.acts && filters.any(|filter| filter.matches(exception))
    }

    /// Whether some rule acts on a debug string, and does not only show it.
    pub fn acts_on(&self, debug_string: &str) -> bool {
        let mut filters = self.debug_strings.iter();
        self.acts && filters.any(|filter| filter.passes(debug_string))
    }

    /// Whether the end of the process has to be reported.
    pub fn wants_end(&self) -> bool {
        let ends = self
            .breakpoints
            .iter()
            .any(|(_, place)| *place == Place::Exit);
        self.exit || ends
    }

    /// Whether an exception that is not wanted, of which everything but the message is known, may be because of its message.
    pub fn needs_message_of(&self, exception: &Exception) -> bool {
        let mut filters = self.exceptions.iter();
        filters.any(|filter| filter.needs_message_of(exception))
    }

    /// Whether an event is the load or unload of a module that has to be reported.
    pub fn wants_module(&self, event: &TargetEvent) -> bool {
        let passes =
            |filters: &[Filter], path: &str| filters.iter().any(|filter| filter.passes_path(path));
        match event {
            TargetEvent::ModuleLoad { path, .. } => passes(&self.module_loads, path),
            TargetEvent::ModuleUnload { path, .. } => passes(&self.module_unloads, path),
            _ => false,
        }
    }

    /// Whether nothing but exceptions that nobody has handled has to be reported.
    pub fn wants_only_unhandled(&self) -> bool {
        let others = Self {
            exceptions: Vec::new(),
            acts: false,
            ..self.clone()
        };
        others.is_empty() && self.wants_unhandled() && !self.wants_first_chance()
    }

    /// Whether no event has to be reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(name: &str, first_chance: bool) -> Exception {
        Exception {
            code: 6,
            name: name.to_owned(),
            first_chance,
            ..Exception::default()
        }
    }

    #[test]
    fn who_names_the_signal_of_an_uncaught_exception_is_told_both_chances_of_it() {
        let signal = exception("SIGABRT.SI_TKILL", true);
        let uncaught = Exception {
            signal: signal.name.clone(),
            ..exception("CXX.NotFound", false)
        };
        for (conditions, first, second) in [
            ("exception", false, true),
            (
                "exception not code 0x5 first chance or unhandled exception",
                false,
                true,
            ),
            ("exception \"*\"", false, true),
            ("exception \"NotFound\"", false, true),
            ("exception \"ABRT\"", true, true),
            ("exception \"SIGABRT\", \"NotFound\"", true, true),
            ("exception = \"SI_TKILL\"", true, true),
            ("exception code 0x6", true, true),
            ("exception \"SIGSEGV\"", false, false),
            ("exception not \"SIGABRT\"", false, true),
            ("exception not \"NotFound\"", false, false),
            ("exception first chance", true, false),
            ("unhandled exception \"SIGABRT\"", false, true),
            ("signal SIGABRT", true, false),
        ] {
            let mut wake = WakeFor::default();
            for condition in crate::parse_when(conditions).expect("conditions") {
                match condition {
                    crate::Condition::Exception(filter) => wake.exceptions.push(filter),
                    crate::Condition::Signal(number) => wake.signals.push(number),
                    other => panic!("{other}"),
                }
            }
            let told = wake.wakes_for_signal_of(&signal, &uncaught);
            assert_eq!(told, first, "{conditions}");
            assert_eq!(wake.wakes_for(&uncaught), second, "{conditions}");
        }
    }
}
