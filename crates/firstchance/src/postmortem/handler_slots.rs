//! Limits how many crash handlers work at the same time. The kernel starts one handler for each
//! crash; when many programs crash at once, a few handlers work and the others wait for a slot, so
//! that memory stays bounded and no crash is lost. The crashed process stays until its handler ends.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

/// Folder of the lock files; it is empty again after a reboot.
const FOLDER: &str = "/run/firstchance";
/// Handlers that work at the same time.
const SLOTS: usize = 8;
/// A handler that has waited this long goes on without a slot: the others may hang on a disk.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a waiting handler looks for a free slot.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits for a free slot and takes it; it is free again when the file is dropped. Returns `None`
/// after [`LONGEST_WAIT`], or if the lock files cannot be made: the caller goes on all the same.
pub(super) fn wait() -> Option<File> {
    platform::make_store(Path::new(FOLDER)).ok()?;
    let end = Instant::now() + LONGEST_WAIT;
    while Instant::now() < end {
        if let Some(slot) = (0..SLOTS).find_map(take) {
            return Some(slot);
        }
        std::thread::sleep(INTERVAL);
    }
    None
}

/// Takes a slot unless another handler has it.
fn take(number: usize) -> Option<File> {
    let path = Path::new(FOLDER).join(format!("slot-{number}"));
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    file.ok().filter(|file| file.try_lock().is_ok())
}
