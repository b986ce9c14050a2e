//! What the engine remembers: nothing of processes that no rule is about, and of a rule everything that
//! must outlive a restart of firstchance.

use super::{super::state::ClauseState, *};

fn at(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn texts(commands: &[Command]) -> Vec<String> {
    commands.iter().map(ToString::to_string).collect()
}

#[test]
fn n53_processes_that_no_rule_is_about_are_forgotten() {
    let mut machine = Machine::new(&["on each app, when exit, do none"], 1);
    for pid in 10..1000 {
        machine.handle(at(1), &format!("started {pid} as other"));
    }
    machine.handle(at(1), "started 7");
    assert_eq!(machine.rules.processes.len(), 1);
    machine.handle(at(2), "7 exited");
    assert_eq!(machine.rules.processes.len(), 0);
}

#[test]
fn n22_a_rule_about_one_process_ends_when_that_may_not_be_touched() {
    check(
        "on app, when exit, do mini dump",
        "0s found 7
         1s 7 refused => rule 0 finished: the process cannot be watched, 0 written",
    );
    check(
        "on each app, when exit, do mini dump",
        "0s found 7
         0s found 8
         1s 7 refused
         2s 7 ends 0
         3s 8 ends 0 => dump 1 of 8: mini (Process end: exit code 0)
         4s written 1
         5s started 9
         6s 9 ends 1 => dump 2 of 9: mini (Process end: exit code 1)",
    );
}

/// Runs the timeline `before` with a rule, exports the rule's state at `end` seconds, and restores it in a
/// new engine whose clock stands at 100 s.
fn restarted(rule: &str, end: u64, before: &str) -> Machine {
    let mut old = Machine::new(&[rule], 1);
    for line in before.lines().map(str::trim) {
        let (time, event) = line.split_once(' ').unwrap();
        old.handle(Time(parse_duration(time).unwrap()), event);
    }
    let state = old.rules.state(at(end), RuleId(0)).unwrap();
    let mut new = Machine::new(&[], 1);
    let restored = new
        .rules
        .restore(at(100), rule.parse().unwrap(), state.clone());
    assert_eq!(new.rules.state(at(100), restored), Some(state));
    new
}

#[test]
fn counts_and_windows_outlive_the_program() {
    let rule =
        "on each app, when exit, do mini dump; at most 3 dumps in all; at most 2 dumps in 10m";
    let before = "0s found 7\n10s 7 ends 0\n11s written 1\n12s 7 exited\n13s started 8\n20s 8 ends 0\n21s written 2";
    let mut machine = restarted(rule, 30, before);
    // The first dump began 20 s ago, the second 10 s ago: the next is allowed in 580 s.
    machine.handle(at(101), "started 9");
    assert_eq!(
        texts(&machine.handle(at(102), "9 ends 0")),
        [
            "suppressed in 9: limit of 2 dumps in 10m reached, the next may be in 10m (Process end: exit code 0)"
        ]
    );
    machine.handle(at(670), "started 10");
    let told = machine.handle(at(681), "10 ends 0");
    assert_eq!(
        texts(&told),
        ["dump 1 of 10: mini (Process end: exit code 0)"]
    );
    let told = machine.handle(at(682), "written 1");
    let over = "rule 0 finished: count reached, 3 written";
    assert_eq!(texts(&told), [over, "detach from 9", "detach from 10"]);
}

#[test]
fn a_series_goes_on_with_the_process_that_it_was_begun_for() {
    let rule = "on app, when memory > 1MiB, do mini dump 3 times every 10s";
    let mut machine = restarted(rule, 5, "0s found 7\n1s 7 memory 2MiB\n2s written 1");
    let state = machine.rules.state(at(100), RuleId(0)).unwrap();
    let clause = ClauseState {
        acted: 1,
        in_series: Some((0, 1)),
    };
    assert_eq!(state.processes.values().next(), Some(&vec![clause]));
    // Another process of the same name is not the one that the rule was about.
    machine.handle(at(100), "found 8");
    machine.handle(at(100), "found 7");
    let told = machine.handle(at(110), "due");
    assert_eq!(texts(&told), ["dump 1 of 7: mini (memory > 1MiB)"]);
}

#[test]
fn a_rule_whose_process_ended_while_the_program_was_away_is_over() {
    let rule = "on app, when exit, do mini dump";
    let mut machine = restarted(rule, 5, "0s found 7");
    let told = machine.handle(at(101), "7 exited");
    assert_eq!(
        texts(&told),
        ["rule 0 finished: the process has exited, 0 written"]
    );
}

/// Reports of starts were lost, and every process is reported once more.
#[test]
fn n22_a_process_that_may_not_be_touched_is_not_tried_again_when_it_is_reported_again() {
    check(
        "on each app, when now, do mini dump",
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s failed 1
         1s 7 refused
         2s started 7
         3s started 8 => dump 2 of 8: mini (Manual dump)",
    );
}

#[test]
fn rules_come_and_go_while_processes_live() {
    let mut rules = RuleSet::new(Settings::new(1));
    let rule: Rule = "on app, when every 5s, do none".parse().unwrap();
    let (id, commands) = rules.add(Time::from_secs(1), rule.clone());
    assert_eq!(commands, []);
    rules.handle(Time::from_secs(1), Event::Found(identity("7")));
    assert_eq!(rules.rule(id), Some(&rule));
    assert_eq!(rules.next_deadline(), Some(Time::from_secs(6)));
    assert!(!rules.is_finished());
    let told: Vec<_> = rules
        .remove(Time::from_secs(2), id)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told, ["rule 0 finished: removed, 0 written"]);
    assert_eq!(rules.next_deadline(), None);
    assert!(rules.is_finished());
    assert_eq!(rules.remove(Time::from_secs(2), id), []);
}

#[test]
fn the_status_shows_the_value_and_how_long_it_has_held() {
    let mut machine = Machine::new(
        &["on app, when memory > 1MiB for 10s or exit, do mini dump"],
        1,
    );
    let at = |seconds| Time::from_secs(seconds);
    machine.handle(at(0), "found 7");
    assert_eq!(machine.rules.status(at(0))[0].value, "unknown");
    machine.handle(at(1), "7 memory 3MiB");
    let status = machine.rules.status(at(5));
    assert_eq!(status[0].value, "3.00MiB");
    assert_eq!(status[0].held.as_secs(), 4);
    assert_eq!(status[1].condition, crate::Condition::Exit);
}
