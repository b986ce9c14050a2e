use super::{DumpId, Finish, Why, process::Rate, state::ClauseState, watch::Watch};
use crate::{Action, Clause, Follow, Identity, Rule, Scope};
use snapshot::{ProcessKey, Sample, Time};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// A rule at work.
#[derive(Debug)]
pub(super) struct ActiveRule {
    pub(super) rule: Rule,
    /// For each process it watches, how each clause stands.
    pub(super) watches: BTreeMap<ProcessKey, Vec<Watch>>,
    /// For each clause, how often it acted.
    pub(super) fired: Vec<Count>,
    /// Its dumps.
    pub(super) dumps: Count,
    /// When its dumps began, those not forgotten by any window.
    pub(super) starts: VecDeque<Start>,
    /// How far it had come with processes that have not been found again, before the program was
    /// started anew.
    pub(super) known: BTreeMap<ProcessKey, Vec<ClauseState>>,
    /// Whether it ever had a process.
    pub(super) had_process: bool,
    /// Whether a process that it was about may not be touched.
    refused: bool,
    /// Processes that may not be touched and have not ended, each with the program that it was.
    passed_over: BTreeMap<ProcessKey, String>,
    pub(super) finished: bool,
}

/// Things done, and things begun of which nobody knows yet how they end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) done: u32,
    pub(super) begun: u32,
}

impl Count {
    pub(super) fn all(self) -> u32 {
        self.done.saturating_add(self.begun)
    }

    pub(super) fn begin(&mut self) {
        self.begun = self.begun.saturating_add(1);
    }

    pub(super) fn end(&mut self, well: bool) {
        self.begun = self.begun.saturating_sub(1);
        self.done = self.done.saturating_add(u32::from(well));
    }
}

/// When a dump began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// Which; `None` of one that a run before this one has taken.
    id: Option<DumpId>,
    at: Time,
    /// How much earlier than `at` it was: before this run's clock began.
    earlier: Duration,
}

impl Start {
    /// One of a run before this one, so long ago.
    pub(super) fn ago(now: Time, age: Duration) -> Self {
        Self {
            id: None,
            at: Time(now.0.saturating_sub(age)),
            earlier: age.saturating_sub(now.0),
        }
    }

    pub(super) fn age(self, now: Time) -> Duration {
        now.since(self.at) + self.earlier
    }

