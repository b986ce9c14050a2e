//! The program that the kernel calls for each crash, with the core on its standard input.
//!
//! It is root and looks at a process that a stranger may have prepared: it acts on no text of that
//! process, follows no path of it, and does nothing in its folder.

use super::{
    Repeats, Settings,
    forward::{self, Facts},
    settings::Wanted,
};
use crate::cli::exit::Usage;
use collector::{Collected, CoreHead, Crash, Destination, Record, Request};
use platform::{Crashed, Error, ErrorKind, Host, ProcessEntry, Stop};
use snapshot::{DumpFormat, DumpKind};
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

/// What the kernel is told to put on our command line; `%F` last, as older kernels have none.
pub(super) const LETTERS: &str = "%P %I %s %u %g %d %c %t %F";
/// How long a crashed process stands for its core to be read to its end.
const DRAIN: Duration = Duration::from_secs(10);
/// A core that would be longer is not read to its end.
const LONGEST_DRAIN: u64 = 16 << 30;
/// When a dump is given up and the kernel's core is taken.
const TIMEOUT: Duration = Duration::from_secs(300);
const SIGQUIT: i32 = 3;

/// What the kernel says.
#[derive(Debug, clap::Args)]
pub(crate) struct HandlerArgs {
    /// As `core_pattern` orders them
    #[arg(allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A crash, as the kernel tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) pid: u32,
    pub(super) thread: u32,
    pub(super) signal: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether it lets itself be dumped (prctl(2), `PR_SET_DUMPABLE`): 1 yes, 2 for root only.
    pub(super) dumpable: u32,
    /// `RLIMIT_CORE`, as the kernel writes it.
    pub(super) limit: String,
    pub(super) time: u64,
    pub(super) descriptor: Option<i32>,
}

impl Call {
    /// Nine words, the last of which may be missing or empty.
    pub(super) fn parse(words: &[String]) -> Result<Self, Usage> {
        let refuse = || {
            Usage("the kernel calls this, as `firstchance postmortem enable` tells it to".into())
        };
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        let small = |at: usize| {
            number(at)
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(refuse)
        };
        if !(8..=9).contains(&words.len()) {
            return Err(refuse());
        }
        Ok(Self {
            pid: small(0)?,
            thread: small(1)?,
            signal: small(2)? as i32,
            uid: small(3)?,
            gid: small(4)?,
            dumpable: small(5)?,
            limit: words[6].clone(),
            time: number(7).ok_or_else(refuse)?,
            descriptor: words.get(8).and_then(|word| word.parse().ok()),
        })
    }
}

