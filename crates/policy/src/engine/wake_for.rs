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

    /// Whether exceptions of the same type may be judged differently because of their messages.
    pub fn reads_messages(&self) -> bool {
        self.exceptions.iter().any(ExceptionFilter::reads_messages)
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
