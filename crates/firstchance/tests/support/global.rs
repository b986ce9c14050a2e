//! Settings of the machine, which all tests share: one test at a time changes them, and restores them.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::target_dir;

/// Takes the lock with this name, which all test processes share. It is released when dropped.
pub(crate) fn only_one(name: &str) -> File {
    lock_in(&target_dir().join("test-locks"), name)
}

/// Takes a lock in `folder`. The locks for settings of the machine are in a folder that all checkouts of the
/// project share.
fn lock_in(folder: &Path, name: &str) -> File {
    std::fs::create_dir_all(folder).expect("a folder for locks");
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(name));
    let file = file.expect("a lock file");
    file.lock().expect("the lock");
    file
}

/// A setting of the kernel, which is restored when this is dropped.
///
/// The old value is also in the lock file: if the test is killed, the next one that takes the lock restores
/// it.
pub(crate) struct Sysctl {
    path: String,
    old: String,
    journal: File,
}

impl Sysctl {
    /// Sets `/proc/sys/NAME` to at least `value`. Returns `None` if that is not permitted.
    pub(crate) fn at_least(name: &str, value: u64) -> Option<Sysctl> {
        let sysctl = Sysctl::hold(name);
        let is_enough = sysctl.old.parse().is_ok_and(|old: u64| old >= value);
        let is_set = is_enough || std::fs::write(&sysctl.path, value.to_string()).is_ok();
        is_set.then_some(sysctl)
    }

    /// Keeps other tests from changing the setting.
    pub(crate) fn hold(name: &str) -> Sysctl {
        let path = format!("/proc/sys/{name}");
        let folder = std::env::temp_dir().join("firstchance-test-locks");
        let mut journal = lock_in(&folder, &name.replace('/', "."));
        let mut killed = String::new();
        journal.read_to_string(&mut killed).expect("the journal");
        if !killed.is_empty() {
            let _ = std::fs::write(&path, &killed);
        }
        let old = std::fs::read_to_string(&path).expect("a setting of the kernel");
        let old = old.trim().to_owned();
        rewrite(&mut journal, &old);
        Sysctl { path, old, journal }
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.path, &self.old);
        rewrite(&mut self.journal, "");
    }
}

fn rewrite(journal: &mut File, text: &str) {
    journal
        .set_len(0)
        .and_then(|()| journal.rewind())
        .expect("the journal");
    journal.write_all(text.as_bytes()).expect("the journal");
}
