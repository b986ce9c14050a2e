//! A simulated machine for tests: the test says what its processes do, and when time passes.
//!
//! Nothing in it waits for real time. Its clock stands still until [`SimMachine::advance`], and a
//! thread that follows a process sleeps until the test has the process do something. The threads of
//! the code under test are real, so that their messages cross as they do on a real machine.

mod follow;
mod host;
mod refusal;
mod target;

use crate::{Arming, ErrorKind, Host, HostEvent, HostSink};
use snapshot::{Measure, ProcessKey, TargetEvent, Time};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A simulated machine. Its clones are handles to the same machine.
#[derive(Clone, Default)]
pub struct SimMachine(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    now: Time,
    processes: BTreeMap<u32, SimProcess>,
    sinks: Vec<HostSink>,
    watched: HashSet<ProcessKey>,
    follows_starts: bool,
    /// The pids of processes that have taken another name.
    renamed: Vec<u32>,
    loses_starts: bool,
    catches_deaths: bool,
    /// How often somebody asked for one process by its pid.
    entries_read: usize,
    /// How often somebody asked for the list of all processes.
    lists_read: usize,
    next_start: u64,
}

/// A simulated process: what the test said about it, and what was done to it.
#[derive(Default)]
struct SimProcess {
    key: ProcessKey,
    name: String,
    parent: u32,
    values: Vec<(Measure, f64)>,
    cpu: Option<Duration>,
    /// Whether it has ended: the machine does not list it or find it.
    is_gone: bool,
    /// The error that everybody gets who opens it.
    refuses: Option<ErrorKind>,
    /// The events that whoever follows it will see, in this order.
    events: VecDeque<TargetEvent>,
    /// Whether a wait returns its events before it returns that somebody woke it.
    events_first: bool,
    /// Whether a wait for it panics.
    breaks: bool,
    /// Whether it ends when somebody begins to follow it.
    vanishes: bool,
    /// Whether it ends when somebody begins to watch it.
    ends_when_watched: bool,
    /// Whether captures of it block.
    holds_captures: bool,
    /// Whether somebody traces it. A process has one tracer at most.
    is_traced: bool,
    /// Whether it stands for an event.
    stands: bool,
    /// What was armed last, while it is followed.
    armed: Option<Arming>,
    captures: usize,
}

impl SimMachine {
    /// Returns the machine as a host.
    pub fn host(&self) -> Box<dyn Host> {
        Box::new(host::SimHost {
            machine: self.clone(),
            reports: false,
        })
    }

    /// Starts a process. That is reported if somebody asked for starts.
    pub fn start(&self, pid: u32, name: &str) -> ProcessKey {
        let key = {
            let mut state = self.state();
            state.next_start += 1;
            let key = ProcessKey {
                pid,
                // Far from the start time of any process of the real machine that the test runs on.
                start: u64::MAX / 2 + state.next_start,
            };
            let process = SimProcess {
                key,
                name: name.to_owned(),
                parent: 1,
                ..SimProcess::default()
            };
            state.processes.insert(pid, process);
            key
        };
        let (follows, loses) = {
            let state = self.state();
            (state.follows_starts, state.loses_starts)
        };
        if follows && !loses {
            self.report(HostEvent::Started(pid));
        }
        key
    }

    /// Starts are not reported while `lose` is true; when it becomes false, the loss is reported.
    pub fn lose_starts(&self, lose: bool) {
        self.state().loses_starts = lose;
        if !lose {
            self.report(HostEvent::StartsLost);
        }
    }

    /// Reports that a process with this pid died of a fault a moment after its start.
    pub fn die_young(&self, pid: u32) {
        self.report(HostEvent::Unseen {
            pid,
            ancestors: None,
            names: Vec::new(),
        });
    }

    /// Has processes that die of a fault while nobody follows them be caught from now on.
    pub fn catch_deaths(&self) {
        self.state().catches_deaths = true;
    }

    /// Reports that a process was caught at its death.
    pub fn die_caught(&self, key: ProcessKey) {
        let entry = self.with(key, |process| host::entry(process));
        if let Some(entry) = entry {
            self.report(HostEvent::Dying(Box::new(entry)));
        }
    }

    /// As [`die_young`](Self::die_young), of one that was forked by a process that may not be followed.
    pub fn descendant_dies_young(&self, pid: u32, ancestors: &[u32]) {
        self.report(HostEvent::Unseen {
            pid,
            ancestors: Some(ancestors.to_vec()),
            names: Vec::new(),
        });
    }

