//! The file that counts repeated crashes: each handler is a process of its own, so that what
//! [`policy::Repeats`] knows lies in a file between two crashes.

use policy::Repeat;
use serde::{Deserialize, Serialize};
use snapshot::WallTime;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Beside the default folder for dumps.
const FILE: &str = "/var/lib/firstchance/repeats.json";
const SECOND: i64 = 1_000_000_000;

/// The counts, locked against all other handlers.
pub(super) struct RepeatsFile {
    file: File,
    repeats: policy::Repeats<Dump>,
}

/// The dump of the first of several crashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dump {
    /// Empty while it is being written.
    path: PathBuf,
    /// The process that writes it.
    writer: u32,
}

/// A crash in the file.
#[derive(Default, Serialize, Deserialize)]
struct Entry {
    /// Seconds since 1970.
    stored: u64,
    count: u64,
    path: PathBuf,
    writer: u32,
}

impl RepeatsFile {
    /// Opens the file and waits for its lock.
    pub(super) fn open() -> std::io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let mut file = file.open(FILE)?;
        file.lock()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(&text).unwrap_or_default();
        let repeats = entries
            .into_iter()
            .map(|(crash, entry)| (crash, entry.into()));
        Ok(Self {
            file,
            repeats: repeats.collect(),
        })
    }

    /// Whether this crash has to be stored, by this process; otherwise it is counted.
    pub(super) fn is_new(&mut self, crash: &str, window: Duration) -> bool {
        let dump = Dump {
            path: PathBuf::new(),
            writer: std::process::id(),
        };
        let known = self
            .repeats
            .take_in(crash, dump, now(), window, Dump::is_there);
        known.into_iter().for_each(note);
        known.is_none()
    }

    /// The dump of this crash is at `path`, or there is none after all.
    pub(super) fn settle(&mut self, crash: &str, path: Option<&Path>) {
        let Some(path) = path else {
            return self.repeats.forget(crash);
        };
        let dump = Dump {
            path: path.to_owned(),
            writer: 0,
        };
        let known = self.repeats.is_stored(crash, dump);
        known.into_iter().for_each(note);
    }

    /// Writes the counts and gives the lock back.
    pub(super) fn save(mut self) -> std::io::Result<()> {
        let entries = self.repeats.into_iter();
        let entries: BTreeMap<String, Entry> = entries
            .map(|(crash, known)| (crash, known.into()))
            .collect();
        let text = serde_json::to_vec(&entries)?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&text)
    }
}

impl Dump {
    fn is_there(&self) -> bool {
        match self.path.as_os_str().is_empty() {
            true => Path::new(&format!("/proc/{}", self.writer)).exists(),
            false => self.path.is_file(),
        }
    }
}

/// Writes the count into the dump of the first crash, unless that is still being written.
fn note(known: &Repeat<Dump>) {
    if known.count > 0 && !known.dump.path.as_os_str().is_empty() {
        let _ = collector::note_repeats(&known.dump.path, known.count);
    }
}

impl From<Entry> for Repeat<Dump> {
    fn from(entry: Entry) -> Self {
        Self {
            stored: WallTime(entry.stored as i64 * SECOND),
            count: entry.count,
            dump: Dump {
                path: entry.path,
                writer: entry.writer,
            },
        }
    }
}

impl From<Repeat<Dump>> for Entry {
    fn from(known: Repeat<Dump>) -> Self {
        Self {
            stored: (known.stored.0 / SECOND) as u64,
            count: known.count,
            path: known.dump.path,
            writer: known.dump.writer,
        }
    }
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    WallTime(since.unwrap_or_default().as_nanos() as i64)
}
