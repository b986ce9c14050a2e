//! Repeated crashes: when the same program crashes in the same way again and again, the first crash is
//! stored, and the others are only counted.

use snapshot::WallTime;
use std::{collections::BTreeMap, time::Duration};

/// The most crashes that are remembered. If there are more, those stored longest ago are forgotten, of the user who has
/// the most.
const MOST: usize = 2000;

/// The crashes that were stored. `D` is the place of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeats<D> {
    known: BTreeMap<SameCrash, Repeat<D>>,
}

/// What crashes have in common that are taken for the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SameCrash {
    /// The number of the user whose process it was: nobody's crash is counted into another's dump, which they may not
    /// read.
    pub user: u32,
    /// The program, its build and the signature of the crash.
    pub what: String,
}

/// A crash that was stored, or is being stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat<D> {
    /// When the stored crash happened.
    pub stored: WallTime,
    /// How often the same crash has happened since.
    pub count: u64,
    /// The place of its dump.
    pub dump: D,
}

impl<D> Repeats<D> {
    /// Takes a crash in. Returns the stored crash that it repeats, with the new count; or `None` if the
    /// caller has to store this one at `dump`.
    ///
    /// A crash is a repeat for `window` after the stored one, as long as `is_there` says that the
    /// dump of that one still exists, or is being written, and has as much as this one would have.
    pub fn take_in(
        &mut self,
        crash: &SameCrash,
        dump: D,
        now: WallTime,
        window: Duration,
        is_there: impl FnOnce(&D) -> bool,
    ) -> Option<&Repeat<D>> {
        let known = self.known.get(crash);
        let is_repeat = known.is_some_and(|known| {
            let age = now.0.saturating_sub(known.stored.0).max(0) as u128;
            age < window.as_nanos() && is_there(&known.dump)
        });
        if is_repeat {
            let known = self.known.get_mut(crash)?;
            known.count += 1;
            return Some(known);
        }
        let first = Repeat {
            stored: now,
            count: 0,
            dump,
        };
        self.known.insert(crash.clone(), first);
        self.forget_oldest();
        None
    }

    /// Changes the place of the dump of a stored crash. Returns that crash, or `None` if it was forgotten.
    pub fn is_stored(&mut self, crash: &SameCrash, dump: D) -> Option<&Repeat<D>> {
        let known = self.known.get_mut(crash)?;
        known.dump = dump;
        Some(known)
    }

    /// Forgets a crash whose dump was not stored after all, so that the next one is stored.
    pub fn forget(&mut self, crash: &SameCrash) {
        self.known.remove(crash);
    }

    fn forget_oldest(&mut self) {
        while self.known.len() > MOST {
            let mut counts = BTreeMap::new();
            for crash in self.known.keys() {
                *counts.entry(crash.user).or_insert(0) += 1;
            }
            let most = counts.iter().max_by_key(|(_, count)| **count);
            let theirs = self
                .known
                .iter()
                .filter(|(crash, _)| Some(&crash.user) == most.map(|(user, _)| user));
            let oldest = theirs.min_by_key(|(_, repeat)| repeat.stored);
            let Some(crash) = oldest.map(|(crash, _)| crash.clone()) else {
                return;
            };
            self.known.remove(&crash);
        }
    }
}

impl<D> Default for Repeats<D> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
        }
    }
}

impl<D> FromIterator<(SameCrash, Repeat<D>)> for Repeats<D> {
    fn from_iter<I: IntoIterator<Item = (SameCrash, Repeat<D>)>>(known: I) -> Self {
        Self {
            known: known.into_iter().collect(),
        }
    }
}

impl<D> IntoIterator for Repeats<D> {
    type Item = (SameCrash, Repeat<D>);
    type IntoIter = std::collections::btree_map::IntoIter<SameCrash, Repeat<D>>;

    fn into_iter(self) -> Self::IntoIter {
        self.known.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> WallTime {
        WallTime(seconds * 1_000_000_000)
    }

    fn crash(what: &str) -> SameCrash {
        let what = what.to_owned();
        SameCrash { user: 1000, what }
    }

    /// Takes in a crash whose earlier dump, if any, still exists. Returns the count of repeats, or 0 if the
    /// crash has to be stored.
    fn count(repeats: &mut Repeats<u32>, what: &str, seconds: i64) -> u64 {
        let known = repeats.take_in(&crash(what), 0, at(seconds), HOUR, |_| true);
        known.map_or(0, |known| known.count)
    }

    #[test]
    fn the_same_crash_is_counted_until_its_window_ends() {
        let mut repeats = Repeats::default();
        assert_eq!(count(&mut repeats, "a SIGSEGV", 0), 0);
        assert_eq!(count(&mut repeats, "a SIGSEGV", 1), 1);
        assert_eq!(count(&mut repeats, "a SIGABRT", 1), 0, "another crash");
        assert_eq!(count(&mut repeats, "b SIGSEGV", 1), 0, "another program");
        assert_eq!(count(&mut repeats, "a SIGSEGV", 3599), 2);
        assert_eq!(count(&mut repeats, "a SIGSEGV", 3600), 0, "stored again");
        assert_eq!(count(&mut repeats, "a SIGSEGV", 3601), 1, "counted anew");
        assert_eq!(
            count(&mut repeats, "a SIGSEGV", 10),
            2,
            "the clock was put back"
        );
    }

    #[test]
    fn a_crash_whose_dump_is_gone_or_was_never_written_is_stored_again() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.take_in(&crash("a"), 1, at(0), HOUR, |_| true), None);
        let stored = repeats.is_stored(&crash("a"), 2).cloned();
        assert_eq!(
            stored.map(|stored| (stored.count, stored.dump)),
            Some((0, 2))
        );
        let is_gone = |dump: &u32| *dump != 2;
        assert_eq!(repeats.take_in(&crash("a"), 3, at(1), HOUR, is_gone), None);
        repeats.forget(&crash("a"));
        assert_eq!(count(&mut repeats, "a", 2), 0);
        assert_eq!(repeats.is_stored(&crash("b"), 9), None);
    }

    #[test]
    fn the_oldest_of_very_many_are_forgotten() {
        let mut repeats = Repeats::default();
        for crash in 0..MOST as i64 + 3 {
            count(&mut repeats, &crash.to_string(), crash);
        }
        assert_eq!(count(&mut repeats, "5", 2100), 1);
        assert_eq!(
            count(&mut repeats, "2", 2100),
            0,
            "forgotten, so stored again"
        );
        let again: Repeats<u32> = repeats.clone().into_iter().collect();
        assert_eq!(again, repeats);
    }

    #[test]
    fn n34_the_crashes_of_one_user_push_out_no_one_elses() {
        let mut repeats = Repeats::default();
        let anna = SameCrash {
            user: 1001,
            ..crash("a")
        };
        assert_eq!(repeats.take_in(&anna, 0, at(0), HOUR, |_| true), None);
        assert_eq!(count(&mut repeats, "a", 1), 0, "another user's");
        for number in 0..MOST as i64 + 3 {
            count(&mut repeats, &number.to_string(), number);
        }
        let again = repeats.take_in(&anna, 0, at(9), HOUR, |_| true);
        assert_eq!(again.map(|known| known.count), Some(1));
    }
}
