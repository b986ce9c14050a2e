//! What tests of the real program stand on: victims, the program itself, and strangers that judge
//! what it wrote.
//!
//! A test waits for events, never for time to pass; [`wait_until`] is for what the system only
//! shows when asked. Everything that is started ends with the test, by its pid.

#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

mod child;
mod firstchance;
mod global;
mod judges;
mod postmortem;
mod programs;
mod tmpfs;
mod victim;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use child::{Child, proc_status, state_of, threads_of};
pub(crate) use firstchance::{Dumped, Firstchance, Run, Running, files_in};
pub(crate) use global::{Sysctl, only_one};
pub(crate) use judges::{Core, judge, lldb, readelf, stackwalk};
pub(crate) use postmortem::Postmortem;
pub(crate) use programs::{Program, compile, target_dir};
pub(crate) use tmpfs::Tmpfs;
pub(crate) use victim::{Victim, victim_exe};

/// Far more than anything here takes on a slow machine; who waits that long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Looks until `happened`.
///
/// # Panics
/// At the deadline, naming what was waited for.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A folder that goes with the test, on a real disk.
pub(crate) fn folder() -> tempfile::TempDir {
    let parent = target_dir().join("test-folders");
    std::fs::create_dir_all(&parent).expect("a folder under the target folder");
    tempfile::tempdir_in(parent).expect("a folder for the test")
}

/// A file in `folder`.
pub(crate) fn file_in(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// Whether the longer versions of tests are wanted: `cargo xtask test --all`.
pub(crate) fn slow_tests() -> bool {
    std::env::var("FIRSTCHANCE_SLOW_TESTS").is_ok_and(|value| !value.is_empty())
}
