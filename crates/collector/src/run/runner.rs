//! The loop itself: it waits for an event, or for what is due, and passes it on.

use super::{
    event::{Event, FollowerEvent, FollowerId, OutsideOrder},
    exits::Exits,
    followers::Followers,
    identity,
    jobs::{Finished, Jobs},
    options::{DumpOptions, Setup},
    probe::Probes,
    run_event::RunEvent,
    schedule::Schedule,
};
use crate::Step;
use platform::{Cancel, Detail, Error, ErrorKind, Host, HostEvent};
use policy::{Outcome, Rule, RuleId, RuleSet, RuleState, Target, WakeFor};
use snapshot::{ProcessKey, TargetEvent, Time};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

/// How many events are taken before what is due is looked at again.
const MOST_EVENTS: usize = 1000;

/// How long a process that has begun to end, or a thread that is to leave one, is waited for at the
/// end of a run.
const LEAVING: Duration = Duration::from_secs(1);
const LEAVING_ALL: Duration = Duration::from_secs(3);

/// Rules at work. It goes on for as long as somebody calls [`Runner::step`]; rules are added and
/// removed meanwhile.
pub struct Runner {
    pub(super) host: Box<dyn Host>,
    pub(super) rules: RuleSet,
    pub(super) options: BTreeMap<RuleId, DumpOptions>,
    pub(super) schedule: Schedule,
    pub(super) probes: Probes,
    pub(super) jobs: Jobs,
    pub(super) followers: Followers,
    /// Processes that wait to be followed until a dump lets go of them.
    pub(super) to_follow: HashMap<ProcessKey, WakeFor>,
    /// Processes that are monitored: their end is told.
    pub(super) watched: HashSet<ProcessKey>,
    pub(super) exits: Exits,
    /// Followers that are not armed yet, of processes that there were when rules were added.
    pub(super) arming: HashSet<ProcessKey>,
    /// Whether [`RunEvent::Effective`] was told since rules were added.
    is_effective: bool,
    /// A program that was launched by us, and whether it stands until it is let begin.
    pub(super) launched: Option<ProcessKey>,
    pub(super) begins: Option<ProcessKey>,
    /// How often in a row a counter had no value.
    pub(super) misses: HashMap<(ProcessKey, String), u32>,
    /// The process of each rule's last dump.
    pub(super) last_dumped: BTreeMap<RuleId, ProcessKey>,
    pub(super) cancel: Cancel,
    status: Option<Duration>,
    next_status: Time,
    is_cancelled: bool,
    pub(super) events: Sender<Event>,
    inbox: Receiver<Event>,
    pub(super) out: Vec<RunEvent>,
}

/// Gives a [`Runner`] orders from other threads.
#[derive(Clone)]
pub struct RunnerHandle(Sender<Event>);

impl RunnerHandle {
    /// Ends the run: [`Runner::is_over`] is true after the step that this wakes. Dumps that are
    /// under way are finished, unless their cancel token was asked too.
    pub fn cancel(&self) {
        // A runner that is gone has ended already.
        let _ = self.0.send(Event::Order(OutsideOrder::Cancel));
    }

    /// Has the runner look at the time now.
    pub fn look(&self) {
        let _ = self.0.send(Event::Order(OutsideOrder::Look));
    }
}

impl Runner {
    /// A runner without rules.
    ///
    /// # Errors
    /// Where the machine cannot tell of its processes.
    pub fn new(setup: Setup) -> Result<Self, Error> {
        let (events, inbox) = channel();
        let mut host = (setup.machine)();
        let sink = events.clone();
        host.report_to(Arc::new(move |event| {
            // Nobody listens any more when the run is over.
            let _ = sink.send(Event::Host(event));
        }))?;
        let followers = Followers::new(
            setup.machine.clone(),
            setup.unsafe_breakpoints,
            events.clone(),
        );
        Ok(Self {
            host,
            rules: RuleSet::new(setup.settings),
            options: BTreeMap::new(),
            schedule: Schedule::default(),
            probes: Probes::default(),
            jobs: Jobs::new(setup.machine),
            followers,
            to_follow: HashMap::new(),
            watched: HashSet::new(),
            exits: Exits::default(),
            arming: HashSet::new(),
            is_effective: true,
            launched: None,
            begins: None,
            misses: HashMap::new(),
            last_dumped: BTreeMap::new(),
            cancel: setup.cancel,
            status: setup.status,
            next_status: Time(setup.settings.poll),
            is_cancelled: false,
            events,
            inbox,
            out: Vec::new(),
        })
    }

