//! What the loop has to do for the rules from now on, and until when.

use super::{
    Command, Finish, RuleId, RuleSet, WakeFor,
    fire::ClauseRef,
    rules::ActiveRule,
    watch::{State, Watch},
};
use crate::{Action, Condition, Place};
use snapshot::{Measure, ProcessKey, Time};

/// Something that is due.
enum Due {
    Series(ClauseRef),
    Timer(ClauseRef, usize),
    /// A level that may have held long enough.
    Level(ClauseRef, usize),
}

impl RuleSet {
    /// Finds the next deadline, if it may have changed.
    pub(super) fn plan(&mut self) {
        if !self.replan {
            return;
        }
        self.replan = false;
        let storms = self.processes.values().filter_map(|p| p.storm.deadline());
        let rules = self.rules.values().flat_map(ActiveRule::deadlines);
        self.deadline = storms.chain(rules).min();
    }

    /// Does all that is due at `now`, each once.
    pub(super) fn run_due(&mut self, now: Time) {
        let limit = self.settings.storm;
        for (key, process) in &mut self.processes {
            if process
                .storm
                .deadline()
                .is_some_and(|deadline| deadline <= now)
            {
                self.out.extend(process.storm.turn(now, limit, *key));
            }
        }
        let rules = self.rules.iter();
        let due: Vec<_> = rules
            .flat_map(|(id, active)| active.due(*id, now))
            .collect();
        for due in due {
            match due {
                Due::Series(at) => self.series_is_due(now, at),
                Due::Timer(at, index) => self.timer_if_idle(now, at, index),
                Due::Level(at, index) => self.ask(at, index),
            }
        }
    }

    /// Two timers of a clause may be due at once; the first acts for both.
    fn timer_if_idle(&mut self, now: Time, at: ClauseRef, index: usize) {
        let active = self.rules.get(&at.rule);
        let watch = active.and_then(|active| active.watch(at.process, at.clause));
        let due = watch.filter(|watch| !watch.is_busy()).is_some_and(|watch| {
            matches!(watch.states[index], State::Timer(timer)
                if timer.deadline().is_some_and(|deadline| deadline <= now))
        });
        if due {
            self.timer_is_due(now, at, index);
        }
    }

    /// A level has to be looked at again before its next regular sample.
    fn ask(&mut self, at: ClauseRef, index: usize) {
        let active = self.rules.get_mut(&at.rule);
        let watch = active.and_then(|active| active.watch_mut(at.process, at.clause));
        if let Some((watch, _)) = watch
            && let State::Level(level) = &mut watch.states[index]
        {
            level.asked = true;
        }
        let command = Command::SampleNow(at.process);
        if !self.out.contains(&command) {
            self.out.push(command);
        }
    }

    /// Ends the rules that have nothing left to do.
    pub(super) fn finish_rules(&mut self) {
        for rule in std::mem::take(&mut self.check) {
            let why = self.rules.get(&rule).and_then(ActiveRule::is_finished);
            if let Some(why) = why {
                self.finish(rule, why);
            }
        }
    }

    pub(super) fn finish(&mut self, rule: RuleId, why: Finish) {
        let Some(active) = self.rules.get_mut(&rule).filter(|active| !active.finished) else {
            return;
        };
        active.finished = true;
        let dumps = active.dumps.done;
        for key in std::mem::take(&mut active.watches).into_keys() {
            if let Some(process) = self.processes.get_mut(&key) {
                process.rules.retain(|other| *other != rule);
            }
            self.stale.insert(key);
        }
        self.replan = true;
        self.out.push(Command::RuleFinished { rule, why, dumps });
    }

    /// Says what is needed of each process, where that has changed.
    pub(super) fn tell_needs(&mut self) {
        for key in std::mem::take(&mut self.stale) {
            let (measures, wake) = self.needs(key);
            let every = self.settings.poll;
            let Some(process) = self.processes.get_mut(&key) else {
                continue;
            };
            if process.told.0 != measures {
                let (process, measures) = (process.key(), measures.clone());
                let sample = Command::Sample {
                    process,
                    measures,
                    every,
                };
                self.out.push(sample);
            }
            if process.told.1 != wake {
                let (process, wake) = (process.key(), wake.clone());
                self.out.push(match wake.is_empty() {
                    true => Command::Detach(process),
                    false => Command::Attach { process, wake },
                });
            }
            process.told = (measures, wake);
        }
    }

