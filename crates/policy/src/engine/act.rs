//! From a condition that is met to the clause's action, and back when the action has ended.
//!
//! A clause that is met acts only if its limits, the dumps that are still being written and the pause
//! after a failure allow it. An action is counted when it begins, and is taken back if it fails.

use super::{
    Command, DumpId, DumpRequest, Note, Outcome, RuleId, RuleSet, SuppressReason, Suppressed,
    active_rule::Asker,
    clause_watch::{ClauseWatch, RunningSeries, Timer},
};
use crate::{Action, Clause, Trigger};
use snapshot::{DumpKind, ProcessKey, Time};

/// Names one clause of one rule in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClauseRef {
    pub(super) rule: RuleId,
    /// The index of the clause in its rule.
    pub(super) clause: usize,
    pub(super) process: ProcessKey,
}

impl ClauseRef {
    /// A condition of the clause, by its index.
    pub(super) fn asker(self, condition: usize) -> Asker {
        Asker {
            process: self.process,
            clause: self.clause,
            condition,
        }
    }
}

/// Why a clause is to act.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) kind: CauseKind,
    /// The index, in its clause, of the condition that was met.
    pub(super) condition: usize,
    pub(super) trigger: Trigger,
}

/// Whether an action can be put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CauseKind {
    /// A level or a timer: the action can be tried again later.
    CanWait,
    /// The timer of a running series: the action belongs to one that was counted already.
    Series,
    /// Something happens now, and the target stands still for it.
    Event,
    /// As `Event`, and the process is about to die: there is no later.
    LastMoment,
}

impl Cause {
    pub(super) fn that_can_wait(condition: usize, trigger: Trigger) -> Self {
        Self {
            kind: CauseKind::CanWait,
            condition,
            trigger,
        }
    }
}

/// A dump that was requested and whose end was not reported yet.
#[derive(Debug)]
pub(super) struct PendingDump {
    clause_ref: ClauseRef,
    /// Whether it counts as one action of its clause: the dumps of a series after its first do not.
    counts: bool,
    /// The number of its files, one for each kind.
    files: u32,
    trigger: Trigger,
    /// Other clauses that the same event has met, and for which the dump is one too.
    pub(super) also: Vec<ClauseRef>,
}

impl RuleSet {
    /// Does what the clause says, or returns why it may not be done now.
    pub(super) fn act_if_allowed(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        cause: Cause,
    ) -> Result<(), SuppressReason> {
        let in_series = cause.kind == CauseKind::Series;
        let Some((watch, clause)) = self.watch_mut(clause_ref) else {
            return Ok(());
        };
        let action = match (&watch.series, &clause.series) {
            (Some(running), Some(series)) if in_series && running.taken >= series.count => {
                series.then.clone().unwrap_or(Action::None)
            }
            _ => clause.action.clone(),
        };
        let behind = self.may_act(now, clause_ref, &cause, &action)?;
        self.count_action(clause_ref, &cause);
        self.act(now, clause_ref, cause, &action, behind);
        Ok(())
    }

    /// The state of a clause in a process, with the clause. Returns `None` if the rule does not watch
    /// that process (any more).
    pub(super) fn watch_mut(
        &mut self,
        clause_ref: ClauseRef,
    ) -> Option<(&mut ClauseWatch, &Clause)> {
        let active = self.rules.get_mut(&clause_ref.rule)?;
        active.watch_mut(clause_ref.process, clause_ref.clause)
    }

    /// Checks that a clause may act now. Returns the dump that the new one has to wait for, or `None`
    /// if it can begin at once.
    fn may_act(
        &self,
        now: Time,
        clause_ref: ClauseRef,
        cause: &Cause,
        action: &Action,
    ) -> Result<Option<DumpId>, SuppressReason> {
        let kind = cause.kind;
        let ClauseRef {
            rule,
            clause,
            process,
        } = clause_ref;
        let active = &self.rules[&rule];
        let in_series = kind == CauseKind::Series;
        let asker = clause_ref.asker(cause.condition);
        if let Some(why) = active.limit_reached(now, asker, action, in_series) {
            return Err(why);
        }
        let watch = active.watch(process, clause);
        let pauses = watch.and_then(|watch| watch.pauses(now));
        if let Some(why) = pauses.filter(|_| kind != CauseKind::LastMoment) {
            return Err(why);
        }
        if kind == CauseKind::Event && watch.is_some_and(|watch| watch.series.is_some()) {
            return Err(SuppressReason::Busy);
        }
        match action.kinds().is_empty() {
            true => Ok(None),
            false => self.dump_to_wait_for(rule, process, kind),
        }
    }