    /// Gives orders from other threads.
    pub fn handle(&self) -> RunnerHandle {
        RunnerHandle(self.events.clone())
    }

    /// Puts rules to work, on the processes that there are and on those to come. A rule about one
    /// process that has none now waits for it if `wait` says so; else it is over.
    ///
    /// # Errors
    /// Where the processes cannot be listed.
    pub fn add(
        &mut self,
        rules: Vec<(Rule, DumpOptions)>,
        wait: bool,
    ) -> Result<Vec<RuleId>, Error> {
        let now = self.host.now();
        let targets: Vec<_> = rules.iter().map(|(rule, _)| reach(rule)).collect();
        let mut ids = Vec::new();
        for (rule, options) in rules {
            let (id, commands) = self.rules.add(now, rule);
            self.options.insert(id, options);
            self.obey(commands);
            ids.push(id);
        }
        self.find(&targets)?;
        if !wait {
            let now = self.host.now();
            for id in &ids {
                let commands = self.rules.expect_process(now, *id);
                self.obey(commands);
            }
        }
        Ok(ids)
    }

    /// Puts a rule to work that had come so far in a run before this one.
    ///
    /// # Errors
    /// As [`Runner::add`].
    pub fn restore(
        &mut self,
        rule: Rule,
        options: DumpOptions,
        state: RuleState,
    ) -> Result<RuleId, Error> {
        let known: Vec<ProcessKey> = state.processes.keys().copied().collect();
        let target = reach(&rule);
        let id = self.rules.restore(self.host.now(), rule, state);
        self.options.insert(id, options);
        self.find(&[target])?;
        for process in known {
            if !self.watched.contains(&process) {
                self.feed(policy::Event::Exited(process));
            }
        }
        Ok(id)
    }

    /// Takes a rule away. Its dumps that are under way are finished.
    pub fn remove(&mut self, rule: RuleId) {
        let commands = self.rules.remove(self.host.now(), rule);
        self.obey(commands);
    }

    /// How far a rule has come; `None` where there is no such rule.
    pub fn state(&self, rule: RuleId) -> Option<RuleState> {
        self.rules.state(self.host.now(), rule)
    }

    /// The processes that are monitored now.
    pub fn watched(&self) -> impl Iterator<Item = ProcessKey> {
        self.watched.iter().copied()
    }

    /// Whether all rules are over, or somebody ended the run.
    pub fn is_over(&self) -> bool {
        self.is_cancelled || self.rules.is_finished()
    }

    /// Waits until something happens or is due, and does what follows from it; what there is to
    /// tell.
    pub fn step(&mut self) -> Vec<RunEvent> {
        self.do_what_is_due();
        if self.out.is_empty() && !self.is_over() {
            let limit = self.deadline().map(|at| at.since(self.host.now()));
            self.receive(limit);
        }
        for _ in 0..MOST_EVENTS {
            match self.inbox.try_recv() {
                Ok(event) => self.take(event),
                Err(_) => break,
            }
        }
        self.do_what_is_due();
        std::mem::take(&mut self.out)
    }

