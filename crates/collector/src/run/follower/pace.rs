//! How much of its time a process may be kept from its work by being looked at.

use std::time::{Duration, Instant};

/// In each second, so much; dumps do not count.
const BUDGET: Duration = Duration::from_millis(100);
/// And so much to read types that are thrown for the first time: each may be what is wanted.
const FOR_NEW_TYPES: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

/// The time spent in this second.
pub(super) struct Pace {
    since: Instant,
    spent: Duration,
    on_new_types: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            spent: Duration::ZERO,
            on_new_types: Duration::ZERO,
        }
    }
}

impl Pace {
    /// Takes time down; whether this was the last that may be spent.
    pub(super) fn spend(&mut self, time: Duration) -> bool {
        let before = self.is_spent();
        self.spent += time;
        !before && self.is_spent()
    }

    /// Whether nothing is left of this second's budget.
    pub(super) fn is_spent(&self) -> bool {
        self.spent > BUDGET
    }

    /// Takes time down in which a type was read that had not been thrown before.
    pub(super) fn spend_on_new_type(&mut self, time: Duration) {
        self.on_new_types += time;
    }

    /// Whether no more of those are to be read in this second.
    pub(super) fn is_spent_on_new_types(&self) -> bool {
        self.on_new_types > FOR_NEW_TYPES && !self.is_over()
    }

    /// Whether the second is over.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= SECOND
    }

    /// When the second is over.
    pub(super) fn end(&self) -> Instant {
        self.since + SECOND
    }

    /// Begins the next second; whether the last one's budget was spent.
    pub(super) fn renew(&mut self) -> bool {
        let was_spent = self.is_spent();
        *self = Self::default();
        was_spent
    }
}
