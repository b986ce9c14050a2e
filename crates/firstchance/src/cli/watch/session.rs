//! One run of `watch` or `run`: checks the rules, starts the program to launch, passes events to whoever shows
//! them, and finds the exit code.

use super::{Job, Start, args, rights, show::Show, summary::RunSummary};
use crate::{
    cli::target,
    ui::{Wording, console, exit},
};
use collector::{RunEvent, Runner, RunnerHandle, Setup};
use platform::{Cancel, Error, ErrorKind, Host, Launched, Monitor};
use policy::{Condition, Follow, Rule, Settings, Target};
use snapshot::{EndStatus, Measure, ProcessKey};
use std::{
    collections::BTreeSet,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Carries out the rules of a command line until all are over. Returns the exit code.
pub(super) fn carry_out(
    mut job: Job,
    observe: &mut dyn FnMut(&RunEvent),
) -> anyhow::Result<ExitCode> {
    let host = platform::this_machine();
    let (mut refused, mut waiting) = (Vec::new(), Vec::new());
    for (rule, options) in &mut job.rules {
        args::refuse_unbuilt(rule)?;
        waiting.extend(check_target(&*host, rule, job.wait, job.wording)?);
        check_figures(&*host, rule)?;
        refused.extend(rights::missing(&*host, rule)?);
        log::debug!("rule: {rule}; its dumps: {options}");
    }
    let cleared = collector::prepare(&job.rules)?;
    for left in &cleared {
        log::debug!("left behind by a run that was killed: {left:?}");
    }
    let launched = start(&*host, &mut job)?;
    let mut show = Show::new(&mut job);
    show.begin(&waiting);
    cleared.iter().for_each(|left| show.cleared(left));
    refused.iter().for_each(|error| show.warning(error));
    let mut session = Session::begin(job, show, launched)?;
    session.run(observe);
    Ok(session.end(observe))
}

/// Starts what the rules are about, if anything is to be started. A Store application is a process like any other from
/// then on.
fn start(host: &dyn Host, job: &mut Job) -> Result<Option<Launched>, Error> {
    match &job.launch {
        None => Ok(None),
        Some(Start::Program(path, arguments)) => host.launch(path, arguments).map(Some),
        Some(Start::Store(application, arguments)) => {
            let pid = platform::activate(application, arguments)?;
            let rules = job.rules.iter_mut().map(|(rule, _)| rule);
            let about_it = rules.filter(|rule| matches!(rule.target, Target::Launch(_)));
            about_it.for_each(|rule| rule.target = Target::Pid(pid));
            Ok(None)
        }
    }
}

/// A run that has begun.
struct Session {
    runner: Runner,
    show: Show,
    launched: Option<Launched>,
    /// Makes this run known to `firstchance cancel`, with the pids that it watches; `None` if that failed.
    monitor: Option<Monitor>,
    /// Set when `firstchance cancel` asks this run to end.
    is_cancelled_by_pid: Arc<AtomicBool>,
    gives_up: bool,
    summary: RunSummary,
}

impl Session {
    fn begin(job: Job, show: Show, mut launched: Option<Launched>) -> anyhow::Result<Self> {
        let mut runner = Runner::new(Setup {
            settings: Settings {
                poll: job.poll,
                ..Settings::new(platform::system().cpus)
            },
            status: show.status_every(job.poll),
            machine: Arc::new(platform::this_machine),
            holds: job.holds,
            cancel: Cancel::of_process(),
        })?;
        let handle = runner.handle();
        platform::on_interrupt(move || handle.cancel())?;
        let is_cancelled_by_pid = Arc::new(AtomicBool::new(false));
        let monitor = listen_for_cancel(runner.handle(), is_cancelled_by_pid.clone());
        let monitor = monitor.map_err(|error| show.warning(&error)).ok();
        let rules: Vec<Rule> = job.rules.iter().map(|(rule, _)| rule.clone()).collect();
        runner.add(job.rules, job.wait || launched.is_some())?;
        if let Some(launched) = &mut launched {
            runner.begin(launched, &rules)?;
        }
        Ok(Self {
            runner,
            show,
            launched,
            monitor,
            is_cancelled_by_pid,
            gives_up: job.gives_up,
            summary: RunSummary::default(),
        })
    }

    fn run(&mut self, observe: &mut dyn FnMut(&RunEvent)) {
        while !self.runner.is_over() {
            let events = self.runner.step();
            let changes =
                |event: &RunEvent| matches!(event, RunEvent::Watching(_) | RunEvent::Exited { .. });
            if events.iter().any(changes) {
                let watched = self.runner.watched();
                let pids = watched.map(|key| key.pid);
                if let Some(monitor) = &mut self.monitor {
                    monitor.follow(pids);
                }
            }
            for event in events {
                record(
                    &mut self.summary,
                    &mut self.show,
                    &mut self.launched,
                    &event,
                );
                observe(&event);
                self.give_up_after(&event);
            }
        }
    }

    /// Watches a process no further whose dump failed, if the job says so. The end of one that has ended is told anyway.
    fn give_up_after(&mut self, event: &RunEvent) {
        let RunEvent::DumpFailed { process, error, .. } = event else {
            return;
        };
        if self.gives_up && !error.is_of_end() && error.kind != ErrorKind::Cancelled {
            self.runner.pass_over(*process);
            self.summary.gave_up = Some(error.kind);
        }
    }

    fn end(self, observe: &mut dyn FnMut(&RunEvent)) -> ExitCode {
        let Self {
            runner,
            mut show,
            mut launched,
            is_cancelled_by_pid,
            mut summary,
            ..
        } = self;
        summary.cancelled = Cancel::of_process().is_asked();
        summary.cancelled_by_pid =
            is_cancelled_by_pid.load(Ordering::Acquire) && !summary.cancelled;
        runner.close(&mut |event| {
            record(&mut summary, &mut show, &mut launched, &event);
            observe(&event);
        });
        log::debug!("all rules are over: {summary}");
        show.end(&summary);
        code(&summary, show.all_reached())
    }
}

/// Counts an event for the summary, and shows it.
fn record(
    summary: &mut RunSummary,
    show: &mut Show,
    launched: &mut Option<Launched>,
    event: &RunEvent,
) {
    match event {
        RunEvent::Dumped(dumps) => {
            let whole = dumps.iter().filter(|dump| dump.record.complete);
            summary.dumps += whole.count() as u32;
        }
        RunEvent::DumpFailed { error, .. } => summary.failure = Some(kind_of_failed_dump(error)),
        RunEvent::Refused { error, .. } | RunEvent::Failed(error) => {
            summary.failure = Some(error.kind);
        }
        _ => {}
    }
    show.show(event, end_of_launched(launched, event));
}

/// How the program ended that was launched, if the event is its end.
fn end_of_launched(launched: &mut Option<Launched>, event: &RunEvent) -> Option<EndStatus> {
    let is_its_end = |launched: &&mut Launched| matches!(event, RunEvent::Exited { process, .. } if *process == launched.key);
    launched.as_mut().filter(is_its_end)?.status()
}

/// A process that is not there any more when its dump is taken was there when it was found: it has
/// ended meanwhile.
fn kind_of_failed_dump(error: &Error) -> ErrorKind {
    match error.kind {
        ErrorKind::NoSuchProcess => ErrorKind::TargetDied,
        kind => kind,
    }
}

/// Lets `firstchance cancel` end this run.
fn listen_for_cancel(runner: RunnerHandle, asked: Arc<AtomicBool>) -> Result<Monitor, Error> {
    Monitor::open(move |_| {
        asked.store(true, Ordering::Release);
        runner.cancel();
    })
}

/// Fails if a rule about one process does not match exactly one, or a rule about those that there are matches none. With
/// `wait`, it may match none yet. Returns the line that says what is waited for, or which processes are watched.
fn check_target(
    host: &dyn Host,
    rule: &mut Rule,
    wait: bool,
    wording: Wording,
) -> anyhow::Result<Option<String>> {
    target::or_service(host, &mut rule.target)?;
    let target = &rule.target;
    if matches!(target, Target::Launch(_)) {
        return Ok(None);
    }
    Ok(match rule.follow {
        Follow::One if wait && !target::is_there(host, target)? => {
            tell_case(host, target);
            Some(wording.waiting(target))
        }
        Follow::One => target::one_of(host, target, of_several(wording)).map(|_| None)?,
        Follow::All | Follow::Each if wait => {
            tell_case(host, target);
            Some(wording.waiting(target))
        }
        Follow::All => target::some_of(host, target).map(|_| of_group(target, wording))?,
        Follow::Each if target::is_there(host, target)? => of_group(target, wording),
        Follow::Next | Follow::Each => {
            tell_case(host, target);
            wording.waits_for(target, rule.follow == Follow::Next)
        }
    })
}

/// The line with which ProcDump for Linux begins to watch a process group.
fn of_group(target: &Target, wording: Wording) -> Option<String> {
    match (target, wording) {
        (Target::Group(group), Wording::ProcDumpForLinux) => Some(wording.watches_group(*group)),
        _ => None,
    }
}

/// What to do if a name fits several processes, of which one can be watched.
fn of_several(wording: Wording) -> &'static str {
    match wording {
        Wording::ProcDump => "Name one by its pid",
        Wording::ProcDumpForLinux => "Name one by its pid, or watch all of them with -w",
        Wording::Sentences | Wording::Plain => {
            "Name one by its pid, or watch all of them with --each"
        }
    }
}