    /// Ends the run: dumps that are under way are finished, and each process is as it was before.
    /// What there is to tell comes by `show`, as it happens.
    pub fn close(mut self, show: &mut dyn FnMut(RunEvent)) {
        // Every order is answered, whatever becomes of who got it: this ends.
        while self.is_working() {
            self.receive(None);
            self.out.drain(..).for_each(&mut *show);
        }
        self.receive_until(LEAVING, |runner| runner.exits.is_quiet());
        self.followers.leave_all();
        // On Windows our end would leave breakpoints behind.
        self.receive_until(LEAVING_ALL, |runner| runner.followers.is_empty());
        while let Ok(event) = self.inbox.try_recv() {
            self.take(event);
        }
        self.show_exceptions();
        self.out.drain(..).for_each(show);
    }

    /// Whether a dump or a stack that was ordered has not been answered.
    fn is_working(&self) -> bool {
        !self.exits.is_answered() || !self.jobs.is_empty()
    }

    fn receive(&mut self, limit: Option<Duration>) {
        let event = match limit {
            None => self
                .inbox
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(limit) => self.inbox.recv_timeout(limit),
        };
        if let Ok(event) = event {
            self.take(event);
        }
    }

    pub(super) fn receive_until(&mut self, patience: Duration, is_done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + patience;
        while !is_done(self) && Instant::now() < end {
            self.receive(Some(end.saturating_duration_since(Instant::now())));
        }
    }

    /// When something is due, though nothing happens.
    fn deadline(&self) -> Option<Time> {
        let status = self.status.map(|_| self.next_status);
        let due = [self.schedule.next(), self.rules.next_deadline(), status];
        due.into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self) {
        let now = self.host.now();
        for (process, measures) in self.schedule.due(now) {
            self.sample(process, &measures);
        }
        let deadline = self.rules.next_deadline();
        if deadline.is_some_and(|deadline| deadline <= self.host.now()) {
            self.feed(policy::Event::Tick);
        }
        self.tell_if_effective();
        self.tell_status();
    }

    fn tell_if_effective(&mut self) {
        let is_ready = self.arming.is_empty() && self.begins.is_none();
        if !self.is_effective && is_ready && !self.is_over() {
            self.is_effective = true;
            self.out.push(RunEvent::Effective);
        }
    }

