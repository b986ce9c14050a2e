//! Limits of a folder that several write to at the same time.

use crate::support::{Firstchance, Running, Victim, file_in, files_in, folder};
use std::path::Path;

const MIB: u64 = 1 << 20;

/// A watch that takes full dumps with a limit for its folder.
fn watch(victim: &Victim, folder: &Path, limit: u64, count: usize) -> Firstchance {
    let limit = format!("{limit}MiB");
    Firstchance::new(&["watch", &victim.pid_text(), "--when", "every 1ms"])
        .args(&["--do", "full dump", "-n", &count.to_string()])
        .args(&["--max-folder", &limit, "-o"])
        .arg(format!("{}/", folder.display()))
}

fn bytes_in(folder: &Path) -> u64 {
    let sizes = files_in(folder).into_iter();
    sizes
        .map(|file| file.metadata().map_or(0, |f| f.len()))
        .sum()
}

/// A dump that is whole, and is about to get its name.
fn stands_before_its_name(folder: &tempfile::TempDir) -> Running {
    let victim = Victim::start(&["leak", "64"]);
    let mut writing = Firstchance::full_dump(victim.pid(), &file_in(folder, "writing.core"))
        .failpoint("publish:stop")
        .spawn();
    writing.wait_until_stopped();
    writing
}

#[test]
fn n33_of_several_who_write_at_once_under_a_limit_none_loses_a_dump() {
    let folder = folder();
    let victims: Vec<_> = (0..6).map(|_| Victim::start(&["leak", "4"])).collect();
    let watches = victims
        .iter()
        .map(|v| watch(v, folder.path(), 80, 25).spawn());
    let watches: Vec<_> = watches.collect();
    for run in watches.into_iter().map(Running::finish) {
        run.assert_code(0);
        assert!(!run.stdout.contains("failed"), "{run:#?}");
    }
    let files = files_in(folder.path());
    assert!(bytes_in(folder.path()) <= 80 * MIB, "{files:?}");
    let is_part = |file: &std::path::PathBuf| file.extension().is_some_and(|e| e == "partial");
    assert!(!files.iter().any(is_part), "{files:?}");
}

#[test]
fn n33_a_part_that_is_being_written_stays_and_counts() {
    let folder = folder();
    let writing = stands_before_its_name(&folder);
    let victim = Victim::start(&["idle"]);
    let refused = watch(&victim, folder.path(), 40, 1).spawn();
    let refused = refused.until_it_says("limits to keep");
    refused.signal(libc::SIGINT);
    refused.finish();
    writing.go_on();
    writing.finish().assert_code(0);
    assert_eq!(files_in(folder.path()), [file_in(&folder, "writing.core")]);
}

#[test]
fn n33_the_part_of_a_writer_that_died_counts_and_goes() {
    let folder = folder();
    let writing = stands_before_its_name(&folder);
    writing.signal(libc::SIGKILL);
    writing.finish();
    assert_eq!(
        files_in(folder.path()),
        [file_in(&folder, ".writing.core.partial")]
    );
    let victim = Victim::start(&["idle"]);
    watch(&victim, folder.path(), 40, 1)
        .run_well()
        .assert_says("Old dump deleted to keep the limits: ");
    assert_eq!(files_in(folder.path()).len(), 1);
    assert!(bytes_in(folder.path()) < 40 * MIB);
}
