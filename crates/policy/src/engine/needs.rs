//! What the loop has to do for the rules from now on, and until when.

use super::{
    Command, Finish, RuleId, RuleSet, WakeFor,
    fire::Spot,
    rules::Ruled,
    watch::{State, Watch},
};
use crate::{Action, Condition, Place};
use snapshot::{Measure, ProcessKey, Time};

/// Something that is due.
enum Due {
    Series(Spot),
    Timer(Spot, usize),
    /// A level that may have held long enough.
    Level(Spot, usize),
}

impl RuleSet {
    /// Finds the next deadline, if it may have changed.
    pub(super) fn plan(&mut self) {
        if !self.replan {
            return;
        }
        self.replan = false;
        let storms = self.processes.values().filter_map(|p| p.storm.deadline());
        let rules = self.rules.values().flat_map(Ruled::deadlines);
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
        let due: Vec<_> = rules.flat_map(|(id, ruled)| ruled.due(*id, now)).collect();
        for due in due {
            match due {
                Due::Series(spot) => self.series_is_due(now, spot),
                Due::Timer(spot, index) => self.timer_if_idle(now, spot, index),
                Due::Level(spot, index) => self.ask(spot, index),
            }
        }
    }

    /// Two timers of a clause may be due at once; the first acts for both.
    fn timer_if_idle(&mut self, now: Time, spot: Spot, index: usize) {
        let ruled = self.rules.get(&spot.rule);
        let watch = ruled.and_then(|ruled| ruled.watch(spot.process, spot.clause));
        let due = watch.filter(|watch| !watch.is_busy()).is_some_and(|watch| {
            matches!(watch.states[index], State::Timer(timer)
                if timer.deadline().is_some_and(|deadline| deadline <= now))
        });
        if due {
            self.timer_is_due(now, spot, index);
        }
    }

    /// A level has to be looked at again before its next regular sample.
    fn ask(&mut self, spot: Spot, index: usize) {
        let ruled = self.rules.get_mut(&spot.rule);
        let watch = ruled.and_then(|ruled| ruled.watch_mut(spot.process, spot.clause));
        if let Some((watch, _)) = watch
            && let State::Level(level) = &mut watch.states[index]
        {
            level.asked = true;
        }
        let command = Command::SampleNow(spot.process);
        if !self.out.contains(&command) {
            self.out.push(command);
        }
    }

    /// Ends the rules that have nothing left to do.
    pub(super) fn finish_rules(&mut self) {
        for rule in std::mem::take(&mut self.check) {
            let why = self.rules.get(&rule).and_then(Ruled::is_finished);
            if let Some(why) = why {
                self.finish(rule, why);
            }
        }
    }

    pub(super) fn finish(&mut self, rule: RuleId, why: Finish) {
        let Some(ruled) = self.rules.get_mut(&rule).filter(|ruled| !ruled.finished) else {
            return;
        };
        ruled.finished = true;
        let dumps = ruled.dumps.done;
        for key in std::mem::take(&mut ruled.watches).into_keys() {
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
            let Some(ruled) = self.rules.get(rule) else {
                continue;
            };
            for (clause, text) in ruled.rule.clauses.iter().enumerate() {
                if ruled.is_done(clause, key) {
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

impl Ruled {
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
                let spot = Spot {
                    rule,
                    clause,
                    process,
                };
                self.due_of(watch, spot, now, &mut due);
            }
        }
        due
    }

    fn due_of(&self, watch: &Watch, spot: Spot, now: Time, due: &mut Vec<Due>) {
        let is_due = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        if let Some(series) = &watch.series {
            due.extend(is_due(series.next.deadline()).then_some(Due::Series(spot)));
        }
        if watch.is_busy() {
            return;
        }
        let when = &self.rule.clauses[spot.clause].when;
        for (index, (state, condition)) in watch.states.iter().zip(when).enumerate() {
            match (state, condition) {
                (State::Timer(timer), _) if is_due(timer.deadline()) => {
                    due.push(Due::Timer(spot, index));
                }
                (State::Level(level), Condition::Holds { lasting, .. })
                    if is_due(level.deadline(*lasting)) =>
                {
                    due.push(Due::Level(spot, index));
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
