//! A crash that is dumped: from the request that its rule means to the file.

use super::{CrashRule, call::Call, repeats::RepeatsFile};
use collector::{Collected, CoreHead, Crash, Destination, Record, Request, Written};
use platform::{Error, ErrorKind, Host, Stop};
use policy::{DumpRequest, SameCrash};
use snapshot::{DumpFormat, DumpKind};
use std::{cell::OnceCell, io::Read, path::PathBuf, thread::JoinHandle, time::Duration};

/// How long a crashed process is kept so that the rest of its core can be read.
const DRAIN: Duration = Duration::from_secs(10);
/// The rest of a core that ends behind this many bytes is not read.
const LONGEST_DRAIN: u64 = 16 << 30;
/// When a dump is given up, and the kernel's core is kept instead.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A crash that is dumped.
pub(super) struct Case<'c> {
    pub(super) host: &'c dyn Host,
    pub(super) call: &'c Call,
    /// The name of the program, for the file.
    pub(super) name: &'c str,
    pub(super) rule: &'c CrashRule,
    /// What the rule asks for at this crash.
    pub(super) asked: &'c DumpRequest,
    /// The user who may read the dump besides root.
    pub(super) reader: Option<u32>,
    /// Whether the process was gone before anything could be read of it.
    pub(super) raced: bool,
    pub(super) head: CoreHead,
}

/// A dump that was stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    kind: DumpKind,
}

