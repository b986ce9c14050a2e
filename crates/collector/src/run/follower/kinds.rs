//! The kinds of things a process throws: each is looked at once, and then known.

use analysis::thrown::CxxType;
use platform::Follow;
use std::collections::HashMap;

/// By the address that all throws of a kind have in common.
#[derive(Default)]
pub(super) struct Kinds(HashMap<u64, Kind>);

struct Kind {
    name: String,
    wanted: bool,
    /// How many had gone by unreported when they were last counted.
    counted: u64,
    /// How many were reported too late to look at them.
    late: u64,
    /// What all of this type have in common, where that is known.
    cxx: Option<CxxType>,
}

impl Kinds {
    pub(super) fn learn(&mut self, kind: u64, name: &str, wanted: bool) {
        let known = self.0.entry(kind).or_insert_with(|| Kind {
            name: name.to_owned(),
            wanted,
            counted: 0,
            late: 0,
            cxx: None,
        });
        known.wanted |= wanted;
    }

    /// What all throws of this kind have in common, if it is a C++ type that was thrown before.
    pub(super) fn cxx(&self, kind: u64) -> Option<&CxxType> {
        self.0.get(&kind)?.cxx.as_ref()
    }

    /// Remembers what all throws of a known kind have in common.
    pub(super) fn remember(&mut self, kind: u64, cxx: Option<CxxType>) {
        if let Some(known) = self.0.get_mut(&kind) {
            known.cxx = cxx;
        }
    }

    /// One that went on before it was looked at; whether its kind is known.
    pub(super) fn count_late(&mut self, kind: Option<u64>) -> bool {
        let known = kind.and_then(|kind| self.0.get_mut(&kind));
        known.map(|known| known.late += 1).is_some()
    }

    /// Whether a kind is known.
    pub(super) fn knows(&self, kind: u64) -> bool {
        self.0.contains_key(&kind)
    }

    /// Other kinds are wanted now: each has to be looked at anew.
    pub(super) fn forget(&mut self, process: &mut dyn Follow) {
        process.forget_kinds();
        self.0.clear();
    }

    /// If `pass` is true, the probe lets wanted types go by and counts them; if it is false, the probe
    /// reports them again.
    pub(super) fn pass_wanted(&self, process: &mut dyn Follow, pass: bool) {
        let wanted = self.0.iter().filter(|(_, known)| known.wanted);
        wanted.for_each(|(kind, _)| process.pass(*kind, pass));
    }

    /// How many of each wanted kind have gone by since the last time.
    pub(super) fn counts(&mut self, process: &dyn Follow) -> Vec<(String, u64)> {
        let mut counts = Vec::new();
        for (kind, known) in self.0.iter_mut().filter(|(_, known)| known.wanted) {
            let passed = process.passed(*kind);
            let new = passed.saturating_sub(known.counted) + std::mem::take(&mut known.late);
            known.counted = passed;
            if new > 0 {
                counts.push((known.name.clone(), new));
            }
        }
        counts
    }
}
