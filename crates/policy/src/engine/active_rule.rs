//! A rule at work: the processes it watches, what it has done, and its limits.

use super::{
    DumpId, SuppressReason, clause_watch::ClauseWatch, process::CpuRate, state::ClauseState,
};
use crate::{Action, Clause, Follow, Identity, Rule, Scope, Target, Window};
use snapshot::{ProcessKey, Sample, Time};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// How many of the processes that have ended are remembered as parents.
const PARENTS: usize = 256;

/// Who wants a dump: a condition of a clause, in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) process: ProcessKey,
    /// The index of the clause in its rule, and of the condition in its clause.
    pub(super) clause: usize,
    pub(super) condition: usize,
}

/// A rule with everything that the engine remembers of it.
#[derive(Debug)]
pub(super) struct ActiveRule {
    pub(super) rule: Rule,
    /// For each process that the rule watches, the state of each clause.
    pub(super) watches: BTreeMap<ProcessKey, Vec<ClauseWatch>>,
    /// The same for processes that have ended while dumps of them are still being written.
    ended: BTreeMap<ProcessKey, Vec<ClauseWatch>>,
    /// For each clause, how often it has acted in all processes together.
    pub(super) acted: Vec<ActionCount>,
    /// The dumps of all clauses; several kinds for one trigger are one.
    pub(super) dumps: ActionCount,
    /// The files of these dumps, which are numbered.
    pub(super) files: ActionCount,
    /// When the dumps began that a window still counts, oldest first.
    pub(super) dump_starts: VecDeque<DumpStart>,
    /// How far the rule had come, before firstchance was started again, with processes that have not
    /// been found again yet.
    pub(super) restored: BTreeMap<ProcessKey, Vec<ClauseState>>,
    /// Whether the rule has ever watched a process.
    pub(super) had_process: bool,
    /// Whether the system denied access to a process that the rule watched.
    pub(super) refused: bool,
    /// The pids of those that have ended last: what they have forked just before may be heard of a moment later.
    parents: VecDeque<u32>,
    /// The process whose dump failed last.
    pub(super) failed_last: Option<ProcessKey>,
    /// Whether a process that has ended had done all that the rule asks for.
    pub(super) one_had_done: bool,
    /// Whether one has ended that had not.
    pub(super) one_lacked: bool,
    /// Processes that the system denies access to and that have not ended, each with the image that
    /// it had.
    passed_over: BTreeMap<ProcessKey, String>,
    pub(super) finished: bool,
}

/// A number of actions. Those in progress count against limits, and are taken back if they fail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ActionCount {
    pub(super) done: u32,
    pub(super) in_progress: u32,
}

impl ActionCount {
    pub(super) fn total(self) -> u32 {
        self.done.saturating_add(self.in_progress)
    }

    pub(super) fn begin(&mut self, count: u32) {
        self.in_progress = self.in_progress.saturating_add(count);
    }

    pub(super) fn end(&mut self, count: u32, succeeded: bool) {
        self.in_progress = self.in_progress.saturating_sub(count);
        self.done = self.done.saturating_add(if succeeded { count } else { 0 });
    }
}

/// When a dump began. A dump that an earlier run of firstchance took may have begun before time zero
/// of this run.
#[derive(Clone, Copy, Debug)]
pub(super) struct DumpStart {
    /// Which dump of which process; `None` if an earlier run took it: then it counts for each process.
    of: Option<(DumpId, Asker)>,
    /// When it began; zero if that was before this run.
    time: Time,
    /// How long before time zero it began.
    before_zero: Duration,
}

impl DumpStart {
    /// The start of a dump that began this long ago.
    pub(super) fn ago(now: Time, age: Duration) -> Self {
        Self {
            of: None,
            time: Time(now.0.saturating_sub(age)),
            before_zero: age.saturating_sub(now.0),
        }
    }

    fn is_of(self, process: ProcessKey) -> bool {
        self.of.is_none_or(|(_, of)| of.process == process)
    }

    fn is_of_condition(self, asker: Asker) -> bool {
        let condition = |asker: Asker| (asker.clause, asker.condition);
        self.of
            .is_none_or(|(_, of)| condition(of) == condition(asker))
    }

    pub(super) fn age(self, now: Time) -> Duration {
        now.since(self.time) + self.before_zero
    }

