//! The engine that decides: events go in with their time, commands come out.
//!
//! It makes no system call and reads no clock, so that hours of watching are tested in milliseconds.
//! Its few ideas:
//!
//! - A **rule** has clauses ("when A or B, do C"). For each process that a rule watches, each clause has
//!   a [`ClauseWatch`](clause_watch::ClauseWatch): since when its levels hold, when its timers are due,
//!   how often it has acted.
//! - A condition is **met** by an event (an exception, a signal, the end of the process), by levels that
//!   have held long enough (CPU, memory), or by a timer (`now`, `every 30s`). What met it is the
//!   [`Trigger`](crate::Trigger).
//! - A clause whose condition is met **acts**, unless a limit, a dump that is still being written or the
//!   pause after a failure forbids it; then the trigger is **suppressed**, and that is reported. Events
//!   are lost then. Levels and timers wait, and are tried again.
//! - A dump is **pending** from its request until the loop reports its end. It counts against limits at
//!   once, and no longer if it fails.
//! - What happens by time alone has a **deadline**. There is one, the earliest of all; the loop sends
//!   [`Event::Tick`] when it has come.
//!
//! An example: `on app, when cpu > 80% for 3s, do mini dump, at most 2 times`, with one process 7 that
//! uses 90 % of a machine with one processor.
//!
//! ```text
//! time   event              commands
//!  0 s   Found(7)           Sample(7: cpu, every 1s)
//!  0 s   Sample(7)
//!  1 s   Sample(7: 90 %)                           held since 0 s, as the rate was measured from there
//!  2 s   Sample(7: 90 %)
//!  3 s   Sample(7: 90 %)    Dump(1, of 7)          the clause is busy: samples are ignored
//!  5 s   DumpFinished(1)                           written; cpu has to hold anew, from 5 s on
//!  8 s   Sample(7: 90 %)    Dump(2, of 7)
//!  9 s   DumpFinished(2)    RuleFinished(count reached), Sample(7: nothing)
//! ```
//!
//! The timelines in `tests/` are written in this way.
//!
//! | file | what it decides |
//! |---|---|
//! | `facts.rs` | what an event means for the processes and their rules |
//! | `act.rs` | whether a clause may act, and what its action commands |
//! | `schedule.rs` | what is due by time |
//! | `needs.rs` | what to sample and to attach to |
//! | `finish.rs` | when a rule is over |
//! | `active_rule.rs`, `clause_watch.rs`, `process.rs` | the state of a rule, of a clause in a process, of a process |

mod act;
mod active_rule;
mod clause_watch;
mod command;
mod event;
mod facts;
mod finish;
mod needs;
mod print;
mod process;
mod restore;
mod schedule;
mod share;
mod state;
mod status;
mod wake_for;

pub use command::{
    Command, DumpRequest, ExceptionCount, FinishReason, Note, SuppressReason, Suppressed,
};
pub use event::{DumpId, Event, Outcome, RuleId, Settings};
pub use state::{ClauseState, RuleState};
pub use status::ClauseStatus;
pub use wake_for::WakeFor;