/// Tells whoever waits for a name that it is running in another case.
fn tell_case(host: &dyn Host, target: &Target) {
    if let Some(hint) = target::hint_of_case(host, target) {
        console::complain(&format!("firstchance: {hint}"));
    }
}

/// Fails if a figure cannot be had that a rule waits for. Of several processes, some may have it.
fn check_figures(host: &dyn Host, rule: &Rule) -> anyhow::Result<()> {
    let conditions = rule.clauses.iter().flat_map(|clause| &clause.when);
    let measures: BTreeSet<Measure> = conditions.flat_map(Condition::measures).collect();
    let is_in_doubt = |measure: &&Measure| {
        use Measure::{Counter, CpuLimit, MemoryOfLimit};
        matches!(measure, Counter(_) | CpuLimit | MemoryOfLimit)
    };
    let in_doubt: Vec<&Measure> = measures.iter().filter(is_in_doubt).collect();
    if in_doubt.is_empty() {
        return Ok(());
    }
    let processes = target::at_beginning(host, rule)?;
    for measure in in_doubt {
        expect_in_any(host, &processes, measure)?;
    }
    Ok(())
}

/// Fails if no process has a figure, or if none could have it.
fn expect_in_any(
    host: &dyn Host,
    processes: &[ProcessKey],
    measure: &Measure,
) -> Result<(), Error> {
    let mut failed = host.expect(None, measure);
    for process in processes {
        failed = host.expect(Some(*process), measure);
        if failed.is_ok() {
            break;
        }
    }
    match failed {
        Err(error) if error.kind == ErrorKind::Unsupported => Err(error),
        // A process that has ended meanwhile is told by the watch.
        _ => Ok(()),
    }
}

/// The exit code of a run. `all_reached` says that every rule took all its dumps.
fn code(summary: &RunSummary, all_reached: bool) -> ExitCode {
    let is_cancelled = summary.cancelled || summary.cancelled_by_pid;
    match (summary.gave_up, summary.failure) {
        _ if is_cancelled => exit::code(ErrorKind::Cancelled),
        (Some(kind), _) => exit::code(kind),
        _ if all_reached => ExitCode::SUCCESS,
        (None, Some(kind)) => exit::code(kind),
        (None, None) => exit::code(ErrorKind::TargetDied),
    }
}