    /// As [`die_young`](Self::die_young), of one that nobody has looked at, and that had executed a program of this name.
    pub fn program_dies_young(&self, pid: u32, name: &str) {
        self.report(HostEvent::Unseen {
            pid,
            ancestors: Some(Vec::new()),
            names: vec![name.to_owned()],
        });
    }

    /// Reports that a process with this pid executed a program of these names, when it has ended already.
    pub fn executed_and_gone(&self, pid: u32, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned());
        self.report(HostEvent::Executed(pid, names.collect()));
    }

    /// Lets time pass. Nobody is woken by that.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now = state.now + by;
    }

    /// A process takes another name. Nobody is told.
    pub fn rename(&self, key: ProcessKey, name: &str) {
        self.with(key, |process| process.name = name.to_owned());
        self.state().renamed.push(key.pid);
    }

    /// Sets the value of a figure of a process.
    pub fn set(&self, key: ProcessKey, measure: Measure, value: f64) {
        self.with(key, |process| {
            process.values.retain(|(known, _)| *known != measure);
            process.values.push((measure, value));
        });
    }

    /// Adds an event that whoever follows the process will see.
    pub fn does(&self, key: ProcessKey, event: TargetEvent) {
        self.with(key, |process| process.events.push_back(event));
    }

    /// Ends the process. The host reports that if the process is watched. Whoever follows it only
    /// hears of it if the test adds the event [`TargetEvent::Exited`].
    pub fn end(&self, key: ProcessKey) {
        self.with(key, |process| process.is_gone = true);
        if self.state().watched.contains(&key) {
            self.report(HostEvent::Exited(key, None));
        }
    }

    /// Has every attempt to open the process fail with an error of this kind.
    pub fn refuse(&self, key: ProcessKey, why: ErrorKind) {
        self.with(key, |process| process.refuses = Some(why));
    }

    /// Nobody gets an error any more who opens the process.
    pub fn refuse_no_longer(&self, key: ProcessKey) {
        self.with(key, |process| process.refuses = None);
    }

    /// Has the process end at the moment when somebody begins to follow it.
    pub fn vanish_when_followed(&self, key: ProcessKey) {
        self.with(key, |process| process.vanishes = true);
    }

    /// Starts a process that ends between being found and being watched.
    pub fn start_and_end(&self, pid: u32, name: &str) -> ProcessKey {
        let follows = std::mem::take(&mut self.state().follows_starts);
        let key = self.start(pid, name);
        self.with(key, |process| process.ends_when_watched = true);
        self.state().follows_starts = follows;
        self.report(HostEvent::Started(pid));
        key
    }

    /// Has waits for the process return its events before they return that somebody woke them.
    pub fn events_before_orders(&self, key: ProcessKey) {
        self.with(key, |process| process.events_first = true);
    }

    /// Has waits for the process panic.
    pub fn break_follower(&self, key: ProcessKey) {
        self.with(key, |process| process.breaks = true);
    }

    /// Blocks captures of the process, or lets them continue.
    pub fn hold_captures(&self, key: ProcessKey, hold: bool) {
        self.with(key, |process| process.holds_captures = hold);
    }

    /// Returns what is armed in the process, while it is followed.
    pub fn armed(&self, key: ProcessKey) -> Option<Arming> {
        self.with(key, |process| process.armed.clone()).flatten()
    }

    /// Returns whether somebody follows or captures the process.
    pub fn is_traced(&self, key: ProcessKey) -> bool {
        self.with(key, |process| process.is_traced) == Some(true)
    }

    /// Returns whether the process stands for an event.
    pub fn is_standing(&self, key: ProcessKey) -> bool {
        self.with(key, |process| process.stands) == Some(true)
    }

    /// Returns how many captures of the process were begun.
    pub fn captures(&self, key: ProcessKey) -> usize {
        self.with(key, |process| process.captures).unwrap_or(0)
    }

    /// Returns how often somebody asked for one process by its pid, and how often for the list of
    /// all.
    pub fn lookups(&self) -> (usize, usize) {
        let state = self.state();
        (state.entries_read, state.lists_read)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a process and wakes whoever waits for a change; `None` if there is no such
    /// process.
    fn with<T>(&self, key: ProcessKey, work: impl FnOnce(&mut SimProcess) -> T) -> Option<T> {
        let mut state = self.state();
        let process = state.processes.get_mut(&key.pid);
        let result = process.filter(|process| process.key == key).map(work);
        self.0.changed.notify_all();
        result
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let state = self.0.changed.wait(state);
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, event: HostEvent) {
        let sinks = self.state().sinks.clone();
        sinks.iter().for_each(|sink| sink(event.clone()));
    }
}