    fn tell_status(&mut self) {
        let now = self.host.now();
        if let Some(every) = self.status.filter(|_| now >= self.next_status) {
            self.next_status = now + every;
            self.out.push(RunEvent::Status(self.rules.status(now)));
        }
    }

    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Host(HostEvent::Exited(key)) => self.host_saw_exit(key),
            Event::Host(HostEvent::Started(pid)) => self.started(pid),
            Event::Follower(id, event) => self.follower(id, event),
            Event::Step(id, step) => self.dump_moved_on(id, step),
            Event::DumpFinished(finished) => self.dump_finished(finished),
            Event::Stack(process, lines) => {
                self.exits.stack_answered();
                self.jobs.stacked(process);
                self.follow_those_let_go();
                self.out.push(RunEvent::Stack { process, lines });
            }
            Event::Order(OutsideOrder::Cancel) => self.is_cancelled = true,
            Event::Order(OutsideOrder::Look) => {}
        }
    }

    pub(super) fn feed(&mut self, event: policy::Event) {
        let commands = self.rules.handle(self.host.now(), event);
        self.obey(commands);
    }

    /// Looks at the processes that there are, as far as these targets reach.
    fn find(&mut self, targets: &[Reach]) -> Result<(), Error> {
        self.is_effective = false;
        if targets.iter().any(|reach| reach.starts) {
            self.host.follow_starts();
        }
        let entries = match targets.iter().any(|reach| reach.all) {
            true => self.host.processes(Detail::Identity)?,
            false => {
                let pids = targets.iter().filter_map(|reach| reach.pid);
                pids.filter_map(|pid| self.host.entry(pid).ok()).collect()
            }
        };
        let own = std::process::id();
        for entry in entries {
            let is_zombie = entry.state == 'Z' && entry.threads < 2;
            if !entry.kernel && !is_zombie && entry.key.pid != own {
                self.feed(policy::Event::Found(identity(&entry)));
            }
        }
        Ok(())
    }

    /// A process started, or became another program. Many do on a busy machine, and few are meant.
    fn started(&mut self, pid: u32) {
        // It may be gone again already.
        let Ok(entry) = self.host.entry(pid) else {
            return;
        };
        self.followers
            .tell(entry.key, super::order::Order::LookAgain);
        if !entry.kernel && self.launched != Some(entry.key) {
            self.feed(policy::Event::Started(identity(&entry)));
        }
    }

    fn follower(&mut self, id: FollowerId, event: FollowerEvent) {
        let process = id.key;
        let is_current = self.followers.is_current(id);
        match event {
            FollowerEvent::Armed => {
                self.arming.remove(&process);
                self.out.push(RunEvent::Armed(process));
            }
            FollowerEvent::Notice(lines) => self.out.push(RunEvent::Notice { process, lines }),
            FollowerEvent::Did(event) if is_current => self.did(process, event),
            // It was left before this was told, and goes on by itself.
            FollowerEvent::Did(_) => {}
            FollowerEvent::Seen(event) => self.feed(policy::Event::Target(process, event)),
            FollowerEvent::Counted(counts) => self.feed(policy::Event::Counted(process, counts)),
            FollowerEvent::FirstStack { name, frames } => self.out.push(RunEvent::FirstStack {
                process,
                name,
                frames,
            }),
            FollowerEvent::Ended(error) => self.follower_ended(id, error),
        }
    }

    /// A followed process did something, and stands; it goes on when nothing more is to be done
    /// with it.
    fn did(&mut self, process: ProcessKey, event: TargetEvent) {
        if let TargetEvent::Exited { .. } = event {
            self.followers.leave(process);
            return self.exited(process);
        }
        self.followers.stands(process);
        let ends = matches!(event, TargetEvent::Exiting { .. });
        if ends {
            self.exits.begun(process);
        }
        self.feed(policy::Event::Target(process, event));
        // A program that could not be executed ends before it has begun.
        if self.begins != Some(process) || ends {
            self.followers.go_on(process);
        }
    }

    fn dump_moved_on(&mut self, id: policy::DumpId, step: Step) {
        self.jobs.step(id, &step);
        if let Step::Released { .. } = step {
            self.follow_those_let_go();
        }
        self.out.push(RunEvent::Step(step));
    }

    fn dump_finished(&mut self, finished: Finished) {
        let Finished {
            id,
            process,
            number,
            dumps,
            error,
        } = finished;
        self.exits.dump_answered();
        self.jobs.dumped(id);
        self.follow_those_let_go();
        let outcome = match &error {
            None => Outcome::Written,
            Some(error) if matches!(error.kind, ErrorKind::Cancelled | ErrorKind::TargetDied) => {
                Outcome::Cancelled(error.to_string())
            }
            Some(error) => Outcome::Failed(error.to_string()),
        };
        let is_forbidden = error.as_ref().map(|error| error.kind) == Some(ErrorKind::NotPermitted);
        if let Some(error) = error {
            self.out.push(RunEvent::DumpFailed {
                number,
                process,
                error,
            });
        }
        let written = dumps.into_iter().map(Arc::new).collect();
        self.out.push(RunEvent::Dumped(written));
        self.feed(policy::Event::DumpFinished { id, outcome });
        if is_forbidden {
            // What the system forbids now it forbids later too.
            self.feed(policy::Event::Refused(process));
        }
    }
}

/// Which processes have to be looked at for a rule.
struct Reach {
    /// Whether any process may be meant that there is now.
    all: bool,
    /// The one that is.
    pid: Option<u32>,
    /// Whether a process that starts later may be meant.
    starts: bool,
}

/// A rule about a pid looks at that process alone: to look at all of them took seconds where some
/// had many mappings.
fn reach(rule: &Rule) -> Reach {
    let pid = match rule.target {
        Target::Pid(pid) => Some(pid),
        _ => None,
    };
    let is_launched = matches!(rule.target, Target::Launch(_));
    Reach {
        all: pid.is_none() && !is_launched || rule.children && !is_launched,
        pid,
        starts: pid.is_none() && !is_launched || rule.children,
    }
}