    fn needs(&mut self, key: ProcessKey) -> (Vec<Measure>, WakeFor) {
        let mut measures = Vec::new();
        let mut wake = WakeFor::default();
        let rules = self.processes.get(&key).map(|p| &p.rules[..]);
        for rule in rules.unwrap_or_default() {
            let Some(active) = self.rules.get(rule) else {
                continue;
            };
            for (clause, text) in active.rule.clauses.iter().enumerate() {
                if active.is_done(clause, key) {
                    continue;
                }
                for condition in &text.when {
                    if let Condition::Holds { all, .. } = condition {
                        measures.extend(all.iter().map(crate::Level::measure));
                    }
                    wake.add(condition, &mut self.places);
                    wake.acts |= condition.needs_attachment() && text.action != Action::None;
                }
            }
        }
        measures.sort();
        measures.dedup();
        (measures, wake)
    }
}

impl ActiveRule {
    fn deadlines(&self) -> impl Iterator<Item = Time> {
        let clauses = &self.rule.clauses;
        self.watches.values().flat_map(move |watches| {
            let watches = watches.iter().zip(clauses);
            watches.flat_map(|(watch, clause)| watch.deadlines(clause))
        })
    }

    fn due(&self, rule: RuleId, now: Time) -> Vec<Due> {
        let mut due = Vec::new();
        for (process, watches) in &self.watches {
            for (clause, watch) in watches.iter().enumerate() {
                let process = *process;
                let at = ClauseRef {
                    rule,
                    clause,
                    process,
                };
                self.due_of(watch, at, now, &mut due);
            }
        }
        due
    }

    fn due_of(&self, watch: &Watch, at: ClauseRef, now: Time, due: &mut Vec<Due>) {
        let is_due = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        if let Some(series) = &watch.series {
            due.extend(is_due(series.next.deadline()).then_some(Due::Series(at)));
        }
        if watch.is_busy() {
            return;
        }
        let when = &self.rule.clauses[at.clause].when;
        for (index, (state, condition)) in watch.states.iter().zip(when).enumerate() {
            match (state, condition) {
                (State::Timer(timer), _) if is_due(timer.deadline()) => {
                    due.push(Due::Timer(at, index));
                }
                (State::Level(level), Condition::Holds { lasting, .. })
                    if is_due(level.deadline(*lasting)) =>
                {
                    due.push(Due::Level(at, index));
                }
                _ => {}
            }
        }
    }
}

impl WakeFor {
    /// Adds what a condition needs. A new breakpoint gets a number in `places`.
    fn add(&mut self, condition: &Condition, places: &mut Vec<Place>) {
        match condition {
            Condition::Exception(filter) => add(&mut self.exceptions, filter),
            Condition::Signal(number) => add(&mut self.signals, number),
            Condition::Breakpoint(place) => {
                let known = places.iter().position(|p| p == place);
                let number = known.unwrap_or_else(|| {
                    places.push(place.clone());
                    places.len() - 1
                });
                add(&mut self.breakpoints, &(number as u32, place.clone()));
            }
            Condition::ModuleLoad(filter) => add(&mut self.module_loads, filter),
            Condition::ModuleUnload(filter) => add(&mut self.module_unloads, filter),
            Condition::ThreadStart => self.thread_starts = true,
            Condition::ThreadExit => self.thread_exits = true,
            Condition::DebugString(filter) => add(&mut self.debug_strings, filter),
            Condition::Exit => self.exit = true,
            Condition::Holds { .. } | Condition::Now | Condition::Every(_) => {}
        }
    }
}

fn add<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) {
    if !list.contains(item) {
        list.push(item.clone());
    }
}
