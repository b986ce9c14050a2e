//! Processes that start, and what a run costs that watches few of them; and runs that go on where
//! another one ended.

use super::*;

#[test]
fn n54_a_watch_of_a_pid_looks_at_that_process_alone() {
    let mut run = Timeline::new();
    for pid in 100..200 {
        run.machine.start(pid, "other");
    }
    run.machine.start(7, "app");
    run.add(&["on 7, when threads > 5, do mini dump"]);
    run.until("effective");
    assert_eq!(run.machine.lookups(), (1, 0));
    // Nor does it hear of those that start.
    run.machine.start(8, "other");
    run.advance(Duration::from_secs(1));
    run.step();
    assert_eq!(run.machine.lookups(), (1, 0));
}

#[test]
fn n53_a_start_that_nobody_is_interested_in_costs_one_look() {
    let mut run = Timeline::new();
    run.machine.start(7, "app");
    run.add(&["on each app, when exit, do none"]);
    run.until("effective");
    for pid in 1000..2000 {
        run.machine.start(pid, "other");
    }
    let last = run.machine.start(9, "app");
    run.until("9 armed");
    let (looks, lists) = run.machine.lookups();
    assert_eq!((looks, lists), (1001, 1));
    assert!(run.machine.is_traced(last));
    assert_eq!(run.runner.watched().count(), 2);
}

/// Who crashes in a loop, or a script, starts hundreds of processes a second. To follow each would cost more than what is
/// caught at its death anyway.
#[test]
fn n23_of_many_that_start_at_once_most_are_followed_a_moment_later() {
    let mut run = Timeline::new();
    run.machine.catch_deaths();
    run.machine.start(7, "app");
    run.add(&["on each app, when unhandled exception, do mini dump"]);
    run.until("effective");
    let all: Vec<_> = (100..300)
        .map(|pid| run.machine.start(pid, "app"))
        .collect();
    run.until("299");
    let traced = |run: &Timeline| {
        all.iter()
            .filter(|one| run.machine.is_traced(**one))
            .count()
    };
    run.wait("the first to be followed", |machine| {
        machine.is_traced(all[0])
    });
    assert!(traced(&run) <= 64, "{} are followed", traced(&run));
    // Whoever dies meanwhile does not wait.
    run.machine.die_caught(all[199]);
    run.wait("who dies to be followed", |machine| {
        machine.is_traced(all[199])
    });
    assert!(traced(&run) <= 65, "{} are followed", traced(&run));
    run.machine.end(all[198]);
    run.until("298 exited");
    run.advance(Duration::from_millis(100));
    run.wait("the others to be followed", |machine| {
        all.iter().filter(|one| machine.is_traced(**one)).count() == 199
    });
}

#[test]
fn rules_are_added_and_taken_away_while_others_go_on() {
    let mut run = Timeline::new();
    let one = run.machine.start(7, "app");
    let two = run.machine.start(8, "other");
    run.add(&["on each app, when exit, do mini dump"]);
    run.until("7 armed");
    run.add(&["on each other, when exit, do mini dump"]);
    run.until("8 armed");
    run.runner.remove(policy::RuleId(0));
    run.wait("the first to be let go", |machine| !machine.is_traced(one));
    run.machine.does(two, exiting(5));
    run.until("8 trigger: Process end: exit code 5");
    run.until("1 dumped");
    run.runner.remove(policy::RuleId(1));
    let told = run.finish();
    assert_eq!(count(&told, "rule "), 2, "{told:#?}");
}

#[test]
fn a_run_goes_on_where_the_one_before_it_ended() {
    let rule = "on each app, when exit, do mini dump; at most 2 dumps in all";
    let mut before = Timeline::new();
    let process = before.machine.start(7, "app");
    before.add(&[rule]);
    before.until("effective");
    before.machine.does(process, exiting(1));
    before.until("1 dumped");
    let state = before.runner.state(policy::RuleId(0)).expect("a rule");
    assert_eq!(state.dumps, 1);
    let mut after = Timeline::new();
    let other = after.machine.start(8, "app");
    let options = after.options();
    let rule = rule.parse().expect("a rule");
    after
        .runner
        .restore(rule, options, state)
        .expect("processes");
    after.until("8 armed");
    after.machine.does(other, exiting(2));
    let told = after.finish();
    assert_eq!(
        count(&told, "rule 0 finished: count reached, 2 written"),
        1,
        "{told:#?}"
    );
}

/// As a server does that writes over its arguments, of which no system tells.
#[test]
fn n45_a_process_that_takes_the_name_later_is_found_within_a_second() {
    let second = Duration::from_secs(1);
    for rule in [
        "on each app, when threads > 5, do mini dump; at most 1 dump in all",
        "on all app, when threads > 5, do mini dump; at most 1 dump in all",
    ] {
        let mut run = Timeline::new();
        let (process, other) = (run.machine.start(7, "other"), run.machine.start(8, "other"));
        let rules = vec![(rule.parse().expect("a rule"), run.options())];
        run.runner.add(rules, true).expect("processes");
        run.until("effective");
        run.machine.rename(process, "app");
        run.machine.rename(other, "another");
        run.advance(second);
        run.until("7 watched");
        run.threads(process, 6);
        let told = run.finish();
        assert_eq!(count(&told, "1 dumped"), 1, "{told:#?}");
        assert_eq!(count(&told, "8 watched"), 0, "{told:#?}");
    }
}

/// Rules about a pid, and one that has its process, ask nobody for names.
#[test]
fn n45_names_are_looked_at_only_while_one_is_waited_for() {
    for rule in [
        "on 7, when threads > 5, do mini dump",
        "on app, when threads > 5, do mini dump",
    ] {
        let mut run = Timeline::new();
        run.machine.start(7, "app");
        let other = run.machine.start(8, "other");
        run.add(&[rule]);
        run.until("effective");
        run.machine.rename(other, "app");
        let before = run.machine.lookups();
        run.advance(Duration::from_secs(5));
        run.step();
        assert_eq!(run.machine.lookups(), before, "{rule}");
        assert_eq!(run.runner.watched().count(), 1, "{rule}");
    }
}
