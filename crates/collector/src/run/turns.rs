//! Whose dump is taken next, of processes that have died and whose memory is kept. Nobody waits for those, and many may
//! die at once: all of them together would take memory, descriptors and the disk from those that live.

use platform::{Cancel, Error, ErrorKind, Result};
use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many are taken at once.
const AT_ONCE: usize = 4;

/// How many can wait, and of one user. Root may have all: many services are his.
const MOST: usize = 256;
const MOST_OF_USER: usize = 64;
const ROOT: u32 = 0;

/// How often it is looked whether the user does not want the dump any more.
const POLL: Duration = Duration::from_millis(50);

/// The dumps that are taken, and that wait.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

/// The right to take a dump, until this is dropped.
pub(super) struct Turn(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Who waits: a number that grows, and the user.
    waiting: Vec<(u64, u32)>,
    last: u64,
    /// When each user had a turn last.
    served: HashMap<u32, u64>,
}

impl Turns {
    /// Waits for the turn of a dump of a process of a user. The user who had no turn for longest is the next.
    ///
    /// # Errors
    /// If too many wait, or nobody wants the dump any more.
    pub(super) fn wait(&self, user: u32, cancel: &Cancel) -> Result<Turn> {
        let mut state = self.0.state();
        let number = state.come(user)?;
        loop {
            if state.begin(number, user) {
                return Ok(Turn(self.0.clone()));
            }
            if cancel.is_asked() {
                state.waiting.retain(|(other, _)| *other != number);
                return Err(Error::new(ErrorKind::Cancelled, "the dump was cancelled"));
            }
            let changed = self.0.changed.wait_timeout(state, POLL);
            state = changed.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state().running -= 1;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn come(&mut self, user: u32) -> Result<u64> {
        let own = self.waiting.iter().filter(|(_, of)| *of == user).count();
        let is_full = self.waiting.len() >= MOST || user != ROOT && own >= MOST_OF_USER;
        if is_full {
            let what = format!(
                "{} processes that have died wait for their dumps already ({own} of user {user}); this one is not dumped",
                self.waiting.len()
            );
            return Err(Error::new(ErrorKind::Other, what));
        }
        self.last += 1;
        self.waiting.push((self.last, user));
        Ok(self.last)
    }

    /// Takes the turn if it is that of this number.
    fn begin(&mut self, number: u64, user: u32) -> bool {
        let is_next = self.running < AT_ONCE && self.next() == Some(number);
        if is_next {
            self.running += 1;
            self.waiting.retain(|(other, _)| *other != number);
            self.last += 1;
            self.served.insert(user, self.last);
        }
        is_next
    }

    fn next(&self) -> Option<u64> {
        let served = |user: &u32| self.served.get(user).copied().unwrap_or(0);
        let by_user = self
            .waiting
            .iter()
            .min_by_key(|(number, user)| (served(user), *number));
        by_user.map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_users_have_turns_by_turns() {
        let mut state = State::default();
        let mut come = |user| (state.come(user).expect("room"), user);
        let all = [come(7), come(7), come(7), come(0), come(8)];
        let mut order = Vec::new();
        while let Some(next) = state.next() {
            let (number, user) = *all
                .iter()
                .find(|(number, _)| *number == next)
                .expect("one of them");
            assert!(state.begin(number, user));
            state.running -= 1;
            order.push(user);
        }
        assert_eq!(order, [7, 0, 8, 7, 7]);
    }

    #[test]
    fn n23_few_are_taken_at_once_and_not_all_can_wait() {
        let mut state = State::default();
        let of_one = (0..1000).filter(|_| state.come(7).is_ok()).count();
        assert_eq!(of_one, MOST_OF_USER);
        let of_root = (0..1000).filter(|_| state.come(ROOT).is_ok()).count();
        assert_eq!(of_root, MOST - MOST_OF_USER);
        let mut begun = 0;
        while let Some(next) = state.next()
            && state.begin(next, 7)
        {
            begun += 1;
        }
        assert_eq!(begun, AT_ONCE);
    }

    #[test]
    fn n23_who_does_not_want_a_dump_any_more_waits_no_longer() {
        let (turns, cancel) = (Turns::default(), Cancel::default());
        let held: Vec<_> = (0..AT_ONCE).map(|_| turns.wait(7, &cancel)).collect();
        assert!(held.iter().all(Result::is_ok));
        cancel.ask();
        assert!(turns.wait(8, &cancel).is_err());
        drop(held);
        assert!(turns.wait(8, &Cancel::default()).is_ok());
    }
}
