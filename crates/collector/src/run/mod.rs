//! The one loop: what happens goes to the rules, what they command is done.

mod arms;
mod attached;
mod begin;
mod dumps;
mod first;
mod follower;
mod kinds;
mod pace;
mod people;
mod probe;
mod schedule;
mod stacks;

pub use begin::identity;
pub use people::{Ended, ExceptionRow, Happening};

use crate::{
    Destination, Request, Step, Written, collect::output_folder, store::keep::clear_left_over,
};
use attached::{Attached, News, Order};
use dumps::{Dumps, Finished};
use platform::{Cancel, Error, ErrorKind, Host, HostEvent, Launched, Stop};
use policy::{
    Command, DumpRequest, Event, ExceptionCount, Finish, Outcome, Rule, RuleId, RuleSet, Settings,
};
use probe::Probes;
use schedule::Schedule;
use snapshot::{DumpFormat, DumpKind, Measure, ProcessKey, Sample, TargetEvent, Time};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// How long the loop sleeps at most: Ctrl-C and requests to cancel are looked for so often.
const LONGEST_SLEEP: Duration = Duration::from_millis(200);
/// While a dump is written, its steps are shown so often.
const DUMP_SLEEP: Duration = Duration::from_millis(20);

/// How long a process takes to end at most, that has begun to.
const LEAVING: Duration = Duration::from_secs(1);

/// How the dumps of a rule are written.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Where to, where the rule names no folder.
    pub destination: Destination,
    /// Whether a file of that name may be replaced.
    pub overwrite: bool,
    /// Kept in the dumps.
    pub comment: Option<String>,
    /// When to give a dump up.
    pub timeout: Option<Duration>,
    /// Whether the target is stopped.
    pub stop: Stop,
    /// Which format a kind is written in.
    pub format: fn(DumpKind) -> DumpFormat,
    /// End the target after its last dump (ProcDump's `-k`).
    pub kill_after: bool,
}

/// Everything a run is given.
pub struct Plan<'p> {
    /// The rules, each with the manner of its dumps.
    pub rules: Vec<(Rule, Manner)>,
    /// How often levels are sampled, and on how many processors.
    pub settings: Settings,
    /// How often people are shown how every condition stands; the first time after one poll.
    pub status: Option<Duration>,
    /// A program that waits for us, for rules about `launch:`.
    pub launched: Option<Launched>,
    /// Makes the machine for a thread that takes dumps.
    pub machine: fn() -> Box<dyn Host>,
    /// Whether breakpoints may stand in for probes: see [`platform::Arming`].
    pub unsafe_breakpoints: bool,
    /// Told which processes are monitored, when that has changed; says whether somebody asked to
    /// leave one of them alone (`firstchance cancel`).
    pub cancelled: Cancelled<'p>,
}

/// Sees to it that the rules' dumps can be written, and clears away what runs that were killed have
/// left in their folders; which files.
///
/// # Errors
/// Where a folder does not exist or cannot be written to.
pub fn prepare(rules: &[(Rule, Manner)]) -> Result<Vec<PathBuf>, Error> {
    let destinations = rules
        .iter()
        .map(|(rule, manner)| manner.destination_of(rule));
    let folders: BTreeSet<PathBuf> = destinations.filter_map(|d| output_folder(&d)).collect();
    let mut cleared = Vec::new();
    for folder in folders {
        platform::expect_writable(&folder)?;
        cleared.extend(clear_left_over(&folder));
    }
    Ok(cleared)
}

impl Manner {
    /// The rule's own folder goes before ours.
    fn destination_of(&self, rule: &Rule) -> Destination {
        match &rule.folder {
            Some(folder) => Destination::Folder(folder.into()),
            None => self.destination.clone(),
        }
    }
}

/// How a run hears that it is to end.
pub type Cancelled<'p> = &'p mut dyn FnMut(Option<&HashSet<ProcessKey>>) -> bool;

/// Runs the rules until all are over or somebody cancels.
pub fn run(
    host: &mut dyn Host,
    plan: Plan<'_>,
    show: &mut dyn FnMut(Happening),
) -> Result<Ended, Error> {
    let mut run = Run {
        rules: RuleSet::new(plan.settings),
        manners: BTreeMap::new(),
        schedule: Schedule::default(),
        probes: Probes::default(),
        dumps: Dumps::new(plan.machine),
        attached: Attached::new(plan.machine, plan.unsafe_breakpoints),
        watched: HashSet::new(),
        watched_changed: false,
        launched: plan.launched,
        starting: None,
        leaving: HashSet::new(),
        misses: HashMap::new(),
        gone: HashSet::new(),
        hopeless: false,
        last_dumped: None,
        status: plan.status,
        next_status: Time(plan.settings.poll),
        ended: Ended::default(),
        host,
        show,
    };
    run.begin(plan.rules, plan.settings)?;
    run.until_over(plan.cancelled);
    Ok(run.ended)
}

