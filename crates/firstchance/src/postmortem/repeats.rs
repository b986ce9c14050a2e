//! The file that counts repeated crashes: each handler is a process of its own, so that what
//! [`policy::Repeats`] knows lies in a file between two crashes.

use platform::Host;
use policy::{Repeat, SameCrash};
use serde::{Deserialize, Serialize};
use snapshot::{DumpKind, ProcessKey, WallTime};
use std::{
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Beside the default folder for dumps. `disable` removes it.
pub(super) const FILE: &str = "/var/lib/firstchance/repeats.json";
const SECOND: i64 = 1_000_000_000;

/// The counts, locked against all other handlers.
pub(super) struct RepeatsFile {
    file: File,
    repeats: policy::Repeats<Dump>,
}

/// The dump of the first of several crashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dump {
    place: Place,
    /// How much it has.
    kind: DumpKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// This process is writing it.
    Writing(ProcessKey),
    Stored(PathBuf),
}

/// A crash in the file.
#[derive(Serialize, Deserialize)]
struct Entry {
    user: u32,
    crash: String,
    /// Seconds since 1970.
    stored: u64,
    count: u64,
    /// As [`DumpKind`] is printed.
    kind: String,
    /// Empty while it is being written.
    path: PathBuf,
    /// The process that writes it: its pid, and when it was started as its key has it.
    writer: (u32, u64),
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
        let entries: Vec<Entry> = serde_json::from_slice(&text).unwrap_or_default();
        let repeats = entries.into_iter().filter_map(Entry::read);
        Ok(Self {
            file,
            repeats: repeats.collect(),
        })
    }

    /// Whether this crash has to be stored, by this process, in a dump of this kind; otherwise it is counted.
    pub(super) fn is_new(
        &mut self,
        host: &dyn Host,
        crash: &SameCrash,
        kind: DumpKind,
        window: Duration,
    ) -> bool {
        let own = host.entry(std::process::id());
        let Ok(writer) = own.map(|entry| entry.key) else {
            return true;
        };
        let dump = Dump {
            place: Place::Writing(writer),
            kind,
        };
        // A mini dump does not do where a full one is wanted.
        let does = |known: &Dump| known.kind >= kind && known.is_there(host);
        let known = self.repeats.take_in(crash, dump, now(), window, does);
        known.into_iter().for_each(note);
        known.is_none()
    }

    /// The dump of this crash is at this path and of this kind, or there is none after all.
    pub(super) fn settle(&mut self, crash: &SameCrash, stored: Option<(&Path, DumpKind)>) {
        let Some((path, kind)) = stored else {
            return self.repeats.forget(crash);
        };
        let place = Place::Stored(path.to_owned());
        let dump = Dump { place, kind };
        let known = self.repeats.is_stored(crash, dump);
        known.into_iter().for_each(note);
    }

    /// Writes the counts and gives the lock back.
    pub(super) fn save(mut self) -> std::io::Result<()> {
        let entries = self.repeats.into_iter();
        let entries: Vec<Entry> = entries
            .map(|(crash, known)| Entry::of(crash, known))
            .collect();
        let text = serde_json::to_vec(&entries)?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&text)
    }
}

impl Dump {
    fn is_there(&self, host: &dyn Host) -> bool {
        match &self.place {
            Place::Writing(writer) => host.entry(writer.pid).is_ok_and(|now| now.key == *writer),
            Place::Stored(path) => path.is_file(),
        }
    }
}

/// Writes the count into the dump of the first crash, unless that is still being written.
fn note(known: &Repeat<Dump>) {
    if let Place::Stored(path) = &known.dump.place
        && known.count > 0
    {
        let _ = collector::note_repeats(path, known.count);
    }
}

impl Entry {
    fn of(crash: SameCrash, known: Repeat<Dump>) -> Self {
        let (path, writer) = match known.dump.place {
            Place::Writing(writer) => (PathBuf::new(), (writer.pid, writer.start)),
            Place::Stored(path) => (path, (0, 0)),
        };
        Self {
            user: crash.user,
            crash: crash.what,
            stored: (known.stored.0 / SECOND) as u64,
            count: known.count,
            kind: known.dump.kind.to_string(),
            path,
            writer,
        }
    }

    /// Returns `None` if the entry makes no sense.
    fn read(self) -> Option<(SameCrash, Repeat<Dump>)> {
        let (pid, start) = self.writer;
        let place = match self.path.as_os_str().is_empty() {
            true => Place::Writing(ProcessKey { pid, start }),
            false => Place::Stored(self.path),
        };
        let crash = SameCrash {
            user: self.user,
            what: self.crash,
        };
        let known = Repeat {
            stored: WallTime(self.stored as i64 * SECOND),
            count: self.count,
            dump: Dump {
                place,
                kind: self.kind.parse().ok()?,
            },
        };
        Some((crash, known))
    }
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    WallTime(since.unwrap_or_default().as_nanos() as i64)
}
