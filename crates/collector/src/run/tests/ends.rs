//! Ends of processes, in every order in which they can be told.

use super::*;

/// Who tells of the end of a followed process.
#[derive(Clone, Copy, Debug)]
enum Told {
    Host,
    Follower,
    HostFirst,
    FollowerFirst,
}

fn ends(told: Told) -> Vec<String> {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when exit, do mini dump; at most 9 dumps in all"]);
    run.until("effective");
    let machine = run.machine.clone();
    match told {
        Told::Host => machine.end(process),
        Told::Follower => machine.does(process, gone()),
        Told::HostFirst => {
            machine.end(process);
            machine.does(process, gone());
        }
        Told::FollowerFirst => {
            machine.does(process, gone());
            machine.end(process);
        }
    }
    run.finish()
}

#[test]
fn the_end_is_told_once_whoever_tells_it() {
    for who in [
        Told::Host,
        Told::Follower,
        Told::HostFirst,
        Told::FollowerFirst,
    ] {
        for _ in 0..20 {
            let told = ends(who);
            assert_eq!(count(&told, "7 exited"), 1, "{who:?}: {told:#?}");
            let over = "rule 0 finished: the process has exited, 0 written";
            assert_eq!(count(&told, over), 1, "{who:?}: {told:#?}");
        }
    }
}

#[test]
fn what_a_process_did_before_its_end_is_told_before_it() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on each app, when signal SIGUSR1 or exit, do mini dump; at most 3 dumps in all"]);
    run.until("effective");
    // The machine sees the end first; the thread still has an event and the end to tell.
    run.machine.does(process, usr1());
    run.machine.does(process, exiting(1));
    run.machine.end(process);
    run.until("7 trigger: Signal: SIGUSR1");
    run.until("7 trigger: Process end: exit code 1");
    run.until("7 exited");
    run.runner.handle().cancel();
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 2, "{told:#?}");
}

#[test]
fn a_rule_that_is_over_leaves_a_process_that_ends_just_then() {
    for _ in 0..50 {
        let mut run = Timeline::new();
        let process = run.machine.start(7, "app");
        run.add(&["on app, when exit, do mini dump; at most 1 dump in all"]);
        run.until("effective");
        run.machine.does(process, exiting(1));
        run.until("7 trigger");
        run.machine.end(process);
        let told = run.finish();
        assert_eq!(count(&told, "7 exited"), 1, "{told:#?}");
        assert_eq!(count(&told, "1 dumped"), 1, "{told:#?}");
    }
}

#[test]
fn n22_a_process_that_ends_while_a_watch_begins_ends_the_watch() {
    // Gone before the list is read, between the list and following it, and just after.
    for moment in 0..3 {
        let mut run = Timeline::new();
        let process = run.machine.start(7, "app");
        match moment {
            0 => run.machine.end(process),
            1 => run.machine.vanish_when_followed(process),
            _ => {}
        }
        run.add(&["on app, when exit, do mini dump"]);
        if moment == 2 {
            run.machine.end(process);
        }
        let told = run.finish();
        let over = "rule 0 finished: the process has exited, 0 written";
        assert_eq!(count(&told, over), 1, "moment {moment}: {told:#?}");
    }
}

#[test]
fn a_watch_that_waits_takes_the_next_one() {
    let mut run = Timeline::new();
    let earlier = run.machine.start(7, "app");
    run.add(&["on the next app, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.start(8, "other");
    let later = run.machine.start(9, "app");
    run.until("9 armed");
    assert!(!run.machine.is_traced(earlier));
    run.machine.does(later, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "9 trigger"), 1, "{told:#?}");
    assert_eq!(count(&told, "8 watched") + count(&told, "7 watched"), 0);
}

#[test]
fn n22_a_forbidden_process_does_not_end_a_watch_of_each() {
    let mut run = Timeline::new();
    let forbidden = run.machine.start(7, "app");
    let allowed = run.machine.start(8, "app");
    run.machine
        .refuse(forbidden, platform::ErrorKind::NotPermitted);
    run.add(&["on each app, when exit, do mini dump; at most 2 dumps in all"]);
    run.until("7 refused");
    run.until("effective");
    run.machine.does(allowed, exiting(1));
    run.until("1 dumped");
    let later = run.machine.start(9, "app");
    run.until("9 armed");
    run.machine.does(later, exiting(2));
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 2, "{told:#?}");
    assert_eq!(count(&told, "7 refused"), 1);
}

