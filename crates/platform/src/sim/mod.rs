//! A simulated machine: a test says what its processes do, and when time goes on.
//!
//! Nothing in it waits for real time. Its clock stands until [`SimMachine::advance`]; a thread that
//! follows a process sleeps until the test has the process do something. The threads of whoever is
//! tested are real, so that their orders cross as they do on a real machine.

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

/// A simulated machine; its clones are the same machine.
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
    /// How often somebody asked who has a pid, and for the list of all.
    entries_read: usize,
    lists_read: usize,
    next_start: u64,
}

/// What a test has said of a process, and what was done with it.
#[derive(Default)]
struct SimProcess {
    key: ProcessKey,
    name: String,
    parent: u32,
    values: Vec<(Measure, f64)>,
    cpu: Option<Duration>,
    /// Whether the machine lists it and finds it.
    is_gone: bool,
    /// Why it may not be touched.
    refuses: Option<ErrorKind>,
    /// What it does next, in this order.
    events: VecDeque<TargetEvent>,
    /// Whether its thread of ours takes events before it looks at its orders.
    events_first: bool,
    /// Whether whoever follows it panics.
    breaks: bool,
    /// Whether it ends when somebody begins to follow it.
    vanishes: bool,
    /// Whether captures of it wait, and do not end yet.
    holds_captures: bool,
    /// Who traces it now: a process has one tracer.
    is_traced: bool,
    /// Whether it stands for an event.
    stands: bool,
    /// What was armed last.
    armed: Option<Arming>,
    captures: usize,
}

impl SimMachine {
    /// The machine as a host.
    pub fn host(&self) -> Box<dyn Host> {
        Box::new(host::SimHost {
            machine: self.clone(),
            reports: false,
        })
    }

    /// A process starts, and is told where starts are followed.
    pub fn start(&self, pid: u32, name: &str) -> ProcessKey {
        let key = {
            let mut state = self.state();
            state.next_start += 1;
            let key = ProcessKey {
                pid,
                // Far from any start time of the machine that the test runs on.
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
        if self.state().follows_starts {
            self.report(HostEvent::Started(pid));
        }
        key
    }

    /// Time goes on. Nobody is woken by that.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now = state.now + by;
    }

    /// A figure of a process has this value from now on.
    pub fn set(&self, key: ProcessKey, measure: Measure, value: f64) {
        self.with(key, |process| {
            process.values.retain(|(known, _)| *known != measure);
            process.values.push((measure, value));
        });
    }

    /// A process that is followed does this next.
    pub fn does(&self, key: ProcessKey, event: TargetEvent) {
        self.with(key, |process| process.events.push_back(event));
    }

    /// The process is gone, and the host reports that if it is watched. Whoever follows it hears of
    /// it only if the test has it do [`TargetEvent::Exited`].
    pub fn end(&self, key: ProcessKey) {
        self.with(key, |process| process.is_gone = true);
        if self.state().watched.contains(&key) {
            self.report(HostEvent::Exited(key));
        }
    }

    /// Whoever wants to touch the process is refused.
    pub fn refuse(&self, key: ProcessKey, why: ErrorKind) {
        self.with(key, |process| process.refuses = Some(why));
    }

    /// The process ends at the moment when somebody begins to follow it.
    pub fn vanish_when_followed(&self, key: ProcessKey) {
        self.with(key, |process| process.vanishes = true);
    }

    /// Whoever follows the process takes what it does before any order.
    pub fn events_before_orders(&self, key: ProcessKey) {
        self.with(key, |process| process.events_first = true);
    }

    /// Whoever follows the process panics.
    pub fn break_follower(&self, key: ProcessKey) {
        self.with(key, |process| process.breaks = true);
    }

    /// Captures of the process wait from now on, or go on.
    pub fn hold_captures(&self, key: ProcessKey, hold: bool) {
        self.with(key, |process| process.holds_captures = hold);
    }

    /// What is armed in the process, while it is followed.
    pub fn armed(&self, key: ProcessKey) -> Option<Arming> {
        self.with(key, |process| process.armed.clone()).flatten()
    }

    /// Whether somebody follows or captures the process.
    pub fn is_traced(&self, key: ProcessKey) -> bool {
        self.with(key, |process| process.is_traced) == Some(true)
    }

    /// Whether the process stands for something it did.
    pub fn is_standing(&self, key: ProcessKey) -> bool {
        self.with(key, |process| process.stands) == Some(true)
    }

    /// How many captures of the process were begun.
    pub fn captures(&self, key: ProcessKey) -> usize {
        self.with(key, |process| process.captures).unwrap_or(0)
    }

    /// How often somebody asked who has a pid, and how often for the list of all processes.
    pub fn lookups(&self) -> (usize, usize) {
        let state = self.state();
        (state.entries_read, state.lists_read)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes or reads a process, and wakes whoever waits for it; `None` where there is none.
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
        sinks.iter().for_each(|sink| sink(event));
    }
}
