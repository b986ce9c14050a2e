//! How much of its time a process may be kept from its work by being looked at.

use std::time::{Duration, Instant};

/// In each second, so much; dumps do not count.
const BUDGET: Duration = Duration::from_millis(100);
/// And so much where what is thrown is always something new: each may be what is wanted.
const MOST: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

/// The time spent in this second.
pub(super) struct Pace {
    since: Instant,
    spent: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            spent: Duration::ZERO,
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

    /// Whether not even what is not known yet is to be looked at in this second.
    pub(super) fn is_exhausted(&self) -> bool {
        self.spent > MOST
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