    /// When the dump is old enough for a window of this length not to count it any more.
    fn leaves_window_at(self, within: Duration) -> Time {
        self.time + within.saturating_sub(self.before_zero)
    }
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            watches: BTreeMap::new(),
            ended: BTreeMap::new(),
            acted: vec![ActionCount::default(); rule.clauses.len()],
            dumps: ActionCount::default(),
            files: ActionCount::default(),
            dump_starts: VecDeque::new(),
            restored: BTreeMap::new(),
            had_process: false,
            refused: false,
            parents: VecDeque::new(),
            failed_last: None,
            one_had_done: false,
            one_lacked: false,
            passed_over: BTreeMap::new(),
            finished: false,
            rule,
        }
    }

    /// Whether the rule has to watch a process that it does not watch yet. `started` says that the process
    /// has just started, and was not found running.
    pub(super) fn wants(&self, who: &Identity, started: bool) -> bool {
        if self.finished || self.watches.contains_key(&who.key) {
            return false;
        }
        let forked_it = |process: &ProcessKey| {
            process.pid == who.parent || who.ancestors.contains(&process.pid)
        };
        let had_forked_it = |pid: &u32| who.ancestors.contains(pid);
        if self.rule.children
            && (self.watches.keys().any(forked_it) || self.parents.iter().any(had_forked_it))
        {
            return true;
        }
        let is_resumed = self.restored.contains_key(&who.key);
        let free = is_resumed || !self.has_its_process();
        let late_enough = started || is_resumed || self.rule.follow != Follow::Next;
        free && late_enough && !self.passes_over(who) && self.rule.target.matches(who)
    }

    /// Whether the rule is about one process, and has had it.
    fn has_its_process(&self) -> bool {
        let is_one = self.ends_with_its_process() && self.rule.follow != Follow::All;
        is_one && self.had_process
    }

    /// Whether the rule waits for a process that has a name, or takes it.
    pub(super) fn awaits_a_name(&self) -> bool {
        let by_name = matches!(self.rule.target, Target::Name(_) | Target::CommandLine(_));
        !self.finished && by_name && !self.has_its_process()
    }

    /// Whether a process is the one that was denied before. A report that it has started may come
    /// again, as when the machine loses reports and all processes are looked at: it is tried anew
    /// only once it has executed another program.
    fn passes_over(&self, who: &Identity) -> bool {
        self.passed_over.get(&who.key) == Some(&who.image)
    }

    /// Begins to watch a process.
    pub(super) fn bind(&mut self, now: Time, process: ProcessKey) {
        let watches = self
            .rule
            .clauses
            .iter()
            .map(|c| ClauseWatch::new(now, c, &self.rule.limits));
        self.watches.insert(process, watches.collect());
        self.had_process = true;
        self.resume(now, process);
    }

    /// Takes in that a process has ended. Returns whether that may be the end of the rule.
    pub(super) fn exited(&mut self, process: ProcessKey) -> bool {
        self.passed_over.remove(&process);
        let was_restored = self.restored.remove(&process).is_some();
        let watches = self.watches.remove(&process);
        let was_watched = watches.is_some();
        if was_watched && self.rule.children {
            self.parents.truncate(PARENTS - 1);
            self.parents.push_front(process.pid);
        }
        self.ended.extend(watches.map(|watches| (process, watches)));
        self.judge_ended(process);
        was_watched || was_restored
    }

    /// Takes in whether a process that has ended had done all, once its last dump is written.
    pub(super) fn judge_ended(&mut self, process: ProcessKey) {
        let is_idle = |watches: &Vec<ClauseWatch>| watches.iter().all(|w| w.in_flight == 0);
        if self.ended.get(&process).is_some_and(is_idle) {
            let had_all = self.had_all(process);
            self.one_had_done |= self.rule.follow == Follow::All && had_all;
            self.one_lacked |= !had_all;
            self.ended.remove(&process);
        }
    }

    /// Takes in that nothing more is wanted of a process whose dump failed. Returns whether it has ended already.
    pub(super) fn refuse_ended(&mut self, process: ProcessKey) -> bool {
        let is_it = self.failed_last == Some(process) && !self.watches.contains_key(&process);
        self.refused |= is_it;
        is_it
    }

    /// Stops watching a process that the system denies access to.
    pub(super) fn refuse(&mut self, who: &Identity) {
        if self.watches.remove(&who.key).is_some() {
            self.refused = true;
            self.passed_over.insert(who.key, who.image.clone());
        }
    }

    /// Takes a sample of a process in. Calls `held` with the indexes of the clause and of the condition
    /// for each level that has held long enough, of a clause first for those that have waited longest for their turn. Returns
    /// the earliest new deadline.
    pub(super) fn sampled(
        &mut self,
        process: ProcessKey,
        sample: &Sample,
        cpu: &CpuRate,
        cpus: u32,
        mut held: impl FnMut(usize, usize),
    ) -> Option<Time> {
        let mut earliest: Option<Time> = None;
        let watches = self.watches.get_mut(&process).into_iter().flatten();
        for (clause, (watch, definition)) in watches.zip(&self.rule.clauses).enumerate() {
            let mut turns = Vec::new();
            for (index, level, all, lasting) in watch.levels(definition) {
                let deadline = level.update(all, lasting, sample, cpu, cpus);
                earliest = earliest.into_iter().chain(deadline).min();
                if level.has_held(sample.at, lasting) {
                    turns.push((level.turn, index));
                }
            }
            turns.sort_unstable();
            turns.iter().for_each(|(_, index)| held(clause, *index));
        }
        earliest
    }

    /// The limit that keeps a clause from acting at `now`, if one does. The limit of the clause counts a
    /// series as one action.
    pub(super) fn limit_reached(
        &self,
        now: Time,
        asker: Asker,
        action: &Action,
        in_series: bool,
    ) -> Option<SuppressReason> {
        let Asker {
            process, clause, ..
        } = asker;
        if let Some(limit) = self.rule.clauses[clause].limit.filter(|_| !in_series) {
            let watch = self.watch(process, clause);
            let acted = match limit.scope {
                Scope::Rule => self.acted[clause].total(),
                Scope::Process => watch.map_or(0, |watch| watch.acted),
            };
            if acted >= limit.times {
                return Some(SuppressReason::ClauseLimit(limit.times));
            }
        }
        if action.kinds().is_empty() {
            return None;
        }
        let limits = &self.rule.limits;
        if let Some(max) = limits.max_dumps.filter(|max| self.dumps.total() >= *max) {
            return Some(SuppressReason::RuleLimit(max));
        }
        let mut windows = limits.windows.iter();
        let full = windows.find(|w| self.nth_last(now, w, asker).is_some())?;
        let opens = self.windows_open_at(now, asker);
        let opens_in = opens.map(|opens| opens.since(now));
        Some(SuppressReason::Window(*full, opens_in))
    }

    /// When the windows allow the next dump of a process. Returns `None` if they never do.
    pub(super) fn windows_open_at(&self, now: Time, asker: Asker) -> Option<Time> {
        let mut opens = now;
        for window in &self.rule.limits.windows {
            if window.count == 0 {
                return None;
            }
            if let Some(start) = self.nth_last(now, window, asker) {
                opens = opens.max(start.leaves_window_at(window.within));
            }
        }
        Some(opens)
    }

    /// The dump that has to leave a window before the next one may begin. Returns `None` if there is room.
    fn nth_last(&self, now: Time, window: &Window, asker: Asker) -> Option<DumpStart> {
        let counts = |start: &&DumpStart| {
            let is_of_scope = match window.scope {
                Scope::Rule => true,
                Scope::Process => start.is_of(asker.process),
            };
            is_of_scope && (!window.each_condition || start.is_of_condition(asker))
        };
        let recent = |start: &&DumpStart| start.age(now) < window.within;
        let starts = self.dump_starts.iter().rev().take_while(recent);
        match window.count {
            0 => Some(DumpStart::ago(now, Duration::ZERO)),
            count => starts.filter(counts).nth(count as usize - 1).copied(),
        }
    }

    /// Counts a dump of so many files that begins. Returns the number of its first file.
    pub(super) fn begin_dump(&mut self, now: Time, of: (DumpId, Asker), files: u32) -> u32 {
        let number = self.files.total() + 1;
        self.dumps.begin(1);
        self.files.begin(files);
        self.begin_in_windows(now, of);
        number
    }

    /// The number of files of a process that were begun and have not failed.
    pub(super) fn files_of(&self, process: ProcessKey) -> u32 {
        let watches = self.watches.get(&process);
        let watches = watches.or_else(|| self.ended.get(&process));
        watches.into_iter().flatten().map(|watch| watch.files).sum()
    }

    fn begin_in_windows(&mut self, now: Time, of: (DumpId, Asker)) {
        let longest = self.rule.limits.windows.iter().map(|w| w.within).max();
        let Some(longest) = longest else { return };
        self.dump_starts.push_back(DumpStart {
            of: Some(of),
            ..DumpStart::ago(now, Duration::ZERO)
        });
        let is_old = |start: &DumpStart| start.age(now) >= longest;
        while self.dump_starts.front().is_some_and(is_old) {
            self.dump_starts.pop_front();
        }
    }

    /// Counts a dump that has ended. A dump that failed no longer counts against any limit.
    pub(super) fn end_dump(&mut self, id: DumpId, files: u32, succeeded: bool) {
        self.dumps.end(1, succeeded);
        self.files.end(files, succeeded);
        if !succeeded {
            self.dump_starts
                .retain(|start| start.of.is_none_or(|(of, _)| of != id));
        }
    }

    pub(super) fn watch(&self, process: ProcessKey, clause: usize) -> Option<&ClauseWatch> {
        let living = self.watches.get(&process);
        living.or_else(|| self.ended.get(&process))?.get(clause)
    }

    pub(super) fn watch_mut(
        &mut self,
        process: ProcessKey,
        clause: usize,
    ) -> Option<(&mut ClauseWatch, &Clause)> {
        let living = self.watches.get_mut(&process);
        let watches = living.or_else(|| self.ended.get_mut(&process))?;
        let watch = watches.get_mut(clause)?;
        Some((watch, &self.rule.clauses[clause]))
    }
}