    /// The dump of the same process that a new one has to wait for, or `None` if it can begin at once.
    /// Fails if too many are being written and the cause is none to wait for.
    fn dump_to_wait_for(
        &self,
        rule: RuleId,
        process: ProcessKey,
        kind: CauseKind,
    ) -> Result<Option<DumpId>, SuppressReason> {
        let limits = &self.rules[&rule].rule.limits;
        let pending = self.dumps.iter().rev();
        let mut pending = pending.filter(|(_, dump)| dump.clause_ref.process == process);
        let last = pending.next().map(|(id, _)| *id);
        let count = 1 + pending.count();
        let waits = match kind {
            CauseKind::CanWait | CauseKind::Series => false,
            CauseKind::Event => !limits.avoid_outage,
            CauseKind::LastMoment => true,
        };
        match last {
            None => Ok(None),
            Some(_) if count < limits.concurrent.max(1) as usize => Ok(None),
            Some(last) if waits => Ok(Some(last)),
            Some(_) => Err(SuppressReason::Busy),
        }
    }

    /// Counts an action that begins. If the clause has a series, the series begins with it.
    pub(super) fn count_action(&mut self, clause_ref: ClauseRef, cause: &Cause) {
        let Some(active) = self.rules.get_mut(&clause_ref.rule) else {
            return;
        };
        let in_series = cause.kind == CauseKind::Series;
        if !in_series {
            active.acted[clause_ref.clause].begin(1);
        }
        let Some((watch, clause)) = active.watch_mut(clause_ref.process, clause_ref.clause) else {
            return;
        };
        watch.forget_suppressed();
        watch.takes_turn(cause.condition);
        match (&mut watch.series, in_series) {
            (Some(running), true) => running.taken += 1,
            (None, false) => {
                watch.acted += 1;
                watch.series = clause.series.as_ref().map(|_| RunningSeries {
                    taken: 1,
                    next: Timer::default(),
                    condition: cause.condition,
                    trigger: cause.trigger.clone(),
                });
            }
            _ => watch.acted += u32::from(!in_series),
        }
    }

    /// Commands the action. What is no dump ends at once, and well.
    fn act(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        cause: Cause,
        action: &Action,
        behind: Option<DumpId>,
    ) {
        let counts = cause.kind != CauseKind::Series;
        if let Action::Dump(kinds) = action {
            return self.request_dump(now, clause_ref, cause, kinds.clone(), behind);
        }
        let note = Note {
            process: clause_ref.process,
            rule: clause_ref.rule,
            clause: clause_ref.clause,
            trigger: cause.trigger,
        };
        match action {
            Action::LogStack => self.out.push(Command::LogStack(note)),
            Action::LogException => self.out.push(Command::LogException(note)),
            Action::Run(program) => self.out.push(Command::Run {
                program: program.clone(),
                note,
            }),
            Action::None => self.out.push(Command::Tell(note)),
            Action::Dump(_) => {}
        }
        self.action_ended(now, clause_ref, counts, false, &Outcome::Written);
    }

    fn request_dump(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        cause: Cause,
        kinds: Vec<DumpKind>,
        behind: Option<DumpId>,
    ) {
        self.next_dump += 1;
        let id = DumpId(self.next_dump);
        let Some(active) = self.rules.get_mut(&clause_ref.rule) else {
            return;
        };
        let files = kinds.len() as u32;
        let number_of_process = active.files_of(clause_ref.process) + 1;
        let asker = clause_ref.asker(cause.condition);
        let number = active.begin_dump(now, (id, asker), files);
        if let Some((watch, clause)) = active.watch_mut(clause_ref.process, clause_ref.clause) {
            watch.in_flight += 1;
            watch.files += files;
            if watch.slots > 1 && watch.series.is_none() {
                // With several dumps at once, time goes on while one is written.
                watch.restart(now, clause, true);
            }
        }
        let counts = cause.kind != CauseKind::Series;
        let dump = PendingDump {
            clause_ref,
            counts,
            files,
            trigger: cause.trigger.clone(),
            also: Vec::new(),
        };
        self.dumps.insert(id, dump);
        self.deadline_is_outdated = true;
        self.out.push(Command::Dump(DumpRequest {
            id,
            process: clause_ref.process,
            kinds,
            trigger: cause.trigger,
            rule: clause_ref.rule,
            clause: clause_ref.clause,
            condition: cause.condition,
            number,
            number_of_process,
            behind,
        }));
    }

