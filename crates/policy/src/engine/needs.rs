//! What the loop has to do for the rules: which values to sample of each process, and which events to
//! attach to it for. It is told only where that has changed.

use super::{Command, RuleSet, WakeFor};
use crate::{Action, Condition, Place};
use snapshot::{Measure, ProcessKey};

impl RuleSet {
    /// Commands what is needed of each process from now on, where that has changed.
    pub(super) fn announce_needs(&mut self) {
        for key in std::mem::take(&mut self.processes_to_check) {
            let (measures, wake) = self.needs(key);
            let every = self.settings.poll;
            let Some(process) = self.processes.get_mut(&key) else {
                continue;
            };
            if process.announced.0 != measures {
                let (process, measures) = (process.key(), measures.clone());
                let sample = Command::Sample {
                    process,
                    measures,
                    every,
                };
                self.out.push(sample);
            }
            if process.announced.1 != wake {
                let (process, wake) = (process.key(), wake.clone());
                self.out.push(match wake.is_empty() {
                    true => Command::Detach(process),
                    false => Command::Attach { process, wake },
                });
            }
            process.announced = (measures, wake);
        }
    }

    /// What the rules need of a process: the clauses that can still act decide.
    fn needs(&mut self, key: ProcessKey) -> (Vec<Measure>, WakeFor) {
        let mut measures = Vec::new();
        let mut wake = WakeFor::default();
        let rules = self.processes.get(&key).map(|p| &p.rules[..]);
        for rule in rules.unwrap_or_default() {
            let Some(active) = self.rules.get(rule) else {
                continue;
            };
            for (clause, definition) in active.rule.clauses.iter().enumerate() {
                if active.is_done(clause, key) {
                    continue;
                }
                for condition in &definition.when {
                    measures.extend(condition.measures());
                    wake.add(condition, &mut self.places);
                    wake.acts |= condition.needs_attachment() && definition.action != Action::None;
                }
            }
        }
        measures.sort();
        measures.dedup();
        (measures, wake)
    }
}

impl WakeFor {
    /// Adds the events that a condition needs. A breakpoint is reported under its index in `places`; a
    /// new one is added there.
    fn add(&mut self, condition: &Condition, places: &mut Vec<Place>) {
        match condition {
            Condition::Exception(filter) => add(&mut self.exceptions, filter),
            Condition::Signal(number) => add(&mut self.signals, number),
            Condition::Breakpoint(place) => {
                let existing = places.iter().position(|p| p == place);
                let number = existing.unwrap_or_else(|| {
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
