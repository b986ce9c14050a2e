//! What is done for each crash, with the kernel's core on standard input.
//!
//! It runs as root and looks at a process that an attacker may have prepared: no text of that process
//! decides anything but which rule is meant, no path of it is followed, and nothing is done in its
//! folder.

use super::{
    CrashRule, Settings,
    call::Call,
    case::Case,
    forward::{self, Facts},
    handler_slots, lost,
};
use crate::ui::console;
use collector::{CoreHead, Crash};
use platform::{CoreInput, Crashed, Error, ErrorKind, Host, ProcessEntry};
use policy::{DumpRequest, Identity};
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// `%d` of a process that its user may dump (prctl(2), `PR_SET_DUMPABLE`).
const DUMPABLE: u32 = 1;

/// The kernel's core. Its first bytes come within milliseconds, and more as soon as they are wanted.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The command line that the kernel makes.
#[derive(Debug, clap::Args)]
pub(crate) struct HandlerArgs {
    /// In the order of `core_pattern`
    #[arg(allow_hyphen_values = true)]
    pub(super) words: Vec<String>,
}

/// Handles a crash, watched by a [`supervisor`](super::supervisor). What goes wrong is told in the system's log: nobody
/// reads our output.
pub(crate) fn work(args: &HandlerArgs) -> anyhow::Result<ExitCode> {
    platform::become_crash_handler()?;
    let call = Call::parse(&args.words)?;
    log::debug!("{call:?}");
    if let Err(error) = record(&call) {
        console::complain(&format!("firstchance: {}", lost::log(call.pid, &error)));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn record(call: &Call) -> anyhow::Result<()> {
    let settings = settings()?;
    let _ = platform::failpoint("crash-begin");
    let host = platform::this_machine();
    let crashed = match Crashed::identify(call.pid, call.descriptor) {
        Ok(crashed) => crashed,
        Err(error) => return keep_unknown(&*host, &settings, call, &error),
    };
    if crashed.is_ourselves() {
        anyhow::bail!("it is firstchance itself");
    }
    let entry = match host.entry(call.pid) {
        Ok(entry) if crashed.is_there() => entry,
        Ok(_) => return keep_unknown(&*host, &settings, call, &call.raced()),
        Err(error) => return keep_unknown(&*host, &settings, call, &error),
    };
    let who = collector::identity(&entry);
    match Wanted::of(&settings, &who, call)? {
        Some(wanted) => take(&*host, call, &crashed, &entry, &wanted),
        None => pass_on(&settings, call, &entry),
    }
}

/// The settings that apply. A mistake in them is told in the system's log.
pub(super) fn settings() -> anyhow::Result<Settings> {
    let good = Settings::load_good()?;
    if let Some(mistake) = &good.mistake {
        lost::log_mistake(mistake);
    }
    let none = "there are no settings; `firstchance postmortem enable` makes them";
    good.settings.ok_or_else(|| anyhow::anyhow!(none))
}

/// Keeps the kernel's core of a crash whose handling has failed: what was `taken` of it, and the rest. Returns its path, or
/// `None` if no rule wants a dump.
pub(super) fn keep_rest(
    settings: &Settings,
    call: &Call,
    taken: impl Read,
    error: &Error,
) -> anyhow::Result<Option<PathBuf>> {
    let host = platform::this_machine();
    let crashed = Crashed::identify(call.pid, call.descriptor);
    let entry = host.entry(call.pid).ok();
    let entry = entry.filter(|_| crashed.is_ok_and(|crashed| crashed.is_there()));
    let entry = entry.unwrap_or_default();
    let Some(wanted) = Wanted::of(settings, &collector::identity(&entry), call)? else {
        return Ok(None);
    };
    platform::make_store(&wanted.rule.folder())?;
    let mut input = taken.chain(CoreInput::rest(PATIENCE));
    let head = head_of(&mut input)?;
    let case = wanted.case(&*host, call, &entry.name, head);
    let core = case.keep_core(&mut input, error)?;
    Ok(Some(core.path))
}

/// Removes from all folders for dumps what handlers have left that were killed.
pub(super) fn clear_left_over(settings: &Settings) {
    settings.folders().iter().for_each(|folder| clear(folder));
}

fn clear(folder: &Path) {
    for left in collector::clear_left_over(folder) {
        log::debug!("a killed handler had left: {left:?}");
    }
}

/// What a rule asks for at this crash.
struct Wanted {
    rule: CrashRule,
    asked: DumpRequest,
}

impl Wanted {
    /// Returns `None` if no rule is about the program, or if its rule wants no dump of this crash.
    fn of(settings: &Settings, who: &Identity, call: &Call) -> anyhow::Result<Option<Self>> {
        let Some(rule) = settings.rule_about(who)? else {
            return Ok(None);
        };
        let asked = rule.at_crash(who, &call.exception());
        match &asked {
            Some(asked) => log::debug!("the rule asks for a dump: {}", asked.trigger),
            None => log::debug!("the rule wants no dump of signal {}", call.signal),
        }
        Ok(asked.map(|asked| Self { rule, asked }))
    }

    fn case<'c>(
        &'c self,
        host: &'c dyn Host,
        call: &'c Call,
        name: &'c str,
        head: CoreHead,
    ) -> Case<'c> {
        Case {
            host,
            call,
            name,
            rule: &self.rule,
            asked: &self.asked,
            reader: None,
            raced: false,
            head,
        }
    }
}