impl Case<'_> {
    /// Calls `store` unless the same crash was stored not long ago; then it is only counted.
    /// `crash` names the program, its build and the signature.
    pub(super) fn once(
        &self,
        crash: &str,
        store: impl FnOnce() -> anyhow::Result<Stored>,
    ) -> anyhow::Result<()> {
        let crash = SameCrash {
            user: platform::responsible_user(self.call.uid),
            what: format!("{} {:?} {crash}", self.call.uid, self.reader),
        };
        if !self.is_new(&crash) {
            log::debug!("only counted, as the same crash was stored not long ago: {crash:?}");
            return Ok(());
        }
        let stored = store();
        log::debug!("stored: {stored:?}: {crash:?}");
        self.settle(&crash, stored.as_ref().ok());
        stored.map(drop)
    }

    /// Stores the dump that the rule asks for. Where that fails, it stores a mini dump (for lack of
    /// room) or the kernel's core.
    pub(super) fn dump_or_core(
        &self,
        crash: &mut Crash,
        input: &mut dyn Read,
    ) -> anyhow::Result<Stored> {
        let request = self.request();
        let rest = Rest::of(&self.head);
        let dumped = match self.dump(crash, &request, &rest) {
            // The kernel's core would be too large for the disk as well.
            Err(error) if error.kind == ErrorKind::Disk && self.kind() > DumpKind::Mini => {
                self.small_dump(crash, request, &error, &rest)
            }
            dumped => dumped,
        };
        match dumped {
            Ok(stored) => {
                rest.drain();
                Ok(stored)
            }
            Err(error) if error.kind == ErrorKind::Disk || rest.is_being_drained() => {
                Err(error.into())
            }
            Err(error) => self.keep_core(input, &error),
        }
    }

    /// Takes a dump. When all is copied, the kernel may write the rest of its core while the files are finished.
    fn dump(&self, crash: &mut Crash, request: &Request, rest: &Rest) -> Result<Stored, Error> {
        let Collected { dumps, error } = crash.collect(request, &mut || rest.drain());
        let stored = |dump: Written| {
            let (path, kind) = (dump.path?, dump.kind);
            Some(Stored { path, kind })
        };
        let largest = dumps
            .into_iter()
            .filter_map(stored)
            .max_by_key(|dump| dump.kind);
        largest.ok_or_else(|| error.unwrap_or_else(|| self.call.raced()))
    }

    fn small_dump(
        &self,
        crash: &mut Crash,
        mut request: Request,
        error: &Error,
        rest: &Rest,
    ) -> Result<Stored, Error> {
        let asked = request.kinds.iter().map(|(kind, _)| kind.to_string());
        let asked: Vec<_> = asked.collect();
        log::debug!("trying a mini dump: {error}");
        request.kinds = vec![(DumpKind::Mini, DumpFormat::Minidump)];
        request.comment = Some(format!(
            "a mini dump instead of a {} one, as {}",
            asked.join(" and "),
            error.what
        ));
        self.dump(crash, &request, rest)
    }

    /// Keeps what the kernel wrote to `input`, under the name `unknown`: the process was gone, or was
    /// another one, before anything could be read of it.
    pub(super) fn unknown(self, input: &mut dyn Read, error: &Error) -> anyhow::Result<()> {
        let case = Case {
            name: "unknown",
            reader: None,
            raced: true,
            ..self
        };
        case.keep_core(input, error).map(drop)
    }

    /// Keeps the kernel's core, because of `error`.
    pub(super) fn keep_core(&self, input: &mut dyn Read, error: &Error) -> anyhow::Result<Stored> {
        log::debug!("keeping the kernel's core: {error}");
        let request = self.request();
        let about = Record {
            pid: self.call.pid,
            process: self.name.to_owned(),
            user: Some(platform::responsible_user(self.call.uid)),
            raced: self.raced,
            warnings: vec![format!("this is the kernel's core, as {}", error.what)],
            ..Record::new(&request.trigger, &request.rule)
        };
        let path = collector::store_stream(&self.head, input, &request, about)?;
        let kind = self.kind();
        Ok(Stored { path, kind })
    }

    /// Whether the crash has to be stored. Where the counts cannot be read or written, each has.
    fn is_new(&self, crash: &SameCrash) -> bool {
        let Some(window) = self.rule.rule.limits.repeat_window else {
            return true;
        };
        let Ok(mut repeats) = RepeatsFile::open() else {
            return true;
        };
        let is_new = repeats.is_new(self.host, crash, self.kind(), window);
        repeats.save().is_err() || is_new
    }

    /// Brings the folder within its limits, lists the new dump for its reader, and notes where it
    /// is. The lock on the counts keeps other handlers from the folder meanwhile.
    fn settle(&self, crash: &SameCrash, stored: Option<&Stored>) {
        let repeats = RepeatsFile::open();
        let kept = collector::keep_within(&self.rule.folder(), &self.rule.rule.limits.keep);
        log::debug!("old dumps: {kept:?}");
        let whole = stored.filter(|dump| dump.path.extension().is_some_and(|end| end != "partial"));
        if let Some((dump, uid)) = whole.zip(self.reader) {
            // Without it the user can read the dump, but `dumps list` does not show it to them.
            let _ = collector::note_readable(&dump.path, uid);
        }
        if let Ok(mut repeats) = repeats {
            repeats.settle(crash, whole.map(|dump| (&*dump.path, dump.kind)));
            let _ = repeats.save();
        }
    }

    /// The request that the rule means. The process has crashed, so that it need not be stopped.
    fn request(&self) -> Request {
        let folder = Destination::Folder(self.rule.folder());
        let format = |_| self.rule.format;
        Request {
            timeout: Some(TIMEOUT),
            stop: Stop::Nothing,
            user: Some(self.call.uid),
            reader: self.reader,
            names_pid: false,
            ..Request::of_rule(self.asked, &self.rule.rule, format, folder)
        }
    }

    /// The largest kind that is asked for.
    fn kind(&self) -> DumpKind {
        self.asked.kinds.iter().copied().max().unwrap_or_default()
    }
}

/// The rest of the kernel's core. It is read by a thread of its own, which is waited for when this is dropped.
struct Rest {
    /// Whether it is read at all.
    is_read: bool,
    reader: OnceCell<Option<JoinHandle<u64>>>,
}

impl Rest {
    fn of(head: &CoreHead) -> Self {
        Self {
            is_read: head.end.is_some_and(|end| end < LONGEST_DRAIN),
            reader: OnceCell::new(),
        }
    }

    /// Begins to read it and throw it away, once: the kernel tells the parent of the process "core dumped" only if it could write
    /// all of it, and the parent is to see what it sees without us.
    fn drain(&self) {
        let read = || {
            let thread = std::thread::Builder::new().name("drain".to_owned());
            let reader = self
                .is_read
                .then(|| thread.spawn(|| platform::drain_input(DRAIN)));
            reader?.ok()
        };
        self.reader.get_or_init(read);
    }

    fn is_being_drained(&self) -> bool {
        self.reader.get().is_some()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take().flatten() {
            let _ = reader.join();
        }
    }
}
