//! How many address spaces are kept at once: each has its whole memory still, until it has been dumped.

use crate::lock;
use rustix::process::{Resource, getrlimit};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

/// How many there are, and of one user, who has no more than are left: so there are always some for one who has none. Root
/// may have all: many services are his, and he need not attack anybody.
const MOST: usize = 256;
const MOST_OF_USER: usize = 64;
const ROOT: u32 = 0;

/// How many descriptors each takes, until it has been dumped.
const DESCRIPTORS: u64 = 24;

/// The part of the machine's memory that they have together. One alone may have more.
const PART: u64 = 4;

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// The right to keep an address space, until this is dropped.
pub(crate) struct Place {
    user: u32,
    bytes: u64,
}

impl Place {
    /// Takes a place for a process of a user that has so many bytes of memory; `None` if there is none left for it.
    pub(crate) fn of(user: u32, bytes: u64) -> Option<Self> {
        let memory = rustix::system::sysinfo();
        let memory = (memory.totalram as u64).saturating_mul(memory.mem_unit.into());
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = (descriptors / DESCRIPTORS).min(MOST as u64) as usize;
        let is_free = taken()
            .get_or_insert_default()
            .take(user, bytes, most, memory / PART);
        // A place that was not taken is not given back either.
        is_free.then(|| Self { user, bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        taken()
            .get_or_insert_default()
            .give_back(self.user, self.bytes);
    }
}

/// The places that are taken, of each user, and the bytes of all.
#[derive(Default)]
struct Taken {
    of_users: HashMap<u32, usize>,
    bytes: u64,
}

impl Taken {
    fn take(&mut self, user: u32, bytes: u64, most: usize, most_bytes: u64) -> bool {
        let all = self.of_users.values().sum::<usize>();
        let own = self.of_users.get(&user).copied().unwrap_or(0);
        let most_of_user = if user == ROOT {
            most
        } else {
            MOST_OF_USER.min(most.saturating_sub(all))
        };
        let has_room = all == 0 || self.bytes.saturating_add(bytes) <= most_bytes;
        let is_free = all < most && own < most_of_user && has_room;
        if is_free {
            self.of_users.insert(user, own + 1);
            self.bytes = self.bytes.saturating_add(bytes);
        }
        is_free
    }

    fn give_back(&mut self, user: u32, bytes: u64) {
        if let Some(own) = self.of_users.get_mut(&user) {
            *own -= 1;
        }
        self.of_users.retain(|_, own| *own > 0);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    lock(&TAKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_a_user_does_not_have_all_places() {
        let mut taken = Taken::default();
        let of_one = (0..1000).filter(|_| taken.take(7, 1, MOST, 1000)).count();
        assert_eq!(of_one, MOST_OF_USER);
        let of_all = (8..1000)
            .filter(|user| taken.take(*user, 1, MOST, 1000))
            .count();
        assert_eq!(of_all, MOST - MOST_OF_USER);
        assert!(!taken.take(7, 1, MOST, 1000));
        taken.give_back(7, 1);
        // One who has so many does not get the last.
        assert!(!taken.take(7, 1, MOST, 1000));
        assert!(taken.take(2000, 1, MOST, 1000));
    }

    #[test]
    fn n34_users_who_take_what_they_can_leave_places_to_others() {
        let mut taken = Taken::default();
        for at in 0..6000 {
            taken.take(1 + at % 6, 1, MOST, 10_000);
        }
        let newcomer = (0..1000).filter(|_| taken.take(7, 1, MOST, 10_000)).count();
        assert!(newcomer >= 16, "{newcomer}");
        let root = (0..1000)
            .filter(|_| taken.take(ROOT, 1, MOST, 10_000))
            .count();
        assert!(root >= 16, "{root}");
    }

    #[test]
    fn n23_who_is_refused_gives_no_place_back() {
        let mut places = Vec::new();
        while let Some(place) = Place::of(7, 1) {
            places.push(place);
        }
        assert!(!places.is_empty() && places.len() <= MOST_OF_USER);
        assert!((0..1000).all(|_| Place::of(7, 1).is_none()));
        places.pop();
        assert!(Place::of(7, 1).is_some());
    }

    #[test]
    fn n23_those_that_are_kept_do_not_take_all_memory() {
        let mut taken = Taken::default();
        assert!(taken.take(7, 5000, MOST, 1000));
        assert!(!taken.take(8, 1, MOST, 1000));
        taken.give_back(7, 5000);
        assert!(taken.take(8, 600, MOST, 1000));
        assert!(!taken.take(8, 600, MOST, 1000));
        assert!(taken.take(8, 400, MOST, 1000));
    }
}
