//! The program that the kernel calls for each crash, with the core on its standard input.
//!
//! It is root and looks at a process that a stranger may have prepared: it acts on no text of that
//! process, follows no path of it, and does nothing in its folder.

use super::{
    Settings,
    case::Case,
    forward::{self, Facts},
    handler_slots, lost,
    settings::Wanted,
};
use crate::ui::exit::Usage;
use collector::{CoreHead, Crash};
use platform::{Crashed, Error, ErrorKind, Host, ProcessEntry};
use std::{path::Path, process::ExitCode};

/// What the kernel is told to put on our command line; `%F` last, as older kernels have none.
pub(super) const LETTERS: &str = "%P %I %s %u %g %d %c %t %F";
const SIGQUIT: i32 = 3;
/// The process can be dumped for its user (prctl(2), `PR_SET_DUMPABLE`).
const DUMPABLE: u32 = 1;

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
        eprintln!("firstchance: {}", lost::log(call.pid, &error));
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

pub(super) fn raced(call: &Call) -> Error {
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
    let _slot = handler_slots::wait();
    let mut input = std::io::stdin().lock();
    let mut head = CoreHead::read(&mut input, &mut Vec::new())?;
    let reader = reader(call, crashed, &head);
    let notes = head.take_notes();
    let case = Case {
        settings,
        call,
        name: &entry.name,
        wanted,
        reader,
        raced: false,
        head,
    };
    match Crash::adopt(host, crashed, notes) {
        Ok(mut crash) => {
            let cause = format!("{} {}", entry.image, crash.signature);
            case.once(&cause, || case.dump_or_core(&mut crash, &mut input))
        }
        Err(error) if error.kind == ErrorKind::TargetDied => case.unknown(&mut input, &error),
        Err(error) => {
            let cause = format!("{} signal {}", entry.image, call.signal);
            case.once(&cause, || case.keep_core(&mut input, &error))
        }
    }
}

/// Who may read the dump besides root: the user whose process it was through and through. Only facts
/// count of which none can be another process's: what the kernel says on our command line, its note
/// in the core, and what the process that its descriptor means says as long as that is there. A
/// kernel that gives no descriptor leaves open whose memory is read, so that nobody may.
fn reader(call: &Call, crashed: &Crashed, head: &CoreHead) -> Option<u32> {
    let ids = (call.uid, call.gid);
    let is_theirs = call.dumpable == DUMPABLE
        && call.descriptor.is_some()
        && head.started_for() == Some(ids)
        && crashed.only_ids() == Some(ids)
        && crashed.is_there();
    (is_theirs && call.uid != 0).then_some(call.uid)
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
        Err(_) => CoreHead::of_bytes(&taken),
    };
    let case = Case {
        settings,
        call,
        name: "",
        wanted: &wanted,
        reader: None,
        raced: true,
        head,
    };
    case.unknown(&mut input, error)
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
