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

/// How many of them the processes of one user may have, other than root: nobody keeps all others waiting.
const SLOTS_OF_USER: usize = 4;
/// How many handlers of one user, other than root, wait for the kernel at a time.
const WAITING_OF_USER: usize = 16;

/// A slot, or two, until this is dropped.
pub(super) struct Slot {
    _locks: Vec<File>,
}

/// Waits for a free slot and takes it. Returns `None` if the wait was too long, or if the lock files cannot be made: the
/// caller goes on all the same.
pub(super) fn wait(user: u32) -> Option<Slot> {
    platform::make_store(Path::new(FOLDER)).ok()?;
    let start = Instant::now();
    loop {
        match SLOTS.step(start.elapsed(), |number| take(user, number)) {
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

/// Takes a place among the handlers of a user that wait for the kernel, which may never begin to write. `None` if there
/// is none: the kernel starts no handler for others' crashes when too many wait.
pub(super) fn queue(user: u32) -> Option<Slot> {
    if user == 0 || platform::make_store(Path::new(FOLDER)).is_err() {
        return Some(Slot { _locks: Vec::new() });
    }
    let locks = vec![first_of(&format!("waiting-{user}"), WAITING_OF_USER)?];
    Some(Slot { _locks: locks })
}

/// Takes a slot unless another handler has it, and one of the user's own.
fn take(user: u32, number: usize) -> Option<Slot> {
    let mut locks = vec![lock(&format!("slot-{number}"))?];
    if user != 0 {
        locks.push(first_of(&format!("slot-of-{user}"), SLOTS_OF_USER)?);
    }
    Some(Slot { _locks: locks })
}

fn first_of(name: &str, count: usize) -> Option<File> {
    (0..count).find_map(|number| lock(&format!("{name}-{number}")))
}

fn lock(name: &str) -> Option<File> {
    let path = Path::new(FOLDER).join(name);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    file.ok().filter(|file| file.try_lock().is_ok())
}
