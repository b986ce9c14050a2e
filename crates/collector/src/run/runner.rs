//! The loop itself: it waits for an event, or for what is due, and passes it on.

use super::{
    armed::{Armed, Lost},
    earlier::EarlierDumps,
    event::{Event, OutsideOrder},
    followers::Followers,
    jobs::Jobs,
    options::{DumpOptions, Setup},
    pending::Pending,
    probe::Probes,
    programs::Programs,
    reach::reach,
    recent_times::RecentTimes,
    run_event::RunEvent,
    rush::Rush,
    schedule::Schedule,
    unseen::Unseen,
};
use platform::{Cancel, Error, Host};
use policy::{Rule, RuleId, RuleSet, RuleState, WakeFor};
use snapshot::{EndStatus, Measure, ProcessKey, Time};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

/// How many events are taken before what is due is looked at again.
const MOST_EVENTS: usize = 1000;

/// How often processes are asked for their names, while a name is waited for.
const NAMES: Duration = Duration::from_secs(1);

/// How long a process that has begun to end, or a thread that is to leave one, is waited for at the
/// end of a run.
const LEAVING: Duration = Duration::from_secs(1);
const LEAVING_ALL: Duration = Duration::from_secs(3);

/// How long programs that rules have started are waited for at the end of a run, and at the end of one that
/// somebody cancelled.
const PROGRAMS_END: Duration = Duration::from_secs(30);
const PROGRAMS_CANCELLED: Duration = Duration::from_secs(1);

/// Rules at work. It goes on for as long as somebody calls [`Runner::step`]; rules are added and
/// removed meanwhile.
pub struct Runner {
    pub(super) host: Box<dyn Host>,
    pub(super) rules: RuleSet,
    pub(super) options: BTreeMap<RuleId, DumpOptions>,
    pub(super) schedule: Schedule,
    pub(super) probes: Probes,
    pub(super) programs: Programs,
    pub(super) earlier: EarlierDumps,
    pub(super) recent_times: RecentTimes,
    pub(super) jobs: Jobs,
    pub(super) followers: Followers,
    /// Processes that wait to be followed until a dump lets go of them, or until they have lived for a moment.
    pub(super) to_follow: HashMap<ProcessKey, WakeFor>,
    pub(super) rush: Rush,
    /// Processes that are monitored: their end is told.
    pub(super) watched: HashSet<ProcessKey>,
    /// Those of them that were found just now.
    pub(super) fresh: HashMap<ProcessKey, Fresh>,
    /// The pids of those that have ended last: the machine may tell of their deaths a moment later.
    pub(super) ended: VecDeque<u32>,
    /// How processes that are about to end do.
    pub(super) ends: HashMap<ProcessKey, EndStatus>,
    pub(super) pending: Pending,
    /// Followers that are not armed yet, of processes that there were when rules were added.
    pub(super) arming: HashMap<ProcessKey, Armed>,
    /// How many processes had ended before anything could be armed in them.
    pub(super) unseen: Unseen,
    /// How many programs had ended before their names could be read.
    pub(super) nameless: u64,
    /// Whether those that die of a fault are caught at their death.
    pub(super) catches_deaths: bool,
    /// Whether what a process throws in its life is wanted, and not only what it dies of.
    pub(super) wants_throws: bool,
    pub(super) has_told_of_polling: bool,
    /// Those of them that may have been caught at their death, which is told a moment later: they count until then.
    pub(super) lost: HashMap<ProcessKey, Lost>,
    /// Whether [`RunEvent::Effective`] was told since rules were added.
    pub(super) is_effective: bool,
    /// A program that was launched by us, and whether it stands until it is let begin.
    pub(super) launched: Option<ProcessKey>,
    pub(super) begins: Option<ProcessKey>,
    /// When the kernel reported the event at hand, where that is known.
    pub(super) came: Option<Instant>,
    /// The start of the youngest process that was seen, for when starts are lost.
    pub(super) newest_start: u64,
    /// When the youngest process started that was there at the beginning.
    pub(super) youngest_before: u64,
    /// How often in a row a figure had no value that not every process has.
    pub(super) misses: HashMap<(ProcessKey, Measure), u32>,
    /// The process of each rule's last dump.
    pub(super) last_dumped: BTreeMap<RuleId, ProcessKey>,
    pub(super) cancel: Cancel,
    status: Option<Duration>,
    next_status: Time,
    /// When processes are asked for their names next.
    next_names: Time,
    pub(super) is_cancelled: bool,
    /// Whether no further dump is begun.
    pub(super) is_closing: bool,
    pub(super) events: Sender<Event>,
    inbox: Receiver<Event>,
    pub(super) out: Vec<RunEvent>,
}