    /// When it leaves a window of this length.
    fn leaves(self, within: Duration) -> Time {
        self.at + within.saturating_sub(self.earlier)
    }
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            watches: BTreeMap::new(),
            fired: vec![Count::default(); rule.clauses.len()],
            dumps: Count::default(),
            starts: VecDeque::new(),
            known: BTreeMap::new(),
            had_process: false,
            refused: false,
            passed_over: BTreeMap::new(),
            finished: false,
            rule,
        }
    }

    /// Whether the rule is about a process that it does not watch yet.
    pub(super) fn wants(&self, who: &Identity, started: bool) -> bool {
        if self.finished || self.watches.contains_key(&who.key) {
            return false;
        }
        let parent = |process: &ProcessKey| process.pid == who.parent;
        if self.rule.children && self.watches.keys().any(parent) {
            return true;
        }
        let is_known = self.known.contains_key(&who.key);
        let free = is_known || !(self.is_for_one() && self.had_process);
        let late_enough = started || is_known || self.rule.follow != Follow::Next;
        free && late_enough && !self.passes_over(who) && self.rule.target.matches(who)
    }

    /// Situation: where the machine loses reports of processes that start, it reports all that
    /// there are. One that may not be touched is not tried again for that, but is once it has
    /// executed another program.
    fn passes_over(&self, who: &Identity) -> bool {
        self.passed_over.get(&who.key) == Some(&who.image)
    }

    pub(super) fn bind(&mut self, now: Time, process: ProcessKey) {
        let watches = self
            .rule
            .clauses
            .iter()
            .map(|c| Watch::new(now, c, self.rule.limits.concurrent));
        self.watches.insert(process, watches.collect());
        self.had_process = true;
        self.resume(now, process);
    }

    /// A process is gone; whether that may be the end of the rule.
    pub(super) fn exited(&mut self, process: ProcessKey) -> bool {
        self.passed_over.remove(&process);
        let was_known = self.known.remove(&process).is_some();
        self.watches.remove(&process).is_some() || was_known
    }

    /// It is not about this process any more, which may not be touched.
    pub(super) fn refuse(&mut self, who: &Identity) {
        if self.watches.remove(&who.key).is_some() {
            self.refused = true;
            self.passed_over.insert(who.key, who.image.clone());
        }
    }

    /// Takes a sample of a process in, and says which condition of which clause has `held` long
    /// enough; the earliest of the deadlines that this made.
    pub(super) fn sampled(
        &mut self,
        process: ProcessKey,
        sample: &Sample,
        cpu: &Rate,
        cpus: u32,
        mut held: impl FnMut(usize, usize),
    ) -> Option<Time> {
        let mut earliest: Option<Time> = None;
        let watches = self.watches.get_mut(&process).into_iter().flatten();
        for (clause, (watch, text)) in watches.zip(&self.rule.clauses).enumerate() {
            for (index, level, all, lasting) in watch.levels(text) {
                let deadline = level.update(all, lasting, sample, cpu, cpus);
                earliest = earliest.into_iter().chain(deadline).min();
                if level.has_held(sample.at, lasting) {
                    held(clause, index);
                }
            }
        }
        earliest
    }

    /// Why a clause may not act at `now`; `None`: it may. An action within a series was counted
    /// with the first one.
    pub(super) fn forbids(
        &self,
        now: Time,
        clause: usize,
        process: ProcessKey,
        action: &Action,
        in_series: bool,
    ) -> Option<Why> {
        if let Some(limit) = self.rule.clauses[clause].limit.filter(|_| !in_series) {
            let watch = self.watch(process, clause);
            let fired = match limit.scope {
                Scope::Rule => self.fired[clause].all(),
                Scope::Process => watch.map_or(0, |watch| watch.fired),
            };
            if fired >= limit.times {
                return Some(Why::ClauseLimit(limit.times));
            }
        }
        if action.kinds().is_empty() {
            return None;
        }
        let limits = &self.rule.limits;
        if let Some(max) = limits.max_dumps.filter(|max| self.dumps.all() >= *max) {
            return Some(Why::RuleLimit(max));
        }
        let mut windows = limits.windows.iter();
        let full = windows.find(|w| self.started_within(now, w.within) >= w.count as usize);
        full.map(|window| Why::Window(*window))
    }

    /// When the windows let another dump pass; `None`: never.
    pub(super) fn opens(&self, now: Time) -> Option<Time> {
        let mut opens = now;
        for window in &self.rule.limits.windows {
            let within = self.started_within(now, window.within);
            if within >= window.count as usize {
                let last = self.starts.len().checked_sub(window.count as usize)?;
                opens = opens.max(self.starts.get(last)?.leaves(window.within));
            }
        }
        Some(opens)
    }

    fn started_within(&self, now: Time, within: Duration) -> usize {
        let recent = |start: &&Start| start.age(now) < within;
        self.starts.iter().rev().take_while(recent).count()
    }

    /// A dump begins.
    pub(super) fn begin_dump(&mut self, now: Time, id: DumpId) {
        self.dumps.begin();
        let longest = self.rule.limits.windows.iter().map(|w| w.within).max();
        let Some(longest) = longest else { return };
        self.starts.push_back(Start {
            id: Some(id),
            ..Start::ago(now, Duration::ZERO)
        });
        let is_old = |start: &Start| start.age(now) >= longest;
        while self.starts.front().is_some_and(is_old) {
            self.starts.pop_front();
        }
    }

    /// A dump is over. One that failed leaves its place in every limit.
    pub(super) fn end_dump(&mut self, id: DumpId, well: bool) {
        self.dumps.end(well);
        if !well {
            self.starts.retain(|start| start.id != Some(id));
        }
    }

    pub(super) fn watch(&self, process: ProcessKey, clause: usize) -> Option<&Watch> {
        self.watches.get(&process)?.get(clause)
    }

    pub(super) fn watch_mut(
        &mut self,
        process: ProcessKey,
        clause: usize,
    ) -> Option<(&mut Watch, &Clause)> {
        let watch = self.watches.get_mut(&process)?.get_mut(clause)?;
        Some((watch, &self.rule.clauses[clause]))
    }

    /// Whether a clause will do nothing any more in `process`, as far as is known for sure: what
    /// has only begun may yet fail and be tried again.
    pub(super) fn is_done(&self, clause: usize, process: ProcessKey) -> bool {
        let text = &self.rule.clauses[clause];
        let Some(watch) = self.watch(process, clause) else {
            return true;
        };
        let each = text.limit.is_some_and(|limit| {
            let done = watch.fired.saturating_sub(watch.in_flight);
            limit.scope == Scope::Process && done >= limit.times
        });
        each || self.is_over(clause) || watch.is_spent(text)
    }

    /// Whether a clause has reached a limit that holds for all processes.
    fn is_over(&self, clause: usize) -> bool {
        let text = &self.rule.clauses[clause];
        let fired = self.fired[clause].done;
        let limit = text.limit.filter(|limit| limit.scope == Scope::Rule);
        let max = self.rule.limits.max_dumps;
        let dumps = !text.action.kinds().is_empty();
        limit.is_some_and(|limit| fired >= limit.times)
            || (dumps && max.is_some_and(|max| self.dumps.done >= max))
    }

    /// Why the rule is over, if it is and nobody has said so.
    pub(super) fn is_finished(&self) -> Option<Finish> {
        let idle = self.watches.values().flatten().all(Watch::is_idle);
        if self.finished || self.dumps.begun > 0 || !idle {
            return None;
        }
        let clauses = self.clauses_that_count();
        if clauses.iter().all(|clause| self.is_over(*clause)) {
            return Some(Finish::CountReached);
        }
        if !self.is_for_one() || !self.had_process {
            return None;
        }
        if self.watches.is_empty() && self.known.is_empty() {
            return Some(match self.refused {
                true => Finish::Refused,
                false => Finish::TargetExited,
            });
        }
        let done = |process: &ProcessKey| clauses.iter().all(|c| self.is_done(*c, *process));
        let did = self.fired.iter().any(|count| count.done > 0);
        let why = if did {
            Finish::CountReached
        } else {
            Finish::Failed
        };
        let is_over = !self.watches.is_empty() && self.watches.keys().all(done);
        is_over.then_some(why)
    }

    /// Those that do something or have a limit, where there are any: a rule does not go on for what
    /// only shows.
    fn clauses_that_count(&self) -> Vec<usize> {
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

    /// Whether it is about one process that there should be now, and has none.
    pub(super) fn lacks_its_process(&self) -> bool {
        self.rule.follow != Follow::Next && self.is_for_one() && !self.had_process
    }

    /// Whether the rule ends with its process.
    fn is_for_one(&self) -> bool {
        self.rule.follow != Follow::Each || self.rule.target.is_single()
    }
}