#[test]
fn a_watch_that_waits_takes_no_older_one_when_starts_are_lost() {
    let mut run = Timeline::new();
    let earlier = run.machine.start(7, "app");
    run.add(&["on the next app, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.lose_starts(true);
    let later = run.machine.start(9, "app");
    run.machine.lose_starts(false);
    run.until("9 armed");
    assert!(!run.machine.is_traced(earlier));
    run.machine.does(later, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "9 trigger"), 1, "{told:#?}");
    assert_eq!(count(&told, "7 watched"), 0);
}

/// A process that was to be followed has ended before that. That is not lost silently.
#[test]
fn n23_a_process_that_ends_before_it_is_armed_is_counted() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    let other = run.machine.start(8, "app");
    run.machine
        .refuse(process, platform::ErrorKind::NoSuchProcess);
    run.add(&["on each app, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.end(process);
    run.machine.does(other, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "1 unseen"), 1, "{told:#?}");
}

/// A process on its way out cannot be followed any more. When it is found to be caught, it is followed for its death.
#[test]
fn n23_who_was_caught_after_his_thread_had_given_up_is_followed_again() {
    let mut run = Timeline::new();
    run.machine.catch_deaths();
    let process = run.machine.start(7, "app");
    let other = run.machine.start(8, "app");
    run.machine
        .refuse(process, platform::ErrorKind::NoSuchProcess);
    run.add(&["on each app, when unhandled exception, do mini dump"]);
    run.until("effective");
    run.machine.refuse_no_longer(process);
    run.machine.die_caught(process);
    run.wait("its death to be followed", |machine| {
        machine.is_traced(process)
    });
    assert!(run.machine.is_traced(other));
}

/// A program may live for less than it takes to read who it is: then at least its name is told.
#[test]
fn n45_a_process_that_is_gone_before_it_is_looked_at_is_told_by_its_name() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.machine
        .refuse(process, platform::ErrorKind::NoSuchProcess);
    run.add(&["on each app, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.end(process);
    run.until("app 7 missed");
    run.machine.executed_and_gone(8, &["other"]);
    run.machine.executed_and_gone(9, &["app"]);
    run.until("app 9 missed");
    let other = run.machine.start(10, "app");
    run.until("10 armed");
    run.machine.does(other, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "2 unseen"), 1, "{told:#?}");
    assert_eq!(count(&told, "other 8 missed"), 0, "{told:#?}");
}

/// Its fork, its program and its end may be heard of one after the other, each when it is over.
#[test]
fn n45_a_process_that_is_over_at_once_is_told_once_by_its_name_and_no_dump_of_it_fails() {
    let mut run = Timeline::new();
    run.add(&["on each app, when now, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.start_and_end(7, "app");
    run.machine.executed_and_gone(7, &["app"]);
    let process = run.machine.start(8, "app");
    run.machine
        .refuse(process, platform::ErrorKind::NoSuchProcess);
    run.until("app 8 missed");
    run.machine.end(process);
    run.until("8 exited");
    run.machine.executed_and_gone(8, &["app"]);
    run.machine.start(9, "app");
    let told = run.finish();
    assert_eq!(count(&told, "app 7 missed"), 1, "{told:#?}");
    assert_eq!(count(&told, "app 8 missed"), 1, "{told:#?}");
    let missed = told.iter().filter(|line| line.ends_with(" missed"));
    assert_eq!(missed.count(), 2, "{told:#?}");
    assert_eq!(count(&told, "dump "), 0, "{told:#?}");
    assert_eq!(count(&told, "1 dumped"), 1, "{told:#?}");
}

/// Its first sample may meet the condition, and be all that there is of it. One that has lived longer had a dump to fail.
#[test]
fn n45_a_dump_of_a_process_that_ends_behind_its_first_sample_is_none_that_failed() {
    let mut run = Timeline::new();
    run.add(&["on each app, when threads > 5, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    for (pid, at_first) in [(7, true), (8, false)] {
        let process = run.machine.start(pid, "app");
        run.machine.set(process, Measure::Threads, 6.0);
        run.machine
            .refuse(process, platform::ErrorKind::NoSuchProcess);
        if !at_first {
            run.machine.set(process, Measure::Threads, 1.0);
            run.until("8 watched");
            run.threads(process, 6);
        }
        run.until(if at_first {
            "app 7 missed"
        } else {
            "dump 1 failed"
        });
        run.machine.end(process);
        run.until(&format!("{pid} exited"));
    }
    run.runner.handle().cancel();
    let told = run.finish();
    assert_eq!(count(&told, "dump "), 1, "{told:#?}");
}

/// Where deaths are caught it may be one of those: that it had no dump is told all the same.
#[test]
fn n45_a_dump_of_a_process_that_has_ended_is_told_where_deaths_are_caught() {
    let mut run = Timeline::new();
    run.machine.catch_deaths();
    run.add(&["on each app, when now or unhandled exception, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.start_and_end(7, "app");
    run.until("7 log: it ended before its dump could be taken");
    run.machine.start(9, "app");
    let told = run.finish();
    assert_eq!(count(&told, "dump "), 0, "{told:#?}");
    assert_eq!(count(&told, "1 dumped"), 1, "{told:#?}");
}

/// ProcDump's `-k`: at its end, there is nothing left to kill.
#[test]
fn n45_a_process_that_has_ended_is_not_killed() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    let rule = "on app, when exit, do mini dump; at most 1 dump in all";
    let options = DumpOptions {
        kill_after: true,
        ..run.options()
    };
    let rules = vec![(rule.parse().expect("a rule"), options)];
    run.runner.add(rules, false).expect("processes");
    run.until("effective");
    run.machine.hold_captures(process, true);
    run.machine.does(process, exiting(0));
    run.wait("the capture", |machine| machine.captures(process) == 1);
    run.machine.end(process);
    run.machine.hold_captures(process, false);
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 1, "{told:#?}");
    assert_eq!(count(&told, "failed: "), 0, "{told:#?}");
}

/// Nobody knows whether such a program was meant: how many there were is told at the end.
#[test]
fn n45_programs_whose_names_nobody_could_read_are_counted() {
    let mut run = Timeline::new();
    run.add(&["on each app, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.executed_and_gone(8, &[]);
    run.machine.executed_and_gone(9, &[]);
    run.machine
        .executed_and_gone(10, &["a-long-name-app", "other"]);
    run.machine.executed_and_gone(11, &["other", "app"]);
    run.until("other 11 missed");
    let process = run.machine.start(12, "app");
    run.until("12 armed");
    run.machine.does(process, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "2 nameless"), 1, "{told:#?}");
    assert_eq!(count(&told, "other 11 missed"), 1, "{told:#?}");
    assert_eq!(count(&told, "a-long-name-app"), 0, "{told:#?}");
}

/// Whoever follows a process tells its death, also if the machine tells of it before or after that.
#[test]
fn n23_a_process_that_dies_young_and_unfollowed_is_counted() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on each app, when exit, do mini dump; at most 2 dumps in all"]);
    run.until("effective");
    run.machine.die_young(7);
    run.machine.does(process, exiting(0));
    run.until("1 dumped");
    run.machine.end(process);
    run.until("7 exited");
    run.machine.die_young(7);
    run.machine.die_young(9);
    run.machine.descendant_dies_young(10, &[3, 2]);
    let other = run.machine.start(8, "app");
    run.until("8 armed");
    run.machine.does(other, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "1 unseen"), 1, "{told:#?}");
}

/// Nobody may have looked at it.
#[test]
fn n23_a_program_that_dies_young_counts_by_its_name() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on each app, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.program_dies_young(10, "app");
    run.machine.program_dies_young(11, "other");
    run.machine.does(process, exiting(0));
    run.until("1 dumped");
    let told = run.finish();
    assert_eq!(count(&told, "1 unseen"), 1, "{told:#?}");
}

/// The parent may have ended, as in a service that forks twice.
#[test]
fn n23_what_dies_young_is_counted_if_a_process_of_its_rule_has_forked_its_parent() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on each app and its children, when exit, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.machine.descendant_dies_young(10, &[9, 7]);
    run.machine.descendant_dies_young(10, &[9, 7]);
    run.machine.descendant_dies_young(11, &[3, 2]);
    run.machine.does(process, exiting(0));
    run.until("1 dumped");
    let told = run.finish();
    assert_eq!(count(&told, "1 unseen"), 1, "{told:#?}");
}
