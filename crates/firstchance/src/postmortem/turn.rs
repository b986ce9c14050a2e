//! Many crashes at once: all handlers that the kernel starts wait for their turn, so that a few work
//! at a time and none of the crashes is lost. A crashed process stands meanwhile; a handler that
//! waits has little memory.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

/// Locks lie here, gone with the machine's power.
const FOLDER: &str = "/run/firstchance";
/// So many work at once.
const TURNS: usize = 8;
/// Whoever waited so long goes on: others may hang, behind a disk that does.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether a turn is free.
const LOOK: Duration = Duration::from_millis(10);

/// A turn, given back when it is dropped; `None` where there was none, and it goes on all the same.
pub(super) fn wait() -> Option<File> {
    platform::make_store(Path::new(FOLDER)).ok()?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(turn) = (0..TURNS).find_map(free) {
            return Some(turn);
        }
        std::thread::sleep(LOOK);
    }
    None
}

fn free(number: usize) -> Option<File> {
    let path = Path::new(FOLDER).join(format!("turn-{number}"));
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    file.ok().filter(|file| file.try_lock().is_ok())
}
