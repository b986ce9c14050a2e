//! Takes the events in: processes that come and go, samples, and what attached processes do.

use super::{
    Command, RuleId, RuleSet, SuppressReason,
    act::{Cause, CauseKind, ClauseRef},
    process::Process,
};
use crate::{
    Identity, Place, Trigger,
    trigger::{shown_debug_string, shown_exception},
};
use snapshot::{Exception, ProcessKey, Sample, TargetEvent, Time};
use std::collections::HashSet;

impl RuleSet {
    /// Takes in that a process is there. `started` says that it has just started, or called exec.
    pub(super) fn appeared(&mut self, now: Time, identity: Identity, started: bool) {
        let key = identity.key;
        // The same pid with another start time: the earlier process has ended, and nobody reported it.
        let first = ProcessKey {
            pid: key.pid,
            start: 0,
        };
        let last = ProcessKey {
            pid: key.pid,
            start: u64::MAX,
        };
        let before: Vec<_> = self
            .processes
            .range(first..=last)
            .map(|(k, _)| *k)
            .collect();
        before
            .into_iter()
            .filter(|k| *k != key)
            .for_each(|k| self.exited(k));
        match self.processes.get_mut(&key) {
            Some(process) => process.identity = identity,
            None => drop(self.processes.insert(key, Process::new(identity))),
        }
        let rules: Vec<_> = self.rules.keys().copied().collect();
        for rule in rules {
            self.bind_if_wanted(now, rule, key, started);
        }
        if self
            .processes
            .get(&key)
            .is_some_and(|process| !process.was_watched)
        {
            self.processes.remove(&key);
        }
    }

