//! Dumps: every order is answered once, and one process has one tracer.

use super::*;
use platform::ErrorKind;

#[test]
fn a_level_is_sampled_and_dumped_and_the_rule_is_over() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when threads > 5, do mini dump; at most 1 dump in all"]);
    run.until("effective");
    run.threads(process, 6);
    run.until("7 trigger: threads > 5: 6");
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 1, "{told:#?}");
    assert_eq!(count(&told, "rule 0 finished: count reached, 1 written"), 1);
}

#[test]
fn n19_a_dump_order_in_the_inbox_of_a_process_that_ends_is_answered() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when threads > 5 or signal SIGUSR1, do mini dump"]);
    run.until("effective");
    // Its thread takes the end before the order.
    run.machine.events_before_orders(process);
    run.machine.hold_captures(process, true);
    run.machine.does(process, usr1());
    run.until("7 trigger: Signal: SIGUSR1");
    run.wait("the capture", |machine| machine.captures(process) == 1);
    run.machine.does(process, gone());
    run.machine.end(process);
    run.machine.hold_captures(process, false);
    let told = run.finish();
    assert_eq!(count(&told, "7 exited"), 1, "{told:#?}");
    assert_eq!(count(&told, "rule 0 finished"), 1);
}

#[test]
fn n19_an_order_that_comes_after_the_thread_has_left_is_answered() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when threads > 5 or exit, do mini dump"]);
    run.until("effective");
    run.machine.events_before_orders(process);
    // The thread tells the end and leaves; the loop does not know yet when the level fires.
    run.machine.does(process, gone());
    let end = Instant::now() + PATIENCE;
    while run.machine.is_traced(process) {
        assert!(Instant::now() < end, "the thread stays");
        std::thread::yield_now();
    }
    run.threads(process, 6);
    let told = run.finish();
    assert_eq!(count(&told, "7 trigger"), 1, "{told:#?}");
    assert_eq!(count(&told, "dump 1 failed: process 7 was left"), 1);
}

#[test]
fn orders_are_answered_when_the_thread_panics() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when threads > 5 or exit, do mini dump"]);
    run.until("effective");
    run.machine.break_follower(process);
    run.threads(process, 6);
    run.until("7 refused: following process 7 failed within firstchance itself");
    let told = run.finish();
    // Where the thread was slow to begin, it took the order before it panicked.
    let answers = count(&told, "dump ") + count(&told, "1 dumped");
    assert_eq!((count(&told, "7 trigger"), answers), (1, 1), "{told:#?}");
    assert_eq!(
        count(&told, "rule 0 finished: the process cannot be watched"),
        1
    );
}

#[test]
fn n22_orders_are_answered_when_the_thread_never_began() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.machine.refuse(process, ErrorKind::NotPermitted);
    run.add(&["on app, when now or exit, do mini dump"]);
    let told = run.finish();
    assert_eq!(count(&told, "dump 1 failed"), 1, "{told:#?}");
    assert_eq!(count(&told, "7 refused: touching process 7 is refused"), 1);
    assert_eq!(
        count(&told, "rule 0 finished: the process cannot be watched"),
        1
    );
}

#[test]
fn n22_a_dump_at_once_beside_an_event_is_taken_by_who_follows() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when now or signal SIGUSR1, do mini dump; at most 2 dumps in all"]);
    run.until("1 dumped");
    run.machine.does(process, usr1());
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 2, "{told:#?}");
    assert_eq!(count(&told, "dump "), 0);
}

#[test]
fn n22_two_rules_about_one_process_do_not_fight_for_it() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&[
        "on app, when now, do mini dump; at most 1 dump in all",
        "on app, when exit, do mini dump; at most 1 dump in all",
    ]);
    run.until("rule 0 finished: count reached, 1 written");
    run.machine.does(process, exiting(3));
    run.until("7 trigger: Process end: exit code 3");
    run.machine.does(process, gone());
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 2, "{told:#?}");
}

#[test]
fn a_process_that_a_dump_holds_is_followed_when_that_lets_it_go() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when threads > 5, do mini dump; at most 1 dump in all"]);
    run.machine.hold_captures(process, true);
    run.threads(process, 6);
    run.wait("the capture", |machine| machine.captures(process) == 1);
    run.add(&["on app, when exit, do mini dump; at most 1 dump in all"]);
    run.step();
    assert_eq!(run.machine.armed(process), None);
    run.machine.hold_captures(process, false);
    run.until("7 armed");
    run.machine.does(process, exiting(0));
    let told = run.finish();
    assert_eq!(count(&told, "1 dumped"), 2, "{told:#?}");
    assert_eq!(count(&told, "7 refused"), 0);
}

#[test]
fn a_stack_waits_for_a_dump_of_the_same_process() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&[
        "on app, when threads > 5, do mini dump; at most 1 dump in all",
        "on app, when threads > 5, do log stack; at most 1 dump in all",
    ]);
    run.machine.hold_captures(process, true);
    run.threads(process, 6);
    run.wait("the capture", |machine| machine.captures(process) == 1);
    run.machine.hold_captures(process, false);
    run.until("7 stack");
    assert_eq!(run.machine.captures(process), 2);
}

#[test]
fn a_rule_that_is_taken_away_lets_its_process_go() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when exit, do mini dump"]);
    run.until("effective");
    run.runner.remove(policy::RuleId(0));
    run.wait("it to be let go", |machine| !machine.is_traced(process));
    let told = run.finish();
    assert_eq!(count(&told, "rule 0 finished: removed"), 1, "{told:#?}");
}

#[test]
fn whoever_ends_the_run_leaves_nothing_standing() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when signal SIGUSR1, do mini dump; at most 9 dumps in all"]);
    run.until("effective");
    run.machine.hold_captures(process, true);
    run.machine.does(process, usr1());
    run.wait("the capture", |machine| machine.captures(process) == 1);
    run.runner.handle().cancel();
    run.cancel.ask();
    run.machine.hold_captures(process, false);
    let machine = run.machine.clone();
    let told = run.finish();
    assert_eq!(count(&told, "7 trigger"), 1, "{told:#?}");
    assert_eq!(count(&told, "dump 1 failed") + count(&told, "1 dumped"), 1);
    assert!(!machine.is_traced(process) && !machine.is_standing(process));
}

#[test]
fn whoever_ends_the_run_waits_for_no_dump_that_was_not_begun() {
    let mut run = Timeline::new();
    let process = run.machine.start(7, "app");
    run.add(&["on app, when signal SIGUSR1, do mini dump"]);
    run.until("effective");
    run.machine.hold_captures(process, true);
    run.machine.does(process, usr1());
    run.wait("the capture", |machine| machine.captures(process) == 1);
    // Many more events come, each of which the rule would have dumped.
    for _ in 0..100 {
        run.machine.does(process, usr1());
    }
    run.runner.handle().cancel();
    run.step();
    run.machine.hold_captures(process, false);
    let machine = run.machine.clone();
    let told = run.finish();
    assert_eq!(count(&told, "7 trigger"), 1, "{told:#?}");
    assert_eq!(machine.captures(process), 1);
}
