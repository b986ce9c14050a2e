//! How long a process is expected to stand for a dump.

use crate::Facts;
use std::time::Duration;

/// What a fork takes for each GiB of pages of 4 KiB, at most as it was seen on several machines (11 to 45 ms, and up to 60 for
/// memory that was touched in random order); huge pages take a twentieth of it.
const FORK_OF_GIB: Duration = Duration::from_millis(60);
/// What it takes to stop a thread, to read its registers and to let it go.
const THREAD: Duration = Duration::from_micros(40);
/// What a small dump takes for each thread, with the copying of its stack.
const SMALL_THREAD: Duration = Duration::from_micros(100);
/// What a small dump takes besides.
const SMALL: Duration = Duration::from_millis(5);
/// What it takes besides.
const LEAST: Duration = Duration::from_millis(1);
/// What it takes to copy a GiB into a file whose pages are in memory, at most as it was seen (200 to 330 ms).
const KEEP_GIB: Duration = Duration::from_millis(350);
/// The same from an object in memory that we have mapped (60 to 110 ms).
const KEEP_MAPPED_GIB: Duration = Duration::from_millis(120);
/// What a disk writes in a second, in bytes.
const DISK: u64 = 1 << 30;

/// How long a process stands that is cloned.
pub(super) fn of_clone(facts: &Facts, threads: usize) -> Duration {
    LEAST + of_threads(threads) + FORK_OF_GIB.mul_f64(gib(facts.resident))
}

/// How long it stands while it is copied itself.
pub(super) fn in_place(facts: &Facts, threads: usize) -> Duration {
    LEAST + of_threads(threads) + to_write(facts.resident + facts.mapped)
}

/// How long it stands for a small dump, which does not depend on its size.
pub(super) fn of_small(threads: usize) -> Duration {
    SMALL + SMALL_THREAD * u32::try_from(threads).unwrap_or(u32::MAX)
}

/// How long it takes to copy so many bytes into a file that is in memory.
pub(super) fn to_keep(bytes: u64) -> Duration {
    KEEP_GIB.mul_f64(gib(bytes))
}

/// How long it takes to copy so many bytes into it from objects that we have mapped.
pub(super) fn to_keep_mapped(bytes: u64) -> Duration {
    KEEP_MAPPED_GIB.mul_f64(gib(bytes))
}

/// How long it takes to write so many bytes.
pub(super) fn to_write(bytes: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / DISK as f64)
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}

fn of_threads(threads: usize) -> Duration {
    THREAD * u32::try_from(threads).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_expected_to_be_faster_by_far() {
        let facts = Facts {
            resident: 4 << 30,
            ..Facts::default()
        };
        assert_eq!(of_clone(&facts, 100).as_millis(), 245);
        assert_eq!(in_place(&facts, 100).as_millis(), 4005);
    }
}
