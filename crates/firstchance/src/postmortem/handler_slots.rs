//! Limits how many crash handlers work at the same time. The kernel starts one handler for each
//! crash; when many programs crash at once, a few handlers work and the others wait for a slot, so
//! that memory stays bounded and no crash is lost. The crashed process stays until its handler ends.

use policy::{SlotStep, Slots};
use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

const SLOTS: Slots = Slots {
    count: 8,
    longest_wait: Duration::from_secs(60),
};
/// Folder of the lock files, one for each slot; it is empty again after a reboot.
const FOLDER: &str = "/run/firstchance";
/// How often a waiting handler looks for a free slot.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits for a free slot and takes it; dropping the file frees it. Returns `None` if the wait was
/// too long, or if the lock files cannot be made: the caller goes on all the same.
pub(super) fn wait() -> Option<File> {
    platform::make_store(Path::new(FOLDER)).ok()?;
    let start = Instant::now();
    loop {
        match SLOTS.step(start.elapsed(), take) {
            SlotStep::Work(slot) => {
                log::debug!("got a slot after {:?}", start.elapsed());
                return Some(slot);
            }
            SlotStep::WorkAnyway => {
                log::debug!("no slot after {:?}: going on without one", start.elapsed());
                return None;
            }
            SlotStep::Wait => std::thread::sleep(INTERVAL),
        }
    }
}

/// Takes a slot unless another handler has it.
fn take(number: usize) -> Option<File> {
    let path = Path::new(FOLDER).join(format!("slot-{number}"));
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    file.ok().filter(|file| file.try_lock().is_ok())
}
