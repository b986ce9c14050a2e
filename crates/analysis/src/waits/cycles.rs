//! Threads that wait for each other in a circle: none of them will go on.

use super::Wait;

/// The waits of a circle: each thread waits for what the next one has, and the last one for what the first one has.
pub type Cycle<'w> = Vec<&'w Wait>;

/// All circles, each once.
pub fn cycles(waits: &[Wait]) -> Vec<Cycle<'_>> {
    let mut seen: Vec<u32> = Vec::new();
    let mut found = Vec::new();
    for wait in waits {
        let cycle = cycle_from(wait, waits);
        let is_new = cycle.iter().all(|wait| !seen.contains(&wait.thread));
        if !cycle.is_empty() && is_new {
            seen.extend(cycle.iter().map(|wait| wait.thread));
            found.push(cycle);
        }
    }
    found
}

/// The circle that a thread is in; empty if it is in none.
fn cycle_from<'w>(first: &'w Wait, waits: &'w [Wait]) -> Cycle<'w> {
    let mut path = vec![first];
    while let Some(next) = waits_of(path[path.len() - 1].owner(), waits) {
        if next.thread == first.thread {
            return path;
        }
        if path.iter().any(|wait| wait.thread == next.thread) {
            break;
        }
        path.push(next);
    }
    Vec::new()
}

fn waits_of(thread: Option<u32>, waits: &[Wait]) -> Option<&Wait> {
    waits.iter().find(|wait| Some(wait.thread) == thread)
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
