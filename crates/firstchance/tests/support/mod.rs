//! The helpers of the tests of the real program: victims, the program itself, and the tools that judge its
//! dumps.
//!
//! A test waits for events, never for a time. [`wait_until`] asks again and again, and is only for what the
//! system does not report. Every process that a test starts is ended with the test, by its pid.

#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

mod cgroup;
mod child;
mod firstchance;
mod global;
mod judges;
mod loop_disk;
mod postgres;
mod postmortem;
mod programs;
mod server;
mod tmpfs;
mod victim;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use cgroup::Group;
pub(crate) use child::{Child, cpu_ticks, proc_status, state_of, threads_of};
pub(crate) use firstchance::{Dumped, Firstchance, Run, Running, files_in};
pub(crate) use global::{Sysctl, only_one};
pub(crate) use judges::{Core, judge, lldb, readelf, stackwalk};
pub(crate) use loop_disk::{LoopDisk, must};
pub(crate) use postgres::Postgres;
pub(crate) use postmortem::Postmortem;
pub(crate) use programs::{Program, compile, target_dir};
pub(crate) use server::Server;
pub(crate) use tmpfs::Tmpfs;
pub(crate) use victim::{Victim, victim_exe};

/// Much longer than anything here takes on a slow machine: a test that waits this long fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `happened` returns true. `what` names it if the test fails.
///
/// # Panics
/// At the deadline.
pub(crate) fn wait_until(what: &str, happened: impl FnMut() -> bool) {
    let happened = happens_within(DEADLINE, happened);
    assert!(happened, "waited in vain until {what}");
}

/// Waits until `happened` returns true; false if that takes longer than `limit`.
pub(crate) fn happens_within(limit: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !happened() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A folder on a real disk, which is deleted after the test.
pub(crate) fn folder() -> tempfile::TempDir {
    let parent = target_dir().join("test-folders");
    std::fs::create_dir_all(&parent).expect("a folder under the target folder");
    tempfile::tempdir_in(parent).expect("a folder for the test")
}

/// Whether a text is in these bytes, in UTF-8 and in UTF-16.
pub(crate) fn holds(bytes: &[u8], text: &str) -> [bool; 2] {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    [has(text.as_bytes()), has(&wide)]
}

/// The path of a file in `folder`.
pub(crate) fn file_in(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// Whether the longer versions of the tests run (`cargo xtask test --all`).
pub(crate) fn slow_tests() -> bool {
    std::env::var("FIRSTCHANCE_SLOW_TESTS").is_ok_and(|value| !value.is_empty())
}
