//! How much of our time a user can have by crashing: our threads come before all others meanwhile, and anybody can start
//! processes that crash in a loop.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The time that a user has at once, and the part of all time by which that comes back: some hundred deaths, and ten or
/// twenty a second after them.
const MOST: Duration = Duration::from_millis(400);
const PART: u32 = 20;

/// Root has so many times as much: many services are his, and he need not attack anybody.
const ROOT: u32 = 0;
const OF_ROOT: u32 = 5;

/// How many users are remembered.
const MOST_USERS: usize = 1024;

/// Who shares the time of all users that there is no room for.
const OTHERS: u32 = u32::MAX;

/// The time that each user has used up, as of a moment.
#[derive(Default)]
pub(super) struct CatchBudget(HashMap<u32, (Duration, Instant)>);

impl CatchBudget {
    /// Returns whether a user has time left.
    pub(super) fn allows(&self, user: u32, now: Instant) -> bool {
        self.used(self.account(user), now) < MOST
    }

    /// A user has used up some time.
    pub(super) fn spend(&mut self, user: u32, spent: Duration, now: Instant) {
        if self.0.len() >= MOST_USERS {
            // Whoever has all his time again need not be remembered.
            let recent = now.checked_sub(MOST * PART);
            self.0.retain(|_, (_, at)| Some(*at) > recent);
        }
        let account = self.account(user);
        let spent = if user == ROOT { spent / OF_ROOT } else { spent };
        let used = self.used(account, now) + spent;
        self.0.insert(account, (used, now));
    }

    fn account(&self, user: u32) -> u32 {
        match self.0.contains_key(&user) || self.0.len() < MOST_USERS {
            true => user,
            false => OTHERS,
        }
    }

    fn used(&self, account: u32, now: Instant) -> Duration {
        let Some((used, at)) = self.0.get(&account) else {
            return Duration::ZERO;
        };
        used.saturating_sub(now.saturating_duration_since(*at) / PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_user_who_crashes_in_a_loop_gets_a_twentieth_of_the_time_and_others_theirs() {
        let (mut budget, begin) = (CatchBudget::default(), Instant::now());
        let mut spent = Duration::ZERO;
        for millisecond in 0..100_000 {
            let now = begin + Duration::from_millis(millisecond);
            if budget.allows(7, now) {
                budget.spend(7, Duration::from_millis(1), now);
                spent += Duration::from_millis(1);
            }
            assert!(budget.allows(8, now));
        }
        assert!(
            spent > 5 * SECOND && spent < 6 * SECOND,
            "{spent:?} of 100 s"
        );
    }

    #[test]
    fn two_hundred_deaths_at_once_are_caught() {
        let (mut budget, now) = (CatchBudget::default(), Instant::now());
        for _ in 0..200 {
            assert!(budget.allows(0, now));
            budget.spend(0, Duration::from_micros(1900), now);
        }
    }

    #[test]
    fn many_users_are_not_remembered_for_ever() {
        let (mut budget, begin) = (CatchBudget::default(), Instant::now());
        for user in 0..100_000 {
            let now = begin + Duration::from_millis(u64::from(user));
            budget.spend(user, SECOND, now);
        }
        assert!(budget.0.len() <= MOST_USERS + 1);
    }

    #[test]
    fn more_users_than_are_remembered_share_the_time_of_one() {
        let (mut budget, now) = (CatchBudget::default(), Instant::now());
        let caught = (0..100_000).filter(|user| {
            let allowed = budget.allows(*user, now);
            if allowed {
                budget.spend(*user, SECOND, now);
            }
            allowed
        });
        assert!(caught.count() <= MOST_USERS + 1);
    }
}
