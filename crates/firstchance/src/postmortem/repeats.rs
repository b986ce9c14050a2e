//! The same crash of the same program, again and again: it is counted, not stored.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Where the counts lie, beside the folder for dumps that is the default.
const FILE: &str = "/var/lib/firstchance/repeats.json";
/// More causes than this are not remembered; the oldest are forgotten.
const MOST: usize = 2000;

/// How often which crash came, locked against all others who count.
pub(crate) struct Repeats {
    file: File,
    known: BTreeMap<String, Repeat>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Repeat {
    /// Seconds since 1970, of the crash that was stored.
    stored: u64,
    /// How often it came since.
    count: u64,
    /// Its dump; empty while that is being written.
    path: PathBuf,
    /// Who writes it.
    writer: u32,
}

impl Repeats {
    /// Waits for the lock.
    pub(crate) fn open() -> std::io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let mut file = file.open(FILE)?;
        file.lock()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let known = serde_json::from_slice(&text).unwrap_or_default();
        Ok(Self { file, known })
    }

    /// Whether this crash is to be stored; else it is counted. Who stores it says so afterwards.
    pub(crate) fn is_new(&mut self, cause: &str, window: Duration) -> bool {
        if let Some(repeat) = self.known.get_mut(cause)
            && repeat.holds(now(), window)
        {
            repeat.count += 1;
            repeat.tell();
            return false;
        }
        let repeat = Repeat {
            stored: now(),
            writer: std::process::id(),
            ..Repeat::default()
        };
        self.known.insert(cause.to_owned(), repeat);
        true
    }

    /// The dump of this crash is there.
    pub(crate) fn stored(&mut self, cause: &str, path: &Path) {
        if let Some(repeat) = self.known.get_mut(cause) {
            repeat.path = path.to_owned();
            repeat.tell();
        }
    }

    /// There is no dump of it after all.
    pub(crate) fn forget(&mut self, cause: &str) {
        self.known.remove(cause);
    }

    /// Keeps what was counted.
    pub(crate) fn save(mut self) -> std::io::Result<()> {
        while self.known.len() > MOST {
            let oldest = self.known.iter().min_by_key(|(_, repeat)| repeat.stored);
            let Some(cause) = oldest.map(|(cause, _)| cause.clone()) else {
                break;
            };
            self.known.remove(&cause);
        }
        let text = serde_json::to_vec(&self.known)?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&text)
    }
}

impl Repeat {
    /// Tells it in the dump that stands for all; until that is written, nowhere.
    fn tell(&self) {
        if self.count > 0 && !self.path.as_os_str().is_empty() {
            let _ = collector::note_repeats(&self.path, self.count);
        }
    }

    /// Whether its dump is there, or is being written, and young enough to stand for others.
    fn holds(&self, now: u64, window: Duration) -> bool {
        let is_young = now.saturating_sub(self.stored) < window.as_secs();
        let is_there = match self.path.as_os_str().is_empty() {
            true => Path::new(&format!("/proc/{}", self.writer)).exists(),
            false => self.path.is_file(),
        };
        is_young && is_there
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
