//! The kinds of things a process throws: each is looked at once, and then known.

use analysis::thrown::CxxType;
use platform::Follow;
use std::collections::HashMap;

/// By the address that all throws of a kind have in common.
#[derive(Default)]
pub(super) struct Kinds {
    known: HashMap<u64, Kind>,
    unread: u64,
}

struct Kind {
    name: String,
    wanted: Wanted,
    /// How many had gone by unreported when they were last counted.
    counted: u64,
    /// How many were reported too late to look at them.
    late: u64,
    /// What all of this type have in common, where that is known.
    cxx: Option<CxxType>,
}

/// Which throws of a kind are wanted; the more, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    No,
    /// The one that the process dies of.
    AtTheEnd,
    /// The message of each tells.
    ByMessage,
    All,
}

impl Kinds {
    pub(super) fn learn(&mut self, kind: u64, name: &str, wanted: Wanted) {
        let known = self.known.entry(kind).or_insert_with(|| Kind {
            name: name.to_owned(),
            wanted,
            counted: 0,
            late: 0,
            cxx: None,
        });
        known.wanted = known.wanted.max(wanted);
    }

    /// What all throws of this kind have in common, if it is a C++ type that was thrown before.
    pub(super) fn cxx(&self, kind: u64) -> Option<&CxxType> {
        self.known.get(&kind)?.cxx.as_ref()
    }

    /// Remembers what all throws of a known kind have in common.
    pub(super) fn remember(&mut self, kind: u64, cxx: Option<CxxType>) {
        if let Some(known) = self.known.get_mut(&kind) {
            known.cxx = cxx;
        }
    }

    /// One that went on before it was looked at; whether its kind is known.
    pub(super) fn count_late(&mut self, kind: Option<u64>) -> bool {
        let known = kind.and_then(|kind| self.known.get_mut(&kind));
        known.map(|known| known.late += 1).is_some()
    }

    /// Whether a kind is known.
    pub(super) fn knows(&self, kind: u64) -> bool {
        self.known.contains_key(&kind)
    }

    /// Other kinds are wanted now: each has to be looked at anew.
    pub(super) fn forget(&mut self, process: &mut dyn Follow) {
        process.forget_kinds();
        self.known.clear();
    }

    /// Returns how many of the kinds of which the messages tell have gone by unread since the last time.
    pub(super) fn unread(&mut self) -> u64 {
        std::mem::take(&mut self.unread)
    }

    /// If `pass` is true, the probe lets wanted types go by and counts them; if it is false, the probe
    /// reports them again.
    pub(super) fn pass_wanted(&self, process: &mut dyn Follow, pass: bool) {
        let kinds = self.known.iter();
        let wanted = kinds.filter(|(_, known)| known.wanted != Wanted::No);
        wanted.for_each(|(kind, _)| process.pass(*kind, pass));
    }

    /// How many of each wanted kind have gone by since the last time. Of those of which the messages tell, it is not known how
    /// many were wanted.
    pub(super) fn counts(&mut self, process: &dyn Follow) -> Vec<(String, u64)> {
        let mut counts = Vec::new();
        for (kind, known) in &mut self.known {
            let passed = process.passed(*kind);
            let new = passed.saturating_sub(known.counted) + std::mem::take(&mut known.late);
            known.counted = passed;
            match known.wanted {
                Wanted::All if new > 0 => counts.push((known.name.clone(), new)),
                Wanted::ByMessage => self.unread += new,
                Wanted::All | Wanted::AtTheEnd | Wanted::No => {}
            }
        }
        counts
    }
}