use crate::{Identity, Place, Rule};
use act::PendingDump;
use active_rule::ActiveRule;
use process::Process;
use snapshot::{ProcessKey, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A set of rules, and everything that is remembered to judge them.
///
/// The loop around it passes to [`handle`](Self::handle) what it was commanded to sample and to attach
/// to, the end of every dump, and [`Event::Tick`] when [`next_deadline`](Self::next_deadline) has come.
/// Time must never go back.
///
/// - A condition that has to hold `for` some time starts anew after each dip, after each dump of its
///   clause, and where a value is unknown. CPU counts from the beginning of the interval that a rate is
///   measured over, everything else from the first sample.
/// - Of one process, `concurrent` dumps (normally one) are written at a time. If a condition is met
///   meanwhile, a level waits until it no longer holds, and an event waits with the target standing
///   still. With `avoid_outage` it is skipped instead, except at the last moment of a process.
/// - Whenever a condition is met and nothing is done, there is a [`Command::Suppressed`] with the reason.
/// - Processes that no rule is about are forgotten at once: thousands may start on the machine.
#[derive(Debug)]
pub struct RuleSet {
    settings: Settings,
    rules: BTreeMap<RuleId, ActiveRule>,
    processes: BTreeMap<ProcessKey, Process>,
    dumps: BTreeMap<DumpId, PendingDump>,
    /// The breakpoints of all rules. The index is the number that a breakpoint is reported under.
    places: Vec<Place>,
    next_rule: u32,
    next_dump: u64,
    /// Nothing is due before this time. It may be too early: when a level stops holding, its deadline
    /// is not looked for anew, because that cost 1 % of a processor with 500 processes.
    deadline: Option<Time>,
    /// Whether the deadline has to be found anew.
    deadline_is_outdated: bool,
    /// The processes whose needs may have changed.
    processes_to_check: BTreeSet<ProcessKey>,
    /// The rules that may be over.
    rules_to_check: BTreeSet<RuleId>,
    /// The commands that the next return hands out.
    out: Vec<Command>,
}

impl RuleSet {
    /// A set without rules.
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
            deadline_is_outdated: false,
            processes_to_check: BTreeSet::new(),
            rules_to_check: BTreeSet::new(),
            out: Vec::new(),
        }
    }

    /// Adds a rule. It begins with the processes that other rules watch already; the loop reports the
    /// others by [`Event::Found`].
    pub fn add(&mut self, now: Time, rule: Rule) -> (RuleId, Vec<Command>) {
        let id = RuleId(self.next_rule);
        self.next_rule += 1;
        self.rules.insert(id, ActiveRule::new(rule));
        let watched: Vec<_> = self.processes.keys().copied().collect();
        for process in watched {
            self.bind_if_wanted(now, id, process, false);
        }
        (id, self.complete_step(now))
    }

    /// Removes a rule. The end of its pending dumps must still be reported.
    pub fn remove(&mut self, now: Time, id: RuleId) -> Vec<Command> {
        if self.rules.contains_key(&id) {
            self.finish(id, FinishReason::Removed);
        }
        self.complete_step(now)
    }

    /// Ends a rule about one process that has not found its process by now, unless it waits for the next
    /// one to start.
    pub fn expect_process(&mut self, now: Time, id: RuleId) -> Vec<Command> {
        let lacks = |active: &ActiveRule| active.lacks_its_process();
        if self.rules.get(&id).is_some_and(lacks) {
            self.finish(id, FinishReason::TargetExited);
        }
        self.complete_step(now)
    }

    /// The rule with this id, even if it is over. Returns `None` if there was never such a rule.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(&id).map(|active| &active.rule)
    }

    /// Whether all rules are over, and no dump is pending.
    pub fn is_finished(&self) -> bool {
        self.dumps.is_empty() && self.rules.values().all(|active| active.finished)
    }

    /// Takes an event in. Returns the commands that follow, to be carried out in this order.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Command> {
        match event {
            Event::Found(identity) => self.appeared(now, identity, false),
            Event::Started(identity) => self.appeared(now, identity, true),
            Event::Exited(process) => self.exited(process),
            Event::Refused(process) => self.refused(process),
            Event::Sample(process, sample) => self.sampled(now, process, &sample),
            Event::Target(process, event) => self.target_event(now, process, event),
            Event::Counted(process, counts) => self.counted(now, process, &counts),
            Event::DumpFinished { id, outcome } => self.dump_finished(now, id, &outcome),
            Event::Tick => {}
        }
        self.complete_step(now)
    }

    /// When [`Event::Tick`] is due. It may turn out that nothing is to be done then. Returns `None` if
    /// nothing is due by time.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Whether some rule would watch a process that has just started.
    pub fn wants(&self, who: &Identity) -> bool {
        self.rules.values().any(|active| active.wants(who, true))
    }

    /// Whether some rule waits for a process that has a name, or takes it.
    pub fn awaits_a_name(&self) -> bool {
        self.rules.values().any(ActiveRule::awaits_a_name)
    }

    /// Whether every rule has done in a process what it was to do there.
    pub fn is_done_with(&self, process: ProcessKey) -> bool {
        let rules = self.processes.get(&process).map(|known| &known.rules[..]);
        let mut active = rules.unwrap_or_default().iter();
        active.all(|rule| {
            self.rules
                .get(rule)
                .is_none_or(|rule| rule.has_done(process))
        })
    }

    /// The name of a process that is known.
    pub fn name_of(&self, process: ProcessKey) -> Option<&str> {
        let process = self.processes.get(&process)?;
        Some(&process.identity.name)
    }

    /// The exceptions that a living process has had so far, most frequent first.
    pub fn exceptions(&self, process: ProcessKey) -> Vec<ExceptionCount> {
        let process = self.processes.get(&process);
        process.map_or_else(Vec::new, |process| process.exceptions.table())
    }

    /// Ends every call from outside: does what is due, ends the rules that are over, and commands what is
    /// needed from now on. Returns all commands.
    fn complete_step(&mut self, now: Time) -> Vec<Command> {
        self.update_deadline();
        while self.deadline.is_some_and(|deadline| deadline <= now) {
            self.run_due(now);
            self.deadline_is_outdated = true;
            self.update_deadline();
        }
        self.finish_rules();
        self.announce_needs();
        self.update_deadline();
        std::mem::take(&mut self.out)
    }
}

#[cfg(test)]
mod tests;
