//! The end of rules: when a clause, and when a whole rule, will never do anything any more.

use super::{
    Command, FinishReason, RuleId, RuleSet, active_rule::ActiveRule, clause_watch::ClauseWatch,
};
use crate::{Action, Follow, Scope, Target};
use snapshot::ProcessKey;

impl RuleSet {
    /// Ends the rules that have nothing left to do.
    pub(super) fn finish_rules(&mut self) {
        for rule in std::mem::take(&mut self.rules_to_check) {
            let why = self.rules.get(&rule).and_then(ActiveRule::finish_reason);
            if let Some(why) = why {
                self.finish(rule, why);
            }
        }
    }

    /// Ends a rule: it watches no process any more. Does nothing if it has ended already.
    pub(super) fn finish(&mut self, rule: RuleId, why: FinishReason) {
        let Some(active) = self.rules.get_mut(&rule).filter(|active| !active.finished) else {
            return;
        };
        active.finished = true;
        let dumps = active.dumps.done;
        for key in std::mem::take(&mut active.watches).into_keys() {
            if let Some(process) = self.processes.get_mut(&key) {
                process.rules.retain(|other| *other != rule);
            }
            self.processes_to_check.insert(key);
        }
        self.deadline_is_outdated = true;
        self.out.push(Command::RuleFinished { rule, why, dumps });
    }
}

impl ActiveRule {
    /// Whether a clause will certainly never act again in `process`. An action in progress may still
    /// fail and be tried again.
    pub(super) fn is_done(&self, clause: usize, process: ProcessKey) -> bool {
        let definition = &self.rule.clauses[clause];
        let Some(watch) = self.watch(process, clause) else {
            return true;
        };
        let process_limit = definition.limit.is_some_and(|limit| {
            let done = watch.acted.saturating_sub(watch.in_flight);
            limit.scope == Scope::Process && done >= limit.times
        });
        process_limit || self.reached_its_limit(clause) || watch.can_never_act(definition)
    }

    /// Whether a clause has reached a limit that counts all processes together.
    fn reached_its_limit(&self, clause: usize) -> bool {
        let definition = &self.rule.clauses[clause];
        let acted = self.acted[clause].done;
        let limit = definition.limit.filter(|limit| limit.scope == Scope::Rule);
        let max = self.rule.limits.max_dumps;
        let dumps = !definition.action.kinds().is_empty();
        limit.is_some_and(|limit| acted >= limit.times)
            || (dumps && max.is_some_and(|max| self.dumps.done >= max))
    }

    /// Why the rule is over. Returns `None` if it is not, or if its end was reported already.
    fn finish_reason(&self) -> Option<FinishReason> {
        let idle = self.watches.values().flatten().all(ClauseWatch::is_idle);
        if self.finished || self.dumps.in_progress > 0 || !idle {
            return None;
        }
        let clauses = self.deciding_clauses();
        if clauses.iter().all(|clause| self.reached_its_limit(*clause)) {
            return Some(FinishReason::CountReached);
        }
        if !self.ends_with_its_process() || !self.had_process {
            return None;
        }
        if self.watches.is_empty() && self.restored.is_empty() {
            return self.why_without_process();
        }
        let is_over = !self.watches.is_empty() && self.watches.keys().all(|p| self.has_done(*p));
        let has_acted = self.acted.iter().any(|count| count.done > 0);
        let why_over = || match has_acted {
            true => FinishReason::CountReached,
            false => FinishReason::Failed,
        };
        is_over.then(|| self.what_a_group_lacks().unwrap_or_else(why_over))
    }

    /// Why a rule is over whose processes have all ended. Returns `None` if it waits for the next one.
    fn why_without_process(&self) -> Option<FinishReason> {
        let waits = self.rule.follow == Follow::All && !self.is_about_a_group();
        let lack = self.what_a_group_lacks();
        match () {
            () if lack.is_some() => lack,
            () if self.one_had_done => Some(FinishReason::CountReached),
            () if self.refused => Some(FinishReason::Refused),
            () if waits => None,
            () => Some(FinishReason::TargetExited),
        }
    }

    /// Why not each process of a group had what the rule asks for. Of a name, one that had it is enough.
    fn what_a_group_lacks(&self) -> Option<FinishReason> {
        let is_of_all = self.rule.follow == Follow::All && self.is_about_a_group();
        match (self.refused, self.one_lacked) {
            _ if !is_of_all => None,
            (true, _) => Some(FinishReason::Refused),
            (false, true) => Some(FinishReason::TargetExited),
            (false, false) => None,
        }
    }

    /// Whether a process that has ended had all that the rule asks for, and not only the chance of it.
    pub(super) fn had_all(&self, process: ProcessKey) -> bool {
        let mut clauses = self.deciding_clauses().into_iter();
        let has_acted = |clause| {
            self.watch(process, clause)
                .is_some_and(|watch| watch.acted > 0)
        };
        self.has_done(process) && clauses.any(has_acted)
    }

    /// Whether a process has done all that the rule asks of it.
    pub(super) fn has_done(&self, process: ProcessKey) -> bool {
        let clauses = self.deciding_clauses();
        clauses.iter().all(|clause| self.is_done(*clause, process))
    }

    fn is_about_a_group(&self) -> bool {
        matches!(self.rule.target, Target::Group(_))
    }

    /// The clauses that decide whether the rule is over: those that do something or have a limit, or
    /// all if there are none of these. A rule does not go on for clauses that only show events.
    fn deciding_clauses(&self) -> Vec<usize> {
        let all = 0..self.rule.clauses.len();
        let clauses = &self.rule.clauses;
        let acts = |clause: &usize| {
            let clause = &clauses[*clause];
            clause.action != Action::None || clause.limit.is_some()
        };
        let acting: Vec<usize> = all.clone().filter(acts).collect();
        match acting.is_empty() {
            true => all.collect(),
            false => acting,
        }
    }

    /// Whether the rule is about processes that should be running now, and has not found one.
    pub(super) fn lacks_its_process(&self) -> bool {
        self.rule.follow != Follow::Next && self.ends_with_its_process() && !self.had_process
    }

    /// Whether the rule ends with the processes that it watches.
    pub(super) fn ends_with_its_process(&self) -> bool {
        self.rule.follow != Follow::Each || self.rule.target.is_single()
    }
}
