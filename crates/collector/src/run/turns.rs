//! Whose dump is taken next, of processes that have died and whose memory is kept. Nobody waits for those, and many may
//! die at once: all of them together would take memory, descriptors and the disk from those that live.

use platform::{Cancel, Died, Error, ErrorKind, Result, lock};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, Thread},
    time::Duration,
};

/// How many are taken at once. One of a process with 65,000 mappings takes some 40 MB: it is taken alone.
const AT_ONCE: usize = 2;

/// How many can wait, and of one user, who has no more than are left: so there is always room for one who has none. Root may
/// have all: many services are his.
const MOST: usize = 256;
const MOST_OF_USER: usize = 64;
const ROOT: u32 = 0;

/// How often it is looked whether the user does not want the dump any more.
const POLL: Duration = Duration::from_millis(250);

/// The dumps that are taken, and that wait.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

/// The right to take a dump, until this is dropped.
pub(super) struct Turn {
    of: Arc<Shared>,
    share: usize,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// The shares of those that are taken.
    running: usize,
    waiting: Vec<Waiting>,
    last: u64,
    /// When each user had a turn last.
    served: HashMap<u32, u64>,
}

/// Who waits.
struct Waiting {
    /// Grows.
    number: u64,
    user: u32,
    /// How many it counts for while it is taken.
    share: usize,
    thread: Thread,
}

impl Turns {
    /// Waits for the turn of a dump of a process of a user. The user who had no turn for longest is the next.
    ///
    /// # Errors
    /// If too many wait, or nobody wants the dump any more.
    pub(super) fn wait(&self, died: Died, cancel: &Cancel) -> Result<Turn> {
        let number = self.0.state().come(died)?;
        loop {
            if let Some(share) = self.0.state().begin(number) {
                let of = self.0.clone();
                return Ok(Turn { of, share });
            }
            if cancel.is_asked() {
                self.0.state().leave(number);
                return Err(Error::new(ErrorKind::Cancelled, "the dump was cancelled"));
            }
            thread::park_timeout(POLL);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        platform::give_memory_back();
        self.of.state().end(self.share);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn come(&mut self, died: Died) -> Result<u64> {
        let user = died.user;
        let own = self.waiting.iter().filter(|w| w.user == user).count();
        let left = MOST.saturating_sub(self.waiting.len());
        let most = if user == ROOT {
            MOST
        } else {
            MOST_OF_USER.min(left)
        };
        if left == 0 || own >= most {
            let what = format!(
                "{} processes that have died wait for their dumps already ({own} of user {user}); this one is not dumped",
                self.waiting.len()
            );
            return Err(Error::new(ErrorKind::Other, what));
        }
        self.last += 1;
        self.waiting.push(Waiting {
            number: self.last,
            user,
            share: if died.is_large { AT_ONCE } else { 1 },
            thread: thread::current(),
        });
        Ok(self.last)
    }

    /// Takes the turn if it is that of this number. Returns its share.
    fn begin(&mut self, number: u64) -> Option<usize> {
        let next = self
            .next()
            .filter(|next| next.number == number && self.has_room(next));
        let (user, share) = next.map(|next| (next.user, next.share))?;
        self.running += share;
        self.last += 1;
        self.served.insert(user, self.last);
        self.leave(number);
        Some(share)
    }

    fn has_room(&self, next: &Waiting) -> bool {
        self.running + next.share <= AT_ONCE
    }

    fn end(&mut self, share: usize) {
        self.running -= share;
        self.wake_next();
    }

    /// One waits no longer.
    fn leave(&mut self, number: u64) {
        self.waiting.retain(|waiting| waiting.number != number);
        self.wake_next();
    }

    /// Only one is woken: hundreds may wait.
    fn wake_next(&self) {
        if let Some(next) = self.next().filter(|next| self.has_room(next)) {
            next.thread.unpark();
        }
    }

    fn next(&self) -> Option<&Waiting> {
        let served = |user: &u32| self.served.get(user).copied().unwrap_or(0);
        self.waiting
            .iter()
            .min_by_key(|waiting| (served(&waiting.user), waiting.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(user: u32) -> Died {
        Died {
            user,
            is_large: false,
        }
    }

    #[test]
    fn n36_one_with_a_large_map_is_taken_alone_and_is_not_passed_by() {
        let mut state = State::default();
        let large = |user| Died {
            user,
            is_large: true,
        };
        let first = state.come(small(7)).expect("room");
        let second = state.come(large(7)).expect("room");
        let third = state.come(small(7)).expect("room");
        assert_eq!(state.begin(first), Some(1));
        assert_eq!((state.begin(second), state.begin(third)), (None, None));
        state.end(1);
        assert_eq!(state.begin(second), Some(AT_ONCE));
        assert_eq!(state.begin(third), None);
        state.end(AT_ONCE);
        assert_eq!(state.begin(third), Some(1));
    }

    #[test]
    fn n23_users_have_turns_by_turns() {
        let mut state = State::default();
        let mut come = |user| (state.come(small(user)).expect("room"), user);
        let all = [come(7), come(7), come(7), come(0), come(8)];
        let mut order = Vec::new();
        while let Some(next) = state.next().map(|next| next.number) {
            let (number, user) = *all
                .iter()
                .find(|(number, _)| *number == next)
                .expect("one of them");
            assert_eq!(state.begin(number), Some(1));
            state.end(1);
            order.push(user);
        }
        assert_eq!(order, [7, 0, 8, 7, 7]);
    }

    #[test]
    fn n23_few_are_taken_at_once_and_not_all_can_wait() {
        let mut state = State::default();
        let of_one = (0..1000).filter(|_| state.come(small(7)).is_ok()).count();
        assert_eq!(of_one, MOST_OF_USER);
        let of_root = (0..1000)
            .filter(|_| state.come(small(ROOT)).is_ok())
            .count();
        assert_eq!(of_root, MOST - MOST_OF_USER);
        let mut begun = 0;
        while let Some(next) = state.next().map(|next| next.number)
            && state.begin(next).is_some()
        {
            begun += 1;
        }
        assert_eq!(begun, AT_ONCE);
    }

    #[test]
    fn n34_users_who_wait_leave_room_for_others() {
        let mut state = State::default();
        for _ in 0..1000 {
            (1..=6).for_each(|user| drop(state.come(small(user))));
        }
        assert!((0..16).all(|_| state.come(small(7)).is_ok()));
        assert!((0..16).all(|_| state.come(small(ROOT)).is_ok()));
    }

    #[test]
    fn n23_who_does_not_want_a_dump_any_more_waits_no_longer() {
        let (turns, cancel) = (Turns::default(), Cancel::default());
        let held: Vec<_> = (0..AT_ONCE)
            .map(|_| turns.wait(small(7), &cancel))
            .collect();
        assert!(held.iter().all(Result::is_ok));
        cancel.ask();
        assert!(turns.wait(small(8), &cancel).is_err());
        drop(held);
        assert!(turns.wait(small(8), &Cancel::default()).is_ok());
    }
}
