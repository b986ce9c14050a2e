//! Random events in random order, against the promises that every rule must keep: limits, one end per
//! rule, no dump of a process that is gone.

use super::*;
use crate::Rule;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A step of a random timeline: the time since the step before, in tenths of a second, and what happens.
type Step = (u64, Fact);

#[derive(Clone, Debug)]
/// Something that happens. Processes are named by pid and start time.
enum Fact {
    Appears(u32, u64),
    Exits(u32, u64),
    /// Memory in MiB and CPU time in seconds; `None` if the value is unknown.
    Sampled(u32, u64, Option<u64>, Option<u64>),
    Throws(u32, u64, bool),
    Ends(u32, u64),
    /// The pending dump of this index, or an unknown one if there are not so many, was written (0), has
    /// failed (1), was skipped (2) or was cancelled (3).
    Answered(usize, u8),
    Ticks,
}

fn fact() -> impl Strategy<Value = Fact> {
    let key = || (1u32..4, 1u64..3);
    prop_oneof![
        2 => key().prop_map(|(p, s)| Fact::Appears(p, s)),
        1 => key().prop_map(|(p, s)| Fact::Exits(p, s)),
        8 => (key(), proptest::option::of(0u64..4), proptest::option::of(0u64..200))
            .prop_map(|((p, s), memory, cpu)| Fact::Sampled(p, s, memory, cpu)),
        2 => (key(), any::<bool>()).prop_map(|((p, s), first)| Fact::Throws(p, s, first)),
        1 => key().prop_map(|(p, s)| Fact::Ends(p, s)),
        4 => (0usize..4, 0u8..4).prop_map(|(n, how)| Fact::Answered(n, how)),
        2 => Just(Fact::Ticks),
    ]
}

fn timeline() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0u64..30, fact()), 0..80)
}

/// A random rule: every combination of conditions, actions, series and limits.
fn rule() -> impl Strategy<Value = String> {
    let follow = prop_oneof![Just(""), Just("the next "), Just("each ")];
    let when = proptest::sample::subsequence(
        vec![
            "memory >= 2MiB for 1s",
            "memory > 1MiB",
            "cpu > 50% for 2s",
            "exception",
            "unhandled exception",
            "exit",
            "now",
            "every 2s",
        ],
        1..4,
    );
    let action = prop_oneof![
        Just("mini dump"),
        Just("mini and full dump"),
        Just("log stack")
    ];
    let series = prop_oneof![
        3 => Just(""),
        1 => Just(" 2 times every 1s"),
        1 => Just(" 3 times every 500ms then full dump"),
    ];
    let limit = prop_oneof![
        Just(""),
        Just(", at most 1 time"),
        Just(", at most 2 times per process"),
        Just(", at most 3 times"),
    ];
    let rest = proptest::sample::subsequence(
        vec![
            "; at most 3 dumps in all",
            "; at most 2 dumps in 10s",
            "; at most 1 dump in 3s",
            "; at most 2 dumps at once",
            "; skip while busy",
        ],
        0..5,
    );
    let clause = (when, action, series, limit).prop_map(|(when, action, series, limit)| {
        format!("when {}, do {action}{series}{limit}", when.join(" or "))
    });
    (follow, proptest::collection::vec(clause, 1..3), rest).prop_map(|(follow, clauses, rest)| {
        format!("on {follow}app, {}{}", clauses.join("; "), rest.join(""))
    })
}

/// An engine with one rule, and what is needed to check its promises from outside.
struct Checker {
    rule: Rule,
    rules: RuleSet,
    now: Time,
    alive: BTreeSet<ProcessKey>,
    /// All processes there have been: none comes again.
    seen: BTreeSet<ProcessKey>,
    /// The dumps whose end was not reported yet.
    pending: Vec<DumpRequest>,
    /// When each dump was requested that was written or is pending.
    starts: Vec<(DumpId, Time)>,
    /// How often each clause has acted in each process, as its limit counts it.
    acted: BTreeMap<(usize, ProcessKey), u32>,
    finished: bool,
}

