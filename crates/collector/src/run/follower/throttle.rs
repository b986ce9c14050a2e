//! Exceptions that come faster than each can be looked at: what is only counted then.

use super::{kinds::Kinds, pace::Pace};
use platform::Follow;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What exceptions are called of which not even the type was looked at.
const NOT_LOOKED_AT: &str = "(of types that were not looked at: too many new ones in a second)";

/// Keeps a process that throws a lot at its work.
#[derive(Default)]
pub(super) struct Throttle {
    kinds: Kinds,
    pace: Pace,
    /// Whether exceptions come so fast that one a second is looked at.
    is_storm: bool,
    /// During a storm, whether one has been looked at in this second.
    has_looked: bool,
    /// Exceptions that were only counted, by name, where no probe counts them.
    counted: BTreeMap<String, u64>,
}

impl Throttle {
    /// What kinds of things are thrown, and which of them are wanted.
    pub(super) fn kinds(&mut self) -> &mut Kinds {
        &mut self.kinds
    }

    /// Whether nothing that is thrown is to be held now, not even what is wanted.
    pub(super) fn only_counts(&self) -> bool {
        self.is_storm || self.pace.is_spent()
    }

    /// Whether what is thrown is to be passed over, as it is of a kind that is not known, and too many of those have been
    /// looked at in this second: a process may throw a new type each time. It is counted.
    pub(super) fn passes_over(&mut self, kind: Option<u64>) -> bool {
        let is_new = kind.is_none_or(|kind| !self.kinds.knows(kind));
        let passes_over = is_new && self.pace.is_spent_on_new_types();
        if passes_over {
            *self.counted.entry(NOT_LOOKED_AT.to_owned()).or_default() += 1;
        }
        passes_over
    }

    /// To read a type that was thrown for the first time has taken so long.
    pub(super) fn spend_on_new_type(&mut self, time: Duration) {
        self.pace.spend_on_new_type(time);
    }

    /// Exceptions come too fast, or no longer do.
    pub(super) fn set_storm(&mut self, active: bool, process: &mut dyn Follow) {
        self.is_storm = active;
        self.kinds.pass_wanted(process, active);
    }

    /// Whether to look at this exception. During a storm only the first in a second is looked at, the
    /// others are counted. It is asked where the system reports every exception (Windows).
    pub(super) fn looks(&mut self, name: &str) -> bool {
        if self.is_storm && std::mem::replace(&mut self.has_looked, true) {
            *self.counted.entry(name.to_owned()).or_default() += 1;
            return false;
        }
        self.has_looked = true;
        true
    }

    /// To look at what it threw has kept the process from its work for so long. When that gets too
    /// much, what is wanted is only counted until the second is over: a service must stay one.
    pub(super) fn spend(&mut self, time: Duration, process: &mut dyn Follow) {
        if self.pace.spend(time) {
            self.kinds.pass_wanted(process, true);
        }
    }

    /// When [`Throttle::turn`] is due; `None` while nothing is only counted.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.only_counts().then(|| self.pace.end())
    }

    /// Once a second exceptions are looked at again, one of them during a storm; returns whether
    /// there may be counts to tell.
    pub(super) fn turn(&mut self, process: &mut dyn Follow) -> bool {
        if !self.pace.is_over() {
            return false;
        }
        let is_due = self.pace.renew() || self.is_storm;
        if is_due {
            self.has_looked = false;
            self.kinds.pass_wanted(process, false);
        }
        is_due
    }

    /// How many of each name have gone by since the last time.
    pub(super) fn counts(&mut self, process: &dyn Follow) -> Vec<(String, u64)> {
        let mut counts = self.kinds.counts(process);
        counts.extend(std::mem::take(&mut self.counted));
        counts
    }

    /// How many have gone by since the last time that only their messages could tell whether they are wanted.
    pub(super) fn unread(&mut self) -> u64 {
        self.kinds.unread()
    }

    /// Other kinds are wanted now, or another program has begun: each has to be looked at anew.
    pub(super) fn forget_kinds(&mut self, process: &mut dyn Follow) {
        self.kinds.forget(process);
    }
}
