//! The engine: facts in, commands out.

mod command;
mod event;
mod facts;
mod fire;
mod needs;
mod process;
mod restore;
mod rules;
mod say;
mod state;
mod status;
mod watch;

pub use command::{Command, DumpRequest, ExceptionCount, Finish, Note, Suppressed, WakeFor, Why};
pub use event::{DumpId, Event, Outcome, RuleId, Settings};
pub use state::RuleState;
pub use status::ClauseStatus;

use crate::{Place, Rule};
use fire::InFlight;
use process::Process;
use rules::ActiveRule;
use snapshot::{ProcessKey, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Rules at work: what happens goes in with its time, what is to be done comes out.
///
/// It makes no system call and reads no clock. The loop around it feeds [`handle`](Self::handle)
/// with what it was told to sample and to attach to, with every dump's end, and with
/// [`Event::Tick`] when [`next_deadline`](Self::next_deadline) has come. Time never goes back.
///
/// - A condition that has to hold `for` some time starts anew after each dip, after each dump of
///   its clause, and where a value is not known. CPU counts from the beginning of the interval
///   that a rate is measured over, everything else from the first sample.
/// - One dump of a process is written at a time, or `concurrent` many. What fires meanwhile waits
///   for its turn: a level until it no longer holds, an event with the target standing at it.
///   With `avoid_outage` it is skipped instead, except at the last moment of a process.
/// - A dump counts from its request on and stops counting when it fails.
/// - What fires and does nothing is [`Command::Suppressed`], with its reason.
/// - Processes that no rule is about are not remembered: thousands may start on the machine.
#[derive(Debug)]
pub struct RuleSet {
    settings: Settings,
    rules: BTreeMap<RuleId, ActiveRule>,
    processes: BTreeMap<ProcessKey, Process>,
    dumps: BTreeMap<DumpId, InFlight>,
    /// Breakpoints by the number they are reported under.
    places: Vec<Place>,
    next_rule: u32,
    next_dump: u64,
    /// Nothing is due before this. It may be too early: a level that stops holding takes its
    /// deadline with it, and to look for the next one among 500 processes each time cost 1 % of a
    /// processor.
    deadline: Option<Time>,
    /// The deadline has to be found anew.
    replan: bool,
    /// Processes of which something else may be needed.
    stale: BTreeSet<ProcessKey>,
    /// Rules that may be finished.
    check: BTreeSet<RuleId>,
    out: Vec<Command>,
}

impl RuleSet {
    /// An engine without rules.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            rules: BTreeMap::new(),
            processes: BTreeMap::new(),
            dumps: BTreeMap::new(),
            places: Vec::new(),
            next_rule: 0,
            next_dump: 0,
            deadline: None,
            replan: false,
            stale: BTreeSet::new(),
            check: BTreeSet::new(),
            out: Vec::new(),
        }
    }

    /// Puts a rule to work, on the processes that other rules watch already too. The loop tells of
    /// the others by [`Event::Found`].
    pub fn add(&mut self, now: Time, rule: Rule) -> (RuleId, Vec<Command>) {
        let id = RuleId(self.next_rule);
        self.next_rule += 1;
        self.rules.insert(id, ActiveRule::new(rule));
        let known: Vec<_> = self.processes.keys().copied().collect();
        for process in known {
            self.bind_if_wanted(now, id, process, false);
        }
        (id, self.settle(now))
    }

    /// Takes a rule away. Its dumps that are being written are still to be answered.
    pub fn remove(&mut self, now: Time, id: RuleId) -> Vec<Command> {
        if self.rules.contains_key(&id) {
            self.finish(id, Finish::Removed);
        }
        self.settle(now)
    }

    /// Ends a rule about one process that has found none by now, unless it is about the next one to
    /// start.
    pub fn expect_process(&mut self, now: Time, id: RuleId) -> Vec<Command> {
        let lacks = |active: &ActiveRule| active.lacks_its_process();
        if self.rules.get(&id).is_some_and(lacks) {
            self.finish(id, Finish::TargetExited);
        }
        self.settle(now)
    }

    /// A rule, also one that is finished.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(&id).map(|active| &active.rule)
    }

    /// Whether all rules are finished, and all dumps answered.
    pub fn is_finished(&self) -> bool {
        self.dumps.is_empty() && self.rules.values().all(|active| active.finished)
    }

    /// Takes a fact in and says what is to be done, in this order.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Command> {
        match event {
            Event::Found(identity) => self.appeared(now, identity, false),
            Event::Started(identity) => self.appeared(now, identity, true),
            Event::Exited(process) => self.exited(process),
            Event::Refused(process) => self.refused(process),
            Event::Sample(process, sample) => self.sampled(now, process, &sample),
            Event::Target(process, event) => self.target(now, process, event),
            Event::Counted(process, counts) => self.counted(now, process, &counts),
            Event::DumpFinished { id, outcome } => self.dump_finished(now, id, &outcome),
            Event::Tick => {}
        }
        self.settle(now)
    }

    /// When [`Event::Tick`] is due at the latest; it may turn out that nothing is due then.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The exceptions that a living process has thrown so far, most frequent first.
    pub fn exceptions(&self, process: ProcessKey) -> Vec<ExceptionCount> {
        let process = self.processes.get(&process);
        process.map_or_else(Vec::new, |process| process.exceptions.table())
    }

    /// Does what is due, ends what is over, and says what is needed from now on.
    fn settle(&mut self, now: Time) -> Vec<Command> {
        self.plan();
        while self.deadline.is_some_and(|deadline| deadline <= now) {
            self.run_due(now);
            self.replan = true;
            self.plan();
        }
        self.finish_rules();
        self.tell_needs();
        self.plan();
        std::mem::take(&mut self.out)
    }
}

#[cfg(test)]
mod tests;