impl Checker {
    fn new(rule: &str) -> Self {
        let rule: Rule = rule.parse().unwrap();
        let mut rules = RuleSet::new(Settings::new(2));
        rules.add(Time::default(), rule.clone());
        Self {
            rule,
            rules,
            now: Time::default(),
            alive: BTreeSet::new(),
            seen: BTreeSet::new(),
            pending: Vec::new(),
            starts: Vec::new(),
            acted: BTreeMap::new(),
            finished: false,
        }
    }

    fn step(&mut self, (tenths, fact): Step) {
        self.now = self.now + Duration::from_millis(tenths * 100);
        let event = self.event(fact);
        let commands = self.rules.handle(self.now, event);
        for command in commands {
            self.judge(command);
        }
        let deadline = self.rules.next_deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now));
        let idle = self.pending.is_empty() && self.finished;
        assert_eq!(self.rules.is_finished(), idle);
    }

    fn event(&mut self, fact: Fact) -> Event {
        let key = |pid, start| ProcessKey { pid, start };
        match fact {
            Fact::Appears(pid, start) => self.appears(key(pid, start)),
            Fact::Exits(pid, start) => {
                self.alive.remove(&key(pid, start));
                Event::Exited(key(pid, start))
            }
            Fact::Sampled(pid, start, memory, cpu) => {
                let at = self.now;
                let memory = memory.map(|mib| (Measure::Memory, (mib << 20) as f64));
                // Cumulative time that jumps about, as after a wrap.
                let cpu = cpu.map(Duration::from_secs);
                let values = memory.into_iter().collect();
                Event::Sample(key(pid, start), Sample { at, cpu, values })
            }
            Fact::Throws(pid, start, first) => {
                Event::Target(key(pid, start), exception("A.B", first))
            }
            Fact::Ends(pid, start) => Event::Target(
                key(pid, start),
                TargetEvent::Exiting {
                    status: status(0),
                    sender: None,
                },
            ),
            Fact::Answered(n, how) => self.answer(n, how),
            Fact::Ticks => Event::Tick,
        }
    }

    fn appears(&mut self, key: ProcessKey) -> Event {
        if !self.seen.insert(key) && !self.alive.contains(&key) {
            return Event::Tick;
        }
        self.alive.retain(|other| other.pid != key.pid);
        self.alive.insert(key);
        Event::Started(identity(&format!("{}/{}", key.pid, key.start)))
    }

    fn answer(&mut self, n: usize, how: u8) -> Event {
        let outcome = match how {
            0 => Outcome::Written,
            1 => Outcome::Failed("x".to_owned()),
            2 => Outcome::Skipped,
            _ => Outcome::Cancelled("x".to_owned()),
        };
        if n >= self.pending.len() {
            return finished(DumpId(1_000_000), outcome);
        }
        let dump = self.pending.remove(n);
        if outcome != Outcome::Written {
            self.starts.retain(|(id, _)| *id != dump.id);
            let acted = self.acted.get_mut(&(dump.clause, dump.process)).unwrap();
            // The later dumps of a series are no actions of their own.
            *acted = acted.saturating_sub(1);
        }
        finished(dump.id, outcome)
    }

    fn judge(&mut self, command: Command) {
        match command {
            Command::Dump(dump) => self.judge_dump(dump),
            Command::LogStack(note) => assert!(self.alive.contains(&note.process)),
            Command::RuleFinished { .. } => {
                assert!(!self.finished, "finished twice");
                self.finished = true;
            }
            Command::Suppressed(suppressed) => assert!(suppressed.times > 0),
            _ => {}
        }
    }

    fn judge_dump(&mut self, dump: DumpRequest) {
        let limits = &self.rule.limits;
        assert!(!self.finished, "a dump of a finished rule");
        assert!(
            self.alive.contains(&dump.process),
            "a dump of a dead process"
        );
        let same = |other: &&DumpRequest| other.process == dump.process;
        let beside = self.pending.iter().filter(same).count();
        match dump.behind {
            None => assert!(beside < limits.concurrent as usize, "too many at once"),
            Some(other) => assert!(self.pending.iter().any(|pending| pending.id == other)),
        }
        self.starts.push((dump.id, self.now));
        let all = self.starts.len();
        assert!(
            limits.max_dumps.is_none_or(|max| all <= max as usize),
            "too many in all"
        );
        for window in &limits.windows {
            let recent = |(_, start): &&(DumpId, Time)| self.now.since(*start) < window.within;
            let recent = self.starts.iter().filter(recent).count();
            assert!(recent <= window.count as usize, "too many in a window");
        }
        *self.acted.entry((dump.clause, dump.process)).or_default() += 1;
        self.judge_clause(&dump);
        self.pending.push(dump);
    }

    fn judge_clause(&self, dump: &DumpRequest) {
        let clause = &self.rule.clauses[dump.clause];
        let (Some(limit), None) = (clause.limit, &clause.series) else {
            return;
        };
        let counts = |((index, process), _): &(&(usize, ProcessKey), &u32)| {
            let all = limit.scope == crate::Scope::Rule;
            *index == dump.clause && (all || *process == dump.process)
        };
        let acted: u32 = self.acted.iter().filter(counts).map(|(_, n)| n).sum();
        assert!(acted <= limit.times, "a clause acted too often");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// With all combinations of limits, exits in every state, pids that are used again, and counters that
    /// jump.
    #[test]
    fn g2_no_order_of_events_breaks_a_limit(rule in rule(), timeline in timeline()) {
        let mut checker = Checker::new(&rule);
        timeline.into_iter().for_each(|step| checker.step(step));
    }

    /// A dump that fails does not count, so that a limit is reached by written dumps alone, however many
    /// failed before.
    #[test]
    fn g2_failed_dumps_use_up_nothing(failures in proptest::collection::vec(any::<bool>(), 0..40)) {
        let mut checker = Checker::new(
            "on app, when memory > 1MiB, do mini dump, at most 3 times; at most 3 dumps in all",
        );
        checker.step((1, Fact::Appears(1, 1)));
        for fails in failures.into_iter().chain([false; 3]) {
            if checker.finished { break; }
            // Longer than the longest pause after failures.
            checker.step((3001, Fact::Sampled(1, 1, Some(1), None)));
            checker.step((1, Fact::Sampled(1, 1, Some(2), None)));
            prop_assert_eq!(checker.pending.len(), 1);
            checker.step((1, Fact::Answered(0, u8::from(fails))));
        }
        prop_assert!(checker.finished);
        prop_assert_eq!(checker.starts.len(), 3);
    }

    /// A value that goes above its threshold and below again: a dump comes exactly when it was above for
    /// so many seconds in a row since the last dump.
    #[test]
    fn g2_a_flapping_threshold_dumps_exactly_when_it_was_above_for_so_long(
        seconds in 1u64..5,
        above in proptest::collection::vec(proptest::bool::weighted(0.8), 0..60),
    ) {
        let rule = format!("on app, when memory > 1MiB for {seconds}s, do mini dump");
        let mut checker = Checker::new(&rule);
        checker.step((0, Fact::Appears(1, 1)));
        let mut streak = 0;
        for above in above {
            let memory = if above { 2 } else { 1 };
            checker.step((10, Fact::Sampled(1, 1, Some(memory), None)));
            // N seconds lie between N + 1 samples.
            streak = if above { streak + 1 } else { 0 };
            let due = streak == seconds + 1;
            prop_assert_eq!(checker.pending.len(), usize::from(due));
            if due {
                streak = 0;
                checker.step((0, Fact::Answered(0, 0)));
            }
        }
    }
}