/// A process that was found just now: nothing was armed in it, no dump of it was begun, and it was sampled once at most.
pub(super) struct Fresh {
    pub(super) name: String,
    pub(super) is_sampled: bool,
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
        let followers = Followers::new(setup.machine.clone(), setup.holds, events.clone());
        Ok(Self {
            host,
            rules: RuleSet::new(setup.settings),
            options: BTreeMap::new(),
            schedule: Schedule::default(),
            probes: Probes::default(),
            programs: Programs::new(events.clone()),
            earlier: EarlierDumps::default(),
            recent_times: RecentTimes::default(),
            jobs: Jobs::new(setup.machine),
            followers,
            to_follow: HashMap::new(),
            rush: Rush::default(),
            watched: HashSet::new(),
            fresh: HashMap::new(),
            ended: VecDeque::new(),
            ends: HashMap::new(),
            pending: Pending::default(),
            arming: HashMap::new(),
            unseen: Unseen::default(),
            nameless: 0,
            catches_deaths: false,
            wants_throws: false,
            has_told_of_polling: false,
            lost: HashMap::new(),
            is_effective: true,
            launched: None,
            begins: None,
            came: None,
            newest_start: 0,
            youngest_before: 0,
            misses: HashMap::new(),
            last_dumped: BTreeMap::new(),
            cancel: setup.cancel,
            status: setup.status,
            next_status: Time(setup.settings.poll),
            next_names: Time(NAMES),
            is_cancelled: false,
            is_closing: false,
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

    /// How far a rule has come; `None` where there is no such rule. Ask before [`Runner::close`], and
    /// whenever a dump was written or a rule is over.
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

    /// Ends the run: dumps that are under way are finished, and each process is as it was before. Programs
    /// that rules have started are waited for, but not for ever.
    /// What there is to tell comes by `show`, as it happens.
    pub fn close(mut self, show: &mut dyn FnMut(RunEvent)) {
        self.is_closing = true;
        // Every order is answered, whatever becomes of who got it: this ends.
        while self.is_working() {
            self.receive(None);
            self.out.drain(..).for_each(&mut *show);
        }
        self.receive_until(LEAVING, |runner| runner.pending.is_quiet());
        self.followers.leave_all();
        // On Windows our end would leave breakpoints behind.
        self.receive_until(LEAVING_ALL, |runner| runner.followers.is_empty());
        self.receive_until(PROGRAMS_END, |runner| {
            runner.programs.is_empty() || runner.is_cancelled
        });
        self.receive_until(PROGRAMS_CANCELLED, |runner| runner.programs.is_empty());
        while let Ok(event) = self.inbox.try_recv() {
            self.take(event);
        }
        self.out.extend(self.programs.leave());
        self.show_exceptions();
        self.count_lost();
        let unseen = self.unseen.count();
        let unseen = (unseen > 0).then_some(RunEvent::Unseen(unseen));
        self.out.extend(unseen);
        let nameless = Some(self.nameless).filter(|count| *count > 0);
        self.out.extend(nameless.map(RunEvent::Nameless));
        self.out.drain(..).for_each(show);
    }

    /// Whether a dump or a stack that was ordered has not been answered.
    fn is_working(&self) -> bool {
        !self.pending.is_answered() || !self.jobs.is_empty()
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
        let names = self.rules.awaits_a_name().then_some(self.next_names);
        let due = [
            names,
            self.schedule.next(),
            self.rules.next_deadline(),
            self.rush.next(),
            status,
        ];
        due.into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self) {
        let now = self.host.now();
        for (process, measures) in self.schedule.due(now) {
            self.sample(process, &measures);
        }
        for process in self.rush.due(now) {
            self.follow_now(process);
        }
        if self.next_names <= now && self.rules.awaits_a_name() {
            self.next_names = now + NAMES;
            self.look_at_names();
        }
        let deadline = self.rules.next_deadline();
        if deadline.is_some_and(|deadline| deadline <= self.host.now()) {
            self.feed(policy::Event::Tick);
        }
        self.tell_if_effective();
        self.tell_status();
    }

    /// [`RunEvent::Effective`] is told once what is being begun now is.
    pub(super) fn expect_effect(&mut self) {
        self.is_effective = false;
    }

    fn tell_if_effective(&mut self) {
        let is_ready = self.arming.is_empty() && self.begins.is_none();
        if !self.is_effective && is_ready && !self.is_over() {
            self.is_effective = true;
            log::debug!("from now on nothing is missed");
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
}
