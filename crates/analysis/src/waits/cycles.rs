//! Threads that wait for each other in a circle: none of them will go on.

use super::Wait;
use std::collections::{HashMap, HashSet};

/// The waits of a circle: each thread waits for what the next one has, and the last one for what the first one has.
pub type Cycle<'w> = Vec<&'w Wait>;

/// All circles, each once. Each wait is looked at once: a dump may have a hundred thousand threads in a row.
pub fn cycles(waits: &[Wait]) -> Vec<Cycle<'_>> {
    let of_thread: HashMap<u32, &Wait> = waits.iter().map(|wait| (wait.thread, wait)).collect();
    let mut seen: HashSet<u32> = HashSet::new();
    let mut found = Vec::new();
    for first in waits {
        let mut path: Cycle<'_> = Vec::new();
        let mut next = Some(first);
        while let Some(wait) = next.filter(|wait| seen.insert(wait.thread)) {
            path.push(wait);
            next = wait
                .owner()
                .and_then(|owner| of_thread.get(&owner).copied());
        }
        // Where it comes back to this very path, the rest of that is a circle.
        let back = next.and_then(|next| path.iter().position(|wait| wait.thread == next.thread));
        found.extend(back.map(|at| path.split_off(at)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Lock, LockKind, On};
    use super::*;

    fn wait(thread: u32, owner: u32) -> Wait {
        let lock = Lock {
            kind: LockKind::Mutex,
            address: u64::from(owner) * 16,
            owner: Some(owner),
        };
        Wait {
            thread,
            on: On::Lock(lock),
            timeout: None,
        }
    }

    fn found(waits: &[(u32, u32)]) -> Vec<Vec<u32>> {
        let waits: Vec<Wait> = waits
            .iter()
            .map(|(thread, owner)| wait(*thread, *owner))
            .collect();
        let threads = |cycle: Cycle| cycle.iter().map(|wait| wait.thread).collect();
        cycles(&waits).into_iter().map(threads).collect()
    }

    #[test]
    fn circles_are_found_once_and_who_waits_for_one_is_not_in_it() {
        assert_eq!(found(&[(1, 2), (2, 1)]), [[1, 2]]);
        assert_eq!(found(&[(9, 1), (1, 2), (2, 3), (3, 1)]), [[1, 2, 3]]);
        assert_eq!(found(&[(1, 2), (2, 3)]), Vec::<Vec<u32>>::new());
        assert_eq!(found(&[(1, 1)]), [[1]], "who locks twice");
        assert_eq!(found(&[(1, 2), (2, 1), (3, 4), (4, 3)]).len(), 2);
    }
}