    pub(super) fn dump_finished(&mut self, now: Time, id: DumpId, outcome: &Outcome) {
        let Some(PendingDump {
            clause_ref,
            counts,
            files,
            trigger,
            also,
        }) = self.dumps.remove(&id)
        else {
            return;
        };
        let succeeded = *outcome == Outcome::Written;
        if let Some(active) = self.rules.get_mut(&clause_ref.rule) {
            active.end_dump(id, files, succeeded);
            if !succeeded && *outcome != Outcome::Skipped {
                active.failed_last = Some(clause_ref.process);
            }
        }
        if let Some((watch, _)) = self.watch_mut(clause_ref).filter(|_| !succeeded) {
            watch.files = watch.files.saturating_sub(files);
        }
        let others = also.into_iter().map(|other| (other, true));
        for (clause_ref, counts) in std::iter::once((clause_ref, counts)).chain(others) {
            if let Some((watch, _)) = self.watch_mut(clause_ref) {
                watch.in_flight = watch.in_flight.saturating_sub(1);
            }
            self.action_ended(now, clause_ref, counts, true, outcome);
            if let Some(active) = self.rules.get_mut(&clause_ref.rule) {
                active.judge_ended(clause_ref.process);
            }
        }
        let watches = self
            .rules
            .values_mut()
            .flat_map(|active| active.watches.values_mut());
        watches.flatten().for_each(ClauseWatch::unblock);
        let watch = self.watch_mut(clause_ref);
        let skipped = watch.filter(|_| *outcome == Outcome::Skipped);
        if let Some(why) = skipped.and_then(|(watch, _)| watch.pauses(now)) {
            self.suppress(clause_ref, trigger, why);
        }
    }

    /// Takes the end of an action in: the clause begins anew, or its series goes on.
    fn action_ended(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        counts: bool,
        is_dump: bool,
        outcome: &Outcome,
    ) {
        let succeeded = *outcome == Outcome::Written;
        self.deadline_is_outdated = true;
        self.processes_to_check.insert(clause_ref.process);
        self.rules_to_check.insert(clause_ref.rule);
        let Some(active) = self.rules.get_mut(&clause_ref.rule) else {
            return;
        };
        if counts {
            active.acted[clause_ref.clause].end(1, succeeded);
        }
        if !active.rule.limits.is_unlimited() {
            // A limit of the rule may be reached now, so that its other processes need less.
            self.processes_to_check.extend(active.watches.keys());
        }
        let Some((watch, clause)) = active.watch_mut(clause_ref.process, clause_ref.clause) else {
            return;
        };
        watch.action_ended(now, outcome);
        if counts && !succeeded {
            watch.acted = watch.acted.saturating_sub(1);
            watch.series = None;
        }
        watch.continue_series(now, clause);
        let restarted = is_dump && watch.slots > 1 && succeeded;
        if !watch.is_busy() && !restarted {
            watch.restart(now, clause, succeeded);
        }
    }

    /// Reports that a trigger did nothing, at the 1st, 10th, 100th … time in a row.
    pub(super) fn suppress(
        &mut self,
        clause_ref: ClauseRef,
        trigger: Trigger,
        why: SuppressReason,
    ) {
        let watch = self.watch_mut(clause_ref);
        let Some(times) = watch.and_then(|(watch, _)| watch.count_suppressed(why)) else {
            return;
        };
        self.out.push(Command::Suppressed(Suppressed {
            process: clause_ref.process,
            rule: clause_ref.rule,
            clause: clause_ref.clause,
            trigger,
            why,
            times,
        }));
    }
}