struct Run<'r> {
    host: &'r mut dyn Host,
    rules: RuleSet,
    manners: BTreeMap<RuleId, Manner>,
    schedule: Schedule,
    probes: Probes,
    dumps: Dumps,
    attached: Attached,
    /// Processes whose end is reported.
    watched: HashSet<ProcessKey>,
    watched_changed: bool,
    launched: Option<Launched>,
    /// A program that we start, until everything in it is armed.
    starting: Option<ProcessKey>,
    /// Processes that have begun to end.
    leaving: HashSet<ProcessKey>,
    /// Processes that have ended, of which their thread has still to tell.
    gone: HashSet<ProcessKey>,
    /// How often in a row a counter had no value.
    misses: HashMap<(ProcessKey, String), u32>,
    /// The only process that is watched may not be touched.
    hopeless: bool,
    /// Whom the last dump is of.
    last_dumped: Option<ProcessKey>,
    /// How often people are shown how things stand, and when next.
    status: Option<Duration>,
    next_status: Time,
    ended: Ended,
    show: &'r mut dyn FnMut(Happening),
}

impl Run<'_> {
    fn until_over(&mut self, cancelled: Cancelled<'_>) {
        while !self.rules.is_finished() && !self.hopeless {
            if Cancel.is_asked() {
                self.ended.cancelled = true;
                break;
            }
            let changed = std::mem::take(&mut self.watched_changed);
            if cancelled(changed.then_some(&self.watched)) {
                self.ended.cancelled_by_pid = true;
                break;
            }
            self.turn();
        }
        self.finish_dumps();
    }

    /// One turn: wait, take what happened, sample what is due, show how things stand.
    fn turn(&mut self) {
        let mut sleep = self.sleep();
        if !self.attached.is_empty() {
            self.attached.wait(sleep);
            sleep = Duration::ZERO;
        }
        let events = self.host.wait(sleep);
        for event in events {
            self.host_event(event);
        }
        for finished in self
            .dumps
            .take(&mut |step| (self.show)(Happening::Step(step)))
        {
            self.dump_finished(finished);
        }
        self.take_news();
        let now = self.host.now();
        for (process, measures) in self.schedule.due(now) {
            self.sample(process, &measures);
        }
        if self
            .rules
            .next_deadline()
            .is_some_and(|deadline| deadline <= self.host.now())
        {
            self.feed(Event::Tick);
        }
        self.show_status();
    }

    fn sleep(&self) -> Duration {
        let now = self.host.now();
        let quiet = self.dumps.is_empty() && self.attached.is_empty();
        let most = if quiet { LONGEST_SLEEP } else { DUMP_SLEEP };
        let next = [self.schedule.next(), self.rules.next_deadline()];
        next.into_iter()
            .flatten()
            .map(|at| at.since(now))
            .fold(most, Duration::min)
    }

    fn take_news(&mut self) {
        while let Some(news) = self
            .attached
            .next(&mut |step| (self.show)(Happening::Step(step)))
        {
            self.news(news);
        }
    }

    /// What the thread of an attached process tells; the process goes on when nothing more is to
    /// be done with it.
    fn news(&mut self, news: News) {
        match news {
            News::Event(key, TargetEvent::Exited { .. }) => {
                self.leaving.remove(&key);
                self.attached.detach(key);
                self.exited(key);
            }
            News::Event(key, event) => {
                let ends = matches!(event, TargetEvent::Exiting { .. });
                if ends {
                    self.leaving.insert(key);
                }
                self.feed(Event::Target(key, event));
                // One that could not be executed ends before it has begun.
                if self.starting != Some(key) || ends {
                    self.attached.go_on(key);
                }
            }
            News::Seen(key, event) => self.feed(Event::Target(key, event)),
            News::Finished(finished) => self.dump_finished(finished),
            News::Counted(key, counts) => self.feed(Event::Counted(key, counts)),
            News::Stack(process, lines) => (self.show)(Happening::Stack { process, lines }),
            News::FirstStack(process, name, frames) => {
                (self.show)(Happening::FirstStack {
                    process,
                    name,
                    frames,
                });
            }
            News::Lacking(process, lines) => (self.show)(Happening::Lacking { process, lines }),
            News::Failed(key, error) => {
                self.attached.detach(key);
                (self.show)(Happening::Failed(error.to_string()));
                self.give_up_if_forbidden(error);
                // Its end was left to its thread to tell.
                if self.gone.contains(&key) {
                    self.exited(key);
                }
            }
            News::Armed(process) => (self.show)(Happening::Armed(process)),
            News::Step(_) => {}
        }
    }

    fn host_event(&mut self, event: HostEvent) {
        match event {
            HostEvent::Exited(key) => self.exited(key),
            HostEvent::Started(pid) => {
                // It may be gone again already.
                let Ok(entry) = self.host.entry(pid) else {
                    return;
                };
                let own = self
                    .launched
                    .as_ref()
                    .is_some_and(|launched| launched.key == entry.key);
                let _ = self.attached.tell(entry.key, Order::LookAgain);
                if !entry.kernel && !own {
                    self.feed(Event::Started(identity(&entry)));
                }
            }
        }
    }

    /// Of a process that is attached, what it did last may not have been told yet.
    fn exited(&mut self, key: ProcessKey) {
        self.schedule.stop(key);
        if self.attached.tell(key, Order::Gone) {
            self.gone.insert(key);
            return;
        }
        // Its thread has ended; what it has told before that comes first.
        if self.attached.has(key) {
            self.take_news();
        }
        self.gone.remove(&key);
        self.host.forget(key);
        if self.watched.remove(&key) {
            self.watched_changed = true;
            let launched = self
                .launched
                .as_mut()
                .filter(|launched| launched.key == key);
            let status = launched.and_then(Launched::status);
            (self.show)(Happening::Exited {
                process: key,
                status,
            });
        }
        self.feed(Event::Exited(key));
    }

    fn sample(&mut self, process: ProcessKey, measures: &[Measure]) {
        match self.host.sample(process, measures) {
            Ok(mut sample) => {
                self.probes.add(measures, &mut sample);
                self.tell_of_counters(process, measures, &sample);
                self.feed(Event::Sample(process, sample));
            }
            Err(error) if error.kind == ErrorKind::NoSuchProcess => self.exited(process),
            Err(error) => (self.show)(Happening::Failed(error.to_string())),
        }
    }

    /// A counter that has no value, not even the second time (a rate has none the first), would be
    /// waited for in vain.
    fn tell_of_counters(&mut self, process: ProcessKey, measures: &[Measure], sample: &Sample) {
        for measure in measures {
            let Measure::Counter(name) = measure else {
                continue;
            };
            let misses = self.misses.entry((process, name.clone())).or_default();
            *misses = if sample.value(measure).is_none() {
                *misses + 1
            } else {
                0
            };
            if *misses == 2 {
                let lines = vec![format!(
                    "the counter {name} has no value here; `firstchance counters` lists those that have"
                )];
                (self.show)(Happening::Lacking { process, lines });
            }
        }
    }

    fn feed(&mut self, event: Event) {
        let commands = self.rules.handle(self.host.now(), event);
        self.obey(commands);
    }

    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            self.obey_one(command);
        }
    }

    fn obey_one(&mut self, command: Command) {
        match command {
            Command::Sample {
                process,
                measures,
                every,
            } => {
                self.watch(process);
                self.schedule.set(process, measures, every, self.host.now());
            }
            Command::SampleNow(process) => {
                let measures = self.schedule.measures(process);
                self.sample(process, &measures);
            }
            Command::Dump(request) => self.dump(request),
            Command::Attach { process, wake } => {
                self.watch(process);
                self.attached.attach(process, wake);
            }
            Command::Detach(process) => self.attached.detach(process),
            Command::LogStack(note) => self.attached.stack(note.process, note.thread),
            Command::Storm {
                process, active, ..
            } => {
                let _ = self.attached.tell(process, Order::Storm(active));
                (self.show)(Happening::Command(Box::new(command)));
            }
            Command::Run { program, note } => self.run_program(&program, note.reason),
            Command::RuleFinished { rule, why, dumps } => {
                self.kill_if_wanted(rule, why);
                (self.show)(Happening::RuleFinished { rule, why, dumps });
            }
            Command::Suppressed(suppressed) => (self.show)(Happening::Suppressed(suppressed)),
            Command::Exceptions { process, table } => self.show_table(process, &table),
            other => (self.show)(Happening::Command(Box::new(other))),
        }
    }

    /// From its first command on, a process is one that we monitor.
    fn watch(&mut self, process: ProcessKey) {
        if self.watched.contains(&process) {
            return;
        }
        match self.host.watch(process) {
            Ok(()) => {
                self.watched.insert(process);
                self.watched_changed = true;
                (self.show)(Happening::Watching(process));
            }
            Err(_) => self.feed(Event::Exited(process)),
        }
    }

    fn dump(&mut self, asked: DumpRequest) {
        self.watch(asked.process);
        self.last_dumped = Some(asked.process);
        let Some(manner) = self.manners.get(&asked.rule) else {
            return;
        };
        let rule = self.rules.rule(asked.rule);
        let request = Request {
            kinds: asked
                .kinds
                .iter()
                .map(|kind| (*kind, (manner.format)(*kind)))
                .collect(),
            destination: rule.map_or_else(
                || manner.destination.clone(),
                |rule| manner.destination_of(rule),
            ),
            overwrite: manner.overwrite,
            reason: asked.reason.clone(),
            rule: rule.map(ToString::to_string).unwrap_or_default(),
            comment: manner.comment.clone(),
            timeout: manner.timeout,
            stop: manner.stop,
            keep: rule
                .map(|rule| rule.limits.keep.clone())
                .unwrap_or_default(),
            number: asked.number,
            reader: None,
            exception: asked.exception.clone(),
            thread: asked.thread,
            signature: None,
        };
        (self.show)(Happening::Trigger {
            process: asked.process,
            reason: asked.reason.clone(),
        });
        if let Err(request) = self.attached.dump(asked.id, asked.process, request) {
            self.dumps
                .start(asked.id, asked.process, *request, asked.behind);
        }
    }

    fn dump_finished(&mut self, finished: Finished) {
        let Finished {
            id, dumps, error, ..
        } = finished;
        self.ended.dumps += dumps.iter().filter(|dump| dump.record.complete).count() as u32;
        let outcome = match &error {
            None => Outcome::Written,
            Some(error) if matches!(error.kind, ErrorKind::Cancelled | ErrorKind::TargetDied) => {
                Outcome::Cancelled(error.to_string())
            }
            Some(error) => Outcome::Failed(error.to_string()),
        };
        if let Some(error) = error {
            (self.show)(Happening::DumpFailed {
                number: finished.number,
                error: error.to_string(),
            });
            self.give_up_if_forbidden(error);
        }
        let written: Vec<Arc<Written>> = dumps.into_iter().map(Arc::new).collect();
        (self.show)(Happening::Dumped(written));
        self.feed(Event::DumpFinished { id, outcome });
    }

    /// What the system forbids now it forbids later too: a watch of one process ends then.
    fn give_up_if_forbidden(&mut self, error: Error) {
        let forbidden = matches!(error.kind, ErrorKind::NotPermitted);
        self.hopeless = forbidden && self.watched.len() <= 1;
        self.ended.failure = Some(error);
    }

    /// Dumps that are under way end before we do, and processes that are about to end.
    fn finish_dumps(&mut self) {
        while self.attached.is_busy() {
            self.attached.wait(DUMP_SLEEP);
            self.take_news();
        }
        let patience = self.host.now() + LEAVING;
        while !self.leaving.is_empty() && self.host.now() < patience {
            self.attached.wait(DUMP_SLEEP);
            self.take_news();
        }
        while !self.dumps.is_empty() {
            for finished in self
                .dumps
                .wait(&mut |step| (self.show)(Happening::Step(step)))
            {
                self.dump_finished(finished);
            }
        }
        self.attached.leave_all();
        self.take_news();
        self.show_exceptions();
    }

    /// What processes that live on have thrown, where there is more to tell than their dumps do.
    fn show_exceptions(&mut self) {
        for process in std::mem::take(&mut self.watched) {
            let table = self.rules.exceptions(process);
            if table.iter().map(|row| row.count).sum::<u64>() > 1 {
                self.show_table(process, &table);
            }
        }
    }

    fn show_table(&mut self, process: ProcessKey, table: &[ExceptionCount]) {
        let now = (self.host.now(), crate::store::keep::now());
        let rows = table.iter().map(|count| ExceptionRow::of(count, now));
        let table = rows.collect();
        (self.show)(Happening::Exceptions { process, table });
    }

    /// ProcDump's `-k`: the target ends with its last dump.
    fn kill_if_wanted(&mut self, rule: RuleId, why: Finish) {
        let wanted = self
            .manners
            .get(&rule)
            .is_some_and(|manner| manner.kill_after);
        let Some(process) = self
            .last_dumped
            .filter(|_| wanted && why == Finish::CountReached)
        else {
            return;
        };
        if let Err(error) = self.host.kill(process) {
            (self.show)(Happening::Failed(error.to_string()));
        }
    }

    fn run_program(&mut self, program: &str, reason: String) {
        let mut words = program.split_ascii_whitespace();
        let Some(path) = words.next() else { return };
        let started = std::process::Command::new(path)
            .args(words)
            .env("FIRSTCHANCE_REASON", &reason)
            .stdin(std::process::Stdio::null())
            .spawn();
        if let Err(error) = started {
            (self.show)(Happening::Failed(format!(
                "starting {path} failed: {error}"
            )));
        }
    }

    fn show_status(&mut self) {
        let now = self.host.now();
        if let Some(every) = self.status.filter(|_| now >= self.next_status) {
            self.next_status = now + every;
            (self.show)(Happening::Status(self.rules.status(now)));
        }
    }
}

/// Steps are what dumps tell while they are taken.
pub(crate) type ShowStep<'s> = &'s mut dyn FnMut(Step);