    /// Lets a rule watch a process, if the rule is about it.
    pub(super) fn bind_if_wanted(
        &mut self,
        now: Time,
        rule: RuleId,
        key: ProcessKey,
        started: bool,
    ) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let wanted = |active: &&mut super::ActiveRule| active.wants(&process.identity, started);
        let Some(active) = self.rules.get_mut(&rule).filter(wanted) else {
            return;
        };
        active.bind(now, key);
        process.rules.push(rule);
        if !std::mem::replace(&mut process.was_watched, true) {
            self.out.push(Command::Watch(key));
        }
        self.processes_to_check.insert(key);
        self.rules_to_check.insert(rule);
        self.deadline_is_outdated = true;
    }

    pub(super) fn exited(&mut self, key: ProcessKey) {
        for (rule, active) in &mut self.rules {
            if active.exited(key) {
                self.rules_to_check.insert(*rule);
            }
        }
        let Some(process) = self.processes.remove(&key) else {
            return;
        };
        self.processes_to_check.remove(&key);
        self.deadline_is_outdated = true;
        let table = process.exceptions.table();
        if !table.is_empty() {
            let process = key;
            self.out.push(Command::Exceptions { process, table });
        }
    }

    /// Takes in that the system denies access to a process: no rule watches it any more. It is remembered
    /// until it ends, for the table of its exceptions.
    pub(super) fn refused(&mut self, key: ProcessKey) {
        for (rule, active) in &mut self.rules {
            if active.refuse_ended(key) {
                self.rules_to_check.insert(*rule);
            }
        }
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        for rule in std::mem::take(&mut process.rules) {
            if let Some(active) = self.rules.get_mut(&rule) {
                active.refuse(&process.identity);
            }
            self.rules_to_check.insert(rule);
        }
        self.processes_to_check.insert(key);
        self.deadline_is_outdated = true;
    }

    pub(super) fn sampled(&mut self, now: Time, key: ProcessKey, sample: &Sample) {
        let cpus = self.settings.cpus.max(1);
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        process.cpu.update(sample, cpus);
        let mut held_long_enough = Vec::new();
        for rule in &process.rules {
            if let Some(active) = self.rules.get_mut(rule) {
                let held = |clause, index| held_long_enough.push((*rule, clause, index));
                let deadline = active.sampled(key, sample, &process.cpu, cpus, held);
                self.deadline = self.deadline.into_iter().chain(deadline).min();
            }
        }
        let mut acting = HashSet::new();
        for (rule, clause, index) in held_long_enough {
            let clause_ref = ClauseRef {
                rule,
                clause,
                process: key,
            };
            if acting.contains(&(rule, clause)) {
                self.level_held_too(clause_ref, index);
            } else if self.level_has_held(now, clause_ref, index) {
                acting.insert((rule, clause));
            }
        }
    }

    pub(super) fn target_event(&mut self, now: Time, key: ProcessKey, event: TargetEvent) {
        match &event {
            TargetEvent::Exited { .. } => return self.exited(key),
            TargetEvent::Exception(exception) if !self.exception(now, key, exception) => {
                return self.storm_suppresses(key, &event);
            }
            TargetEvent::DebugString { text } => {
                let text = shown_debug_string(text);
                self.out.push(Command::Log { process: key, text });
            }
            _ => {}
        }
        let last_moment = match &event {
            TargetEvent::Exception(exception) => !exception.first_chance,
            TargetEvent::Exiting { .. } => true,
            _ => false,
        };
        let kind = match last_moment {
            true => CauseKind::LastMoment,
            false => CauseKind::Event,
        };
        let mut taken = Vec::new();
        for (clause_ref, condition, trigger) in self.met_conditions(key, &event) {
            let cause = Cause {
                kind,
                condition,
                trigger: trigger.clone(),
            };
            if let Err(why) = self.act_once(now, clause_ref, cause, &mut taken) {
                self.suppress(clause_ref, trigger, why);
            }
        }
    }

    pub(super) fn counted(&mut self, now: Time, key: ProcessKey, counts: &[(String, u64)]) {
        let limit = self.settings.storm;
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        for (name, count) in counts {
            process.exceptions.add(now, name, *count);
            self.out.extend(process.storm.add(now, *count, limit, key));
        }
        self.deadline_is_outdated = true;
    }

    /// Counts an exception and shows it. Returns whether conditions are judged by it, which they are not
    /// in a storm.
    fn exception(&mut self, now: Time, key: ProcessKey, exception: &Exception) -> bool {
        let limit = self.settings.storm;
        let Some(process) = self.processes.get_mut(&key) else {
            return false;
        };
        process.exceptions.count(now, exception);
        process.crashed |= !exception.first_chance;
        if exception.first_chance {
            let change = process.storm.add(now, 1, limit, key);
            self.deadline_is_outdated |= change.is_some();
            self.out.extend(change);
            if !process.storm.admits() {
                return false;
            }
        }
        let text = shown_exception(exception);
        self.out.push(Command::Log { process: key, text });
        true
    }

    /// Reports that an exception was only counted because of a storm, for each clause that it meets.
    fn storm_suppresses(&mut self, key: ProcessKey, event: &TargetEvent) {
        for (clause_ref, _, trigger) in self.met_conditions(key, event) {
            self.suppress(clause_ref, trigger, SuppressReason::Storm);
        }
    }

    /// The clauses that an event meets, each with the index of its first condition that is met.
    fn met_conditions(
        &self,
        key: ProcessKey,
        event: &TargetEvent,
    ) -> Vec<(ClauseRef, usize, Trigger)> {
        let Some(process) = self.processes.get(&key) else {
            return Vec::new();
        };
        let place = |number: u32| -> Option<&Place> { self.places.get(number as usize) };
        let mut met = Vec::new();
        for &rule in &process.rules {
            let Some(active) = self.rules.get(&rule) else {
                continue;
            };
            for (clause, definition) in active.rule.clauses.iter().enumerate() {
                let mut when = definition.when.iter().enumerate();
                let trigger = |(index, condition)| {
                    let trigger = Trigger::of_event(condition, event, process.crashed, place)?;
                    Some((index, trigger))
                };
                if let Some((index, trigger)) = when.find_map(trigger) {
                    let process = key;
                    met.push((
                        ClauseRef {
                            rule,
                            clause,
                            process,
                        },
                        index,
                        trigger,
                    ));
                }
            }
        }
        met
    }
}