/// Records a crash. There is nobody to tell but the system's log.
pub(crate) fn handle(args: &HandlerArgs) -> anyhow::Result<ExitCode> {
    platform::become_crash_handler()?;
    let call = Call::parse(&args.words)?;
    if let Err(error) = record(&call) {
        let what = format!("the crash of process {} left no dump: {error}", call.pid);
        platform::system_log(&what);
        eprintln!("firstchance: {what}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn record(call: &Call) -> anyhow::Result<()> {
    let Some(settings) = Settings::load()? else {
        anyhow::bail!("there are no settings; `firstchance postmortem enable` makes them");
    };
    let _ = platform::failpoint("crash-begin");
    let host = platform::this_machine();
    let crashed = match Crashed::identify(call.pid, call.descriptor) {
        Ok(crashed) => crashed,
        Err(error) => return keep_unknown(&settings, call, &error),
    };
    if crashed.is_ourselves() {
        anyhow::bail!("it is firstchance itself");
    }
    let entry = match host.entry(call.pid) {
        Ok(entry) if crashed.is_there() => entry,
        Ok(_) => return keep_unknown(&settings, call, &raced(call)),
        Err(error) => return keep_unknown(&settings, call, &error),
    };
    let is_asked_for = call.signal == SIGQUIT && !settings.quit;
    let wanted = settings.wanted(&entry.name, &entry.image)?;
    match wanted.filter(|_| !is_asked_for) {
        Some(wanted) => take(&*host, &settings, call, &crashed, &entry, &wanted),
        None => pass_on(&settings, call, &entry),
    }
}

fn raced(call: &Call) -> Error {
    let what = format!(
        "process {} was killed before it could be looked at",
        call.pid
    );
    Error::new(ErrorKind::TargetDied, what)
}

/// The dump of our own; where that cannot be had, the kernel's core.
fn take(
    host: &dyn Host,
    settings: &Settings,
    call: &Call,
    crashed: &Crashed,
    entry: &ProcessEntry,
    wanted: &Wanted,
) -> anyhow::Result<()> {
    platform::make_store(&wanted.folder)?;
    let mut input = std::io::stdin().lock();
    let case = Case {
        settings,
        call,
        name: &entry.name,
        wanted,
        head: CoreHead::read(&mut input, &mut Vec::new())?,
    };
    match Crash::adopt(host, crashed, &case.head) {
        Ok(mut crash) => {
            let cause = format!("{} {}", entry.image, crash.signature);
            case.once(&cause, || case.dump_or_core(&mut crash, &mut input))
        }
        Err(error) => {
            let cause = format!("{} signal {}", entry.image, call.signal);
            case.once(&cause, || case.keep_core(&mut input, &error))
        }
    }
}

/// A crash of which a dump is wanted.
struct Case<'c> {
    settings: &'c Settings,
    call: &'c Call,
    name: &'c str,
    wanted: &'c Wanted,
    head: CoreHead,
}

impl Case<'_> {
    /// Stores it, unless the same crash was stored not long ago.
    fn once(
        &self,
        cause: &str,
        store: impl FnOnce() -> anyhow::Result<PathBuf>,
    ) -> anyhow::Result<()> {
        if !is_new(cause, self.settings) {
            return Ok(());
        }
        let stored = store();
        settle(cause, stored.as_deref().ok(), self.wanted);
        stored.map(drop)
    }

    fn dump_or_core(&self, crash: &mut Crash, input: &mut dyn Read) -> anyhow::Result<PathBuf> {
        let request = request(self.call, self.wanted);
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

    /// Keeps the kernel's core because of `error`.
    fn keep_core(&self, input: &mut dyn Read, error: &Error) -> anyhow::Result<PathBuf> {
        let request = request(self.call, self.wanted);
        let about = Record {
            pid: self.call.pid,
            process: self.name.to_owned(),
            reason: request.reason.clone(),
            rule: request.rule.clone(),
            warnings: vec![format!("this is the kernel's core, as {}", error.what)],
            ..Record::default()
        };
        Ok(collector::store_stream(&self.head, input, &request, about)?)
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

/// What came of it, and of the folder: the lock on the counts keeps others from clearing up at the
/// same time.
fn settle(cause: &str, path: Option<&Path>, wanted: &Wanted) {
    let repeats = Repeats::open();
    collector::keep_within(&wanted.folder, &wanted.keep);
    if let Ok(mut repeats) = repeats {
        match path.filter(|path| path.extension().is_some_and(|end| end != "partial")) {
            Some(path) => repeats.stored(cause, path),
            None => repeats.forget(cause),
        }
        let _ = repeats.save();
    }
}

fn request(call: &Call, wanted: &Wanted) -> Request {
    Request {
        kinds: vec![(wanted.kind, wanted.format)],
        destination: Destination::Folder(wanted.folder.clone()),
        overwrite: false,
        reason: format!("Unhandled exception: signal {}", call.signal),
        rule: "postmortem".to_owned(),
        comment: None,
        timeout: Some(TIMEOUT),
        stop: Stop::Nothing,
        keep: wanted.keep.clone(),
        number: 1,
        exception: None,
        thread: None,
        signature: None,
    }
}

/// The parent of a process whose core was read to its end is told "core dumped", as without us.
fn drain(head: &CoreHead) {
    if head.end.is_some_and(|end| end < LONGEST_DRAIN) {
        platform::drain_input(DRAIN);
    }
}

/// Nothing is known of the process for sure, as it may be another one by now: what the kernel
/// streams is kept, and nothing is looked at.
fn keep_unknown(settings: &Settings, call: &Call, error: &Error) -> anyhow::Result<()> {
    let Some(wanted) = settings.wanted("", "")? else {
        anyhow::bail!("{error}");
    };
    platform::make_store(&wanted.folder)?;
    let mut input = std::io::stdin().lock();
    let mut taken = Vec::new();
    let head = match CoreHead::read(&mut input, &mut taken) {
        Ok(head) => head,
        // It was killed while the kernel wrote; there may be a little.
        Err(_) if taken.is_empty() => anyhow::bail!("{error}"),
        Err(_) => CoreHead {
            bytes: Arc::new(taken),
            end: None,
        },
    };
    let case = Case {
        settings,
        call,
        name: "unknown",
        wanted: &wanted,
        head,
    };
    case.keep_core(&mut input, error).map(drop)
}

/// Nobody here wants it: the handler before us may.
fn pass_on(settings: &Settings, call: &Call, entry: &ProcessEntry) -> anyhow::Result<()> {
    if !settings.forward {
        return Ok(());
    }
    let facts = Facts {
        inner_pid: call.pid,
        comm: entry.comm.clone(),
        exe: entry.image.clone(),
        host: platform::system().host,
    };
    match forward::expand(&settings.previous.core_pattern, call, &facts) {
        Some((program, arguments)) => Err(become_previous(&program, &arguments).into()),
        None => Ok(()),
    }
}

fn become_previous(program: &Path, arguments: &[Vec<u8>]) -> Error {
    match platform::expect_guarded(program, platform::Guard::Strict) {
        Ok(()) => platform::become_program(program, arguments),
        Err(error) => error,
    }
}
