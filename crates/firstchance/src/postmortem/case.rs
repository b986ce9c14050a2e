//! A crash of which a dump is wanted, and what is stored of it.

use super::{
    Repeats, Settings,
    handler::{Call, raced},
    settings::Wanted,
};
use collector::{Collected, CoreHead, Crash, Destination, Record, Request};
use platform::{Error, ErrorKind, Stop};
use snapshot::{DumpFormat, DumpKind};
use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a crashed process stands for its core to be read to its end.
const DRAIN: Duration = Duration::from_secs(10);
/// A core that would be longer is not read to its end.
const LONGEST_DRAIN: u64 = 16 << 30;
/// When a dump is given up and the kernel's core is taken.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A crash of which a dump is wanted.
pub(super) struct Case<'c> {
    pub(super) settings: &'c Settings,
    pub(super) call: &'c Call,
    pub(super) name: &'c str,
    pub(super) wanted: &'c Wanted,
    /// Who may read it besides root.
    pub(super) reader: Option<u32>,
    /// Whether the process was gone before anything of it could be known.
    pub(super) raced: bool,
    pub(super) head: CoreHead,
}

impl Case<'_> {
    /// Stores it, unless the same crash was stored not long ago.
    pub(super) fn once(
        &self,
        cause: &str,
        store: impl FnOnce() -> anyhow::Result<PathBuf>,
    ) -> anyhow::Result<()> {
        if !is_new(cause, self.settings) {
            return Ok(());
        }
        let stored = store();
        self.settle(cause, stored.as_deref().ok());
        stored.map(drop)
    }

    pub(super) fn dump_or_core(
        &self,
        crash: &mut Crash,
        input: &mut dyn Read,
    ) -> anyhow::Result<PathBuf> {
        let request = self.request();
        let dumped = match self.dump(crash, &request) {
            // What is too large for the disk would be so as the kernel's core as well.
            Err(error) if error.kind == ErrorKind::Disk && !is_small(self.wanted.kind) => {
                self.small_dump(crash, request, &error)
            }
            dumped => dumped,
        };
        match dumped {
            Ok(path) => {
                drain(&self.head);
                Ok(path)
            }
            Err(error) if error.kind == ErrorKind::Disk => Err(error.into()),
            Err(error) => self.keep_core(input, &error),
        }
    }

    fn dump(&self, crash: &mut Crash, request: &Request) -> Result<PathBuf, Error> {
        let Collected { dumps, error } = crash.collect(request);
        let path = dumps.into_iter().find_map(|dump| dump.path);
        path.ok_or_else(|| error.unwrap_or_else(|| raced(self.call)))
    }

    fn small_dump(
        &self,
        crash: &mut Crash,
        mut request: Request,
        error: &Error,
    ) -> Result<PathBuf, Error> {
        request.kinds = vec![(DumpKind::Mini, DumpFormat::Minidump)];
        let wanted = self.wanted.kind;
        request.comment = Some(format!(
            "a mini dump instead of a {wanted} one, as {}",
            error.what
        ));
        self.dump(crash, &request)
    }

    /// The process was gone, or another one, before anything of it could be known: what the kernel
    /// streamed of it is kept.
    pub(super) fn unknown(self, input: &mut dyn Read, error: &Error) -> anyhow::Result<()> {
        let case = Case {
            name: "unknown",
            reader: None,
            raced: true,
            ..self
        };
        case.keep_core(input, error).map(drop)
    }

    /// Keeps the kernel's core because of `error`.
    pub(super) fn keep_core(&self, input: &mut dyn Read, error: &Error) -> anyhow::Result<PathBuf> {
        let request = self.request();
        let about = Record {
            pid: self.call.pid,
            process: self.name.to_owned(),
            reason: request.reason.clone(),
            rule: request.rule.clone(),
            raced: self.raced,
            warnings: vec![format!("this is the kernel's core, as {}", error.what)],
            ..Record::default()
        };
        Ok(collector::store_stream(&self.head, input, &request, about)?)
    }

    /// What came of it, and of the folder: the lock on the counts keeps others from clearing up at
    /// the same time.
    fn settle(&self, cause: &str, path: Option<&Path>) {
        let repeats = Repeats::open();
        collector::keep_within(&self.wanted.folder, &self.wanted.keep);
        let path = path.filter(|path| path.extension().is_some_and(|end| end != "partial"));
        if let Some((path, uid)) = path.zip(self.reader) {
            // Without it the dump is readable, and only not listed.
            let _ = collector::note_readable(path, uid);
        }
        if let Ok(mut repeats) = repeats {
            match path {
                Some(path) => repeats.stored(cause, path),
                None => repeats.forget(cause),
            }
            let _ = repeats.save();
        }
    }

    fn request(&self) -> Request {
        let wanted = self.wanted;
        Request {
            kinds: vec![(wanted.kind, wanted.format)],
            destination: Destination::Folder(wanted.folder.clone()),
            overwrite: false,
            reason: format!("Unhandled exception: signal {}", self.call.signal),
            rule: "postmortem".to_owned(),
            comment: None,
            timeout: Some(TIMEOUT),
            stop: Stop::Nothing,
            keep: wanted.keep.clone(),
            number: 1,
            exception: None,
            thread: None,
            signature: None,
            reader: self.reader,
            cancel: platform::Cancel::of_process(),
        }
    }
}

fn is_small(kind: DumpKind) -> bool {
    matches!(kind, DumpKind::Mini | DumpKind::Triage)
}

/// Whether a crash is to be stored; where nobody can count, each is.
fn is_new(cause: &str, settings: &Settings) -> bool {
    let Ok(mut repeats) = Repeats::open() else {
        return true;
    };
    let is_new = repeats.is_new(cause, settings.window());
    repeats.save().is_err() || is_new
}

/// The parent of a process whose core was read to its end is told "core dumped", as without us.
fn drain(head: &CoreHead) {
    if head.end.is_some_and(|end| end < LONGEST_DRAIN) {
        platform::drain_input(DRAIN);
    }
}