/// Takes our own dump, or keeps the kernel's core if that cannot be had.
fn take(
    host: &dyn Host,
    call: &Call,
    crashed: &Crashed,
    entry: &ProcessEntry,
    wanted: &Wanted,
) -> anyhow::Result<()> {
    let folder = wanted.rule.folder();
    platform::make_store(&folder)?;
    let user = platform::responsible_user(call.uid);
    wait_for_the_kernel(user)?;
    let _slot = handler_slots::wait(user);
    clear(&folder);
    let mut input = CoreInput::of_worker(PATIENCE);
    let mut head = CoreHead::read(&mut input, &mut Vec::new())?;
    let reader = reader(call, crashed, &head);
    log::debug!("the user who may read the dump besides root: {reader:?}");
    let notes = head.take_notes();
    let case = Case {
        reader,
        ..wanted.case(host, call, &entry.name, head)
    };
    match Crash::adopt(host, crashed, notes) {
        Ok(mut crash) => {
            let cause = format!("{} {} {}", entry.image, crash.build, crash.signature);
            case.once(&cause, || case.dump_or_core(&mut crash, &mut input))
        }
        Err(error) if error.kind == ErrorKind::TargetDied => case.unknown(&mut input, &error),
        Err(error) => {
            let cause = format!("{} signal {}", entry.image, call.signal);
            case.once(&cause, || case.keep_core(&mut input, &error))
        }
    }
}

/// Waits, without a slot, until the kernel begins to write: it may wait for a page of the process that nobody gives.
fn wait_for_the_kernel(user: u32) -> anyhow::Result<()> {
    let Some(_place) = handler_slots::queue(user) else {
        anyhow::bail!("too many crashes of user {user} wait for the kernel already");
    };
    Ok(CoreInput::of_worker(PATIENCE).wait()?)
}

/// The user who may read the dump besides root: the one to whom the process belonged in every
/// respect. Only facts count that cannot be another process's: what the kernel puts on our command
/// line, its note in the core, and what the process behind its descriptor says while that process is
/// there. Without a descriptor (kernels before 6.16) it is open whose memory is read, so that nobody
/// else may.
fn reader(call: &Call, crashed: &Crashed, head: &CoreHead) -> Option<u32> {
    let ids = (call.uid, call.gid);
    let is_theirs = call.dumpable == DUMPABLE
        && call.descriptor.is_some()
        && head.started_for() == Some(ids)
        && crashed.only_ids() == Some(ids)
        && crashed.is_there();
    (is_theirs && call.uid != 0).then_some(call.uid)
}

/// Keeps what the kernel streams, and looks at nothing else: the process may be another one by now.
fn keep_unknown(
    host: &dyn Host,
    settings: &Settings,
    call: &Call,
    error: &Error,
) -> anyhow::Result<()> {
    let Some(wanted) = Wanted::of(settings, &Identity::default(), call)? else {
        anyhow::bail!("{error}");
    };
    platform::make_store(&wanted.rule.folder())?;
    let mut input = CoreInput::of_worker(PATIENCE);
    let head = head_of(&mut input).map_err(|_| anyhow::anyhow!("{error}"))?;
    wanted.case(host, call, "", head).unknown(&mut input, error)
}

/// The head of a core, or where the process was killed while the kernel wrote it, the little that there is.
fn head_of(input: &mut dyn Read) -> anyhow::Result<CoreHead> {
    let mut taken = Vec::new();
    match CoreHead::read(input, &mut taken) {
        Err(error) if taken.is_empty() => Err(error.into()),
        Err(_) => Ok(CoreHead::of_bytes(&taken)),
        Ok(head) => Ok(head),
    }
}

/// Passes a crash that no rule wants on to the handler that was registered before us, if the
/// settings say so.
fn pass_on(settings: &Settings, call: &Call, entry: &ProcessEntry) -> anyhow::Result<()> {
    if !settings.forward {
        log::debug!("not forwarded: --forward was not given");
        return Ok(());
    }
    let facts = Facts {
        inner_pid: call.pid,
        comm: entry.comm.clone(),
        exe: entry.image.clone(),
        host: platform::system().host,
    };
    log::debug!("forwarded to {}", settings.previous.core_pattern);
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
