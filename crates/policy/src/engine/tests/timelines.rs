//! One rule at a time: timers, events, limits, and the end of processes and rules.

use super::{check, check_needs, run};

/// The example in the documentation of the engine.
#[test]
fn the_engine_does_what_its_documentation_shows() {
    let reason = "cpu > 80% for 3s: 90%";
    check_needs(
        "on app, when cpu > 80% for 3s, do mini dump, at most 2 times",
        &format!(
            "0s found 7 => sample 7 every 1s: cpu
             0s 7 cpu 0%
             1s 7 cpu 90%
             2s 7 cpu 90%
             3s 7 cpu 90% => dump 1 of 7: mini ({reason})
             4s 7 cpu 90%
             5s 7 cpu 90%
             5s written 1
             6s 7 cpu 90%
             7s 7 cpu 90%
             8s 7 cpu 90% => dump 2 of 7: mini ({reason})
             9s written 2 => rule 0 finished: count reached, 2 written; sample 7 no more"
        ),
    );
}

#[test]
fn now_is_at_once_and_every_is_after_the_write() {
    check(
        "on app, when now, do mini and full dump",
        "0s found 7 => dump 1 of 7: mini and full (Manual dump)
         1s written 1 => rule 0 finished: count reached, 1 written",
    );
    check(
        "on 7, when every 30s, do full dump, at most 3 times",
        "5s found 7 => dump 1 of 7: full (every 30s)
         7s written 1
         37s due => dump 2 of 7: full (every 30s)
         77s written 2
         107s due => dump 3 of 7: full (every 30s)
         108s written 3 => rule 0 finished: count reached, 3 written",
    );
}

#[test]
fn a_dump_that_failed_does_not_count_and_is_tried_again_after_longer_and_longer_pauses() {
    check(
        "on app, when memory > 1MiB, do mini dump, at most 1 time; at most 1 dump in all",
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s failed 1
         2500ms 7 memory 2MiB => suppressed in 7: the last dump failed, the next try is in 500ms (memory > 1MiB: 2.00MiB)
         3s 7 memory 2MiB => dump 2 of 7: mini (memory > 1MiB: 2.00MiB)
         3s cancelled 2
         4s 7 memory 2MiB => suppressed in 7: the last dump failed, the next try is in 1s (memory > 1MiB: 2.00MiB)
         5s 7 memory 2MiB => dump 3 of 7: mini (memory > 1MiB: 2.00MiB)
         6s written 3 => rule 0 finished: count reached, 1 written",
    );
    check(
        "on app, when now, do mini dump",
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s failed 1 => rule 0 finished: it failed, 0 written",
    );
    check(
        "on app, when every 10s, do mini dump",
        "0s found 7 => dump 1 of 7: mini (every 10s)
         1s failed 1
         11s due => dump 2 of 7: mini (every 10s)",
    );
}

#[test]
fn a_dump_that_was_skipped_does_not_count_and_is_tried_again_a_second_later() {
    check(
        "on app, when exception \"E\", do mini dump, at most 1 time; at most 1 dump in all",
        "0s found 7
         1s 7 throws E => 7: Exception: E; dump 1 of 7: mini (Exception: E)
         2s skipped 1 => suppressed in 7: too many dumps of this process are still being written (Exception: E)
         2500ms 7 throws E => 7: Exception: E
         3s 7 throws E => 7: Exception: E; dump 2 of 7: mini (Exception: E)
         3s skipped 2 => suppressed in 7: too many dumps of this process are still being written (Exception: E)
         3500ms 7 dies of E => 7: Unhandled: E; dump 3 of 7: mini (Unhandled exception: E)
         4s written 3 => rule 0 finished: count reached, 1 written",
    );
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    check(
        "on app, when memory > 1MiB, do mini dump, at most 1 time",
        "0s written 1
         0s found 7
         0s 8 memory 2MiB
         0s 8 exited
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1 => rule 0 finished: count reached, 1 written
         3s failed 1
         3s written 1",
    );
}

#[test]
fn g2_exit_ends_a_rule_for_one_process_in_every_state() {
    let rule = "on app, when cpu > 50% for 2s, do mini dump, at most 2 times";
    check(
        rule,
        "0s found 7
         1s 7 exited => rule 0 finished: the process has exited, 0 written
         2s found 7/2",
    );
    check(
        rule,
        "0s found 7
         0s 7 cpu 0%
         1s 7 cpu 90%
         1500ms 7 exited => rule 0 finished: the process has exited, 0 written
         2s 7 cpu 90%",
    );
    check(
        rule,
        "0s found 7
         0s 7 cpu 0%
         2s 7 cpu 90% => dump 1 of 7: mini (cpu > 50% for 2s: 90%)
         3s 7 exited
         4s started 8
         5s written 1 => rule 0 finished: the process has exited, 1 written",
    );
    check(
        "on 7, when memory > 1MiB for 1s, do mini dump 3 times every 10s, at most 1 time",
        "0s found 7
         0s 7 memory 2MiB
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB for 1s: 2.00MiB)
         2s written 1
         3s 7 exited => rule 0 finished: count reached, 1 written
         12s tick",
    );
}

#[test]
fn g2_a_pid_that_comes_again_is_another_process() {
    check(
        "on each 7, when memory > 1MiB for 2s, do mini dump",
        "0s found 7
         0s 7 memory 2MiB
         1s found 7/2 => rule 0 finished: the process has exited, 0 written",
    );
    check(
        "on each app, when memory > 1MiB for 2s, do mini dump",
        "0s found 7
         0s 7 memory 2MiB
         1s started 7/2
         1s 7/2 memory 2MiB
         2s 7 memory 2MiB
         2s 7/2 memory 2MiB
         3s 7/2 memory 2MiB => dump 1 of 7: mini (memory > 1MiB for 2s: 2.00MiB)
         4s 7/2 exited
         5s written 1
         6s started 7/3",
    );
}

#[test]
fn which_processes_a_rule_follows() {
    let dumps = |follow: &str| format!("on {follow}, when now, do mini dump");
    check(
        &dumps("app"),
        "0s found 6 as other
         0s found 7 => dump 1 of 7: mini (Manual dump)
         0s found 8
         1s written 1 => rule 0 finished: count reached, 1 written",
    );
    check(
        &dumps("the next app"),
        "0s found 7
         1s started 8 => dump 1 of 8: mini (Manual dump)
         1s started 9
         1s written 1 => rule 0 finished: count reached, 1 written",
    );
    check(
        &dumps("each app"),
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s started 8 => dump 2 of 8: mini (Manual dump)
         2s written 1
         2s written 2
         3s 7 exited
         4s 8 exited
         5s started 9 => dump 3 of 9: mini (Manual dump)",
    );
    check(
        &dumps("app and its children"),
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s started 8 as sh under 7 => dump 2 of 8: mini (Manual dump)
         2s started 9 as cat under 8 => dump 3 of 9: mini (Manual dump)
         2s started 10 under 1
         3s written 1
         3s written 2
         3s written 3 => rule 0 finished: count reached, 3 written",
    );
}

#[test]
fn a_process_that_becomes_somebody_else_by_exec_is_looked_at_again() {
    check(
        "on app, when now, do mini dump",
        "0s started 7 as sh
         1s started 7 as app => dump 1 of 7: mini (Manual dump)
         1s started 7 as app",
    );
}

#[test]
fn one_dump_of_a_process_at_a_time_and_a_level_waits_for_its_turn() {
    let rules = [
        "on app, when memory > 1MiB, do full dump",
        "on each app, when threads > 5 for 1s, do mini dump",
    ];
    run(
        &rules,
        1,
        false,
        "0s found 7
         1s 7 memory 2MiB, threads 6 => dump 1 of 7: full (memory > 1MiB: 2.00MiB)
         2s 7 memory 2MiB, threads 6 => suppressed in 7: a dump of the process is still being written (threads > 5 for 1s: 6)
         3s 7 memory 2MiB, threads 6
         4s written 1
         5s 7 memory 1MiB, threads 6 => dump 2 of 7: mini (threads > 5 for 1s: 6)",
    );
}

#[test]
fn the_last_moment_of_a_process_is_never_lost_behind_another_dump() {
    check(
        "on app, when memory > 1MiB, do full dump; when unhandled exception, do full dump; skip while busy",
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: full (memory > 1MiB: 2.00MiB)
         2s 7 dies of SIGSEGV.SEGV_MAPERR => 7: Unhandled: SIGSEGV.SEGV_MAPERR; dump 2 of 7: full (Unhandled exception: SIGSEGV.SEGV_MAPERR) behind 1
         3s written 1
         4s written 2
         4s 7 exited => exceptions of 7: 1×SIGSEGV.SEGV_MAPERR; rule 0 finished: the process has exited, 2 written",
    );
}

#[test]
fn avoiding_an_outage_skips_what_would_have_to_wait() {
    for (skip, told) in [
        ("", "dump 2 of 7: mini (Exception: A.B) behind 1"),
        (
            "; skip while busy",
            "suppressed in 7: a dump of the process is still being written (Exception: A.B)",
        ),
    ] {
        check(
            &format!("on app, when exception, do mini dump{skip}"),
            &format!(
                "0s found 7
                 1s 7 throws A.B => 7: Exception: A.B; dump 1 of 7: mini (Exception: A.B)
                 2s 7 throws A.B => 7: Exception: A.B; {told}"
            ),
        );
    }
    check(
        "on app, when memory > 1MiB for 1s, do mini dump; when now, do full dump; skip while busy",
        "0s found 7 => dump 1 of 7: full (Manual dump)
         1s 7 memory 2MiB
         2s 7 memory 2MiB => suppressed in 7: a dump of the process is still being written (memory > 1MiB for 1s: 2.00MiB)
         2500ms written 1
         3s 7 memory 2MiB
         4s 7 memory 2MiB => dump 2 of 7: mini (memory > 1MiB for 1s: 2.00MiB)",
    );
}

#[test]
fn with_several_dumps_at_once_time_goes_on_while_one_is_written() {
    check(
        "on app, when every 5s, do full dump, at most 3 times; at most 2 dumps at once",
        "0s found 7 => dump 1 of 7: full (every 5s)
         5s due => dump 2 of 7: full (every 5s)
         10s tick
         11s written 1 => dump 3 of 7: full (every 5s)
         12s written 2
         13s written 3 => rule 0 finished: count reached, 3 written",
    );
}

#[test]
fn limits_hold_for_a_clause_a_rule_a_process_and_any_stretch_of_time() {
    check(
        "on each app, when exit, do mini dump, at most 1 time per process; when memory > 1MiB, do log stack, at most 2 times; at most 2 dumps in all",
        "0s found 7
         0s found 8
         0s found 9
         1s 7 ends 0 => dump 1 of 7: mini (Process end: exit code 0)
         1s 7 ends 0 => suppressed in 7: limit of 1 time for this condition reached (Process end: exit code 0)
         2s 8 ends -9 => dump 2 of 8: mini (Process end: by SIGKILL)
         3s 9 ends 0 => suppressed in 9: limit of 2 dumps of the rule reached (Process end: exit code 0)
         4s written 1
         4s written 2
         5s 9 memory 2MiB => log stack of 9 (memory > 1MiB: 2.00MiB)
         5s 9 memory 1MiB
         6s 9 memory 2MiB => log stack of 9 (memory > 1MiB: 2.00MiB); rule 0 finished: count reached, 2 written",
    );
    check(
        "on each app, when now, do mini dump; at most 2 dumps in 10m",
        "0s found 1 => dump 1 of 1: mini (Manual dump)
         60s found 2 => dump 2 of 2: mini (Manual dump)
         61s written 1
         61s written 2
         62s found 3 => suppressed in 3: limit of 2 dumps in 10m reached, the next may be in 9m (Manual dump)
         600s due => dump 3 of 3: mini (Manual dump)
         601s failed 3
         602s found 4 => dump 4 of 4: mini (Manual dump)
         603s found 5 => suppressed in 5: limit of 2 dumps in 10m reached, the next may be in 57s (Manual dump)
         660s due => dump 5 of 5: mini (Manual dump)",
    );
}

/// Whoever drives the run gives a process up when its dump has failed, which may be told before its end or behind it.
#[test]
fn n45_a_process_that_is_given_up_ends_the_rule_also_when_it_has_ended_already() {
    for order in [
        "2s failed 1\n3s 7 refused",
        "2s failed 1\n3s 7 exited\n4s 7 refused",
        "2s 7 exited\n3s failed 1\n4s 7 refused",
    ] {
        check(
            "on all app, when exit, do mini dump, at most 1 time per process",
            &format!(
                "0s found 7\n1s 7 ends 0 => dump 1 of 7: mini (Process end: exit code 0)
                 {order} => rule 0 finished: the process cannot be watched, 0 written"
            ),
        );
    }
}

#[test]
fn a_crash_loop_is_told_now_and_then() {
    let mut timeline = "0s found 7\n1s 7 throws A.B => 7: Exception: A.B; dump 1 of 7: mini (Exception: A.B)\n2s written 1\n".to_owned();
    for second in 3..=12 {
        let told = match second {
            3 => {
                "; suppressed in 7: limit of 1 dump in 1h reached, the next may be in 1h (Exception: A.B)"
            }
            12 => {
                "; suppressed in 7: limit of 1 dump in 1h reached, the next may be in 1h (Exception: A.B), 10 times in a row"
            }
            _ => "",
        };
        timeline += &format!("{second}s 7 throws A.B => 7: Exception: A.B{told}\n");
    }
    check(
        "on app, when exception, do mini dump; at most 1 dump in 1h",
        &timeline,
    );
}

#[test]
fn events_are_matched_and_their_reason_is_said() {
    let cases = [
        (
            "exception",
            "throws A.B no",
            "7: Exception: A.B (\"no\"); ",
            "Exception: A.B (\"no\")",
        ),
        (
            "exception \"B\" not \"C\"",
            "dies of A.B",
            "7: Unhandled: A.B; ",
            "Unhandled exception: A.B",
        ),
        (
            "signal SIGUSR1",
            "gets SIGUSR1",
            "",
            "Signal: SIGUSR1 from process 99",
        ),
        (
            "signal SIGSEGV",
            "throws SIGSEGV.X",
            "7: Exception: SIGSEGV.X; ",
            "Exception: SIGSEGV.X",
        ),
        ("breakpoint a!b", "reaches 0", "", "breakpoint a!b"),
        ("breakpoint exit", "ends 0", "", "Process end: exit code 0"),
        ("exit", "ends -11", "", "Process end: by SIGSEGV"),
        (
            "exit",
            "ends -1073741819",
            "",
            "Process end: exit code 0xC0000005",
        ),
        (
            "module load \"*.so\"",
            "loads /lib/x.so",
            "",
            "Module load: /lib/x.so",
        ),
        (
            "debug string",
            "prints a\u{1b}[0m",
            "7: Debug string: a\\u{1b}[0m; ",
            "Debug string: a\\u{1b}[0m",
        ),
    ];
    for (condition, event, log, reason) in cases {
        let rule = format!("on app, when {condition}, do log exception");
        let timeline = format!("0s found 7\n1s 7 {event} => {log}log exception of 7 ({reason})");
        check(&rule, &timeline);
    }
    for (condition, event, log) in [
        ("unhandled exception", "throws A.B", "7: Exception: A.B"),
        ("exception \"\"", "dies of A.B", "7: Unhandled: A.B"),
        ("signal SIGUSR1", "gets SIGUSR2", ""),
        ("breakpoint a!b", "reaches 1", ""),
        ("breakpoint a!b", "ends 0", ""),
        ("breakpoint exit", "ends -11", ""),
        ("breakpoint exit", "ends -1073741819", ""),
        ("module load \"*.so\"", "loads /lib.so/x", ""),
        ("module unload", "loads /lib.so", ""),
    ] {
        let rule = format!("on app, when {condition}, do log exception");
        check(&rule, &format!("0s found 7\n1s 7 {event} => {log}"));
    }
}

#[test]
fn what_only_shows_does_not_keep_a_rule() {
    check(
        "on app, when unhandled exception, do mini dump, at most 1 time; when exception \"\" not \"C\", do none",
        "0s found 7
         1s 7 throws A.B => 7: Exception: A.B
         2s 7 dies of A.B => 7: Unhandled: A.B; dump 1 of 7: mini (Unhandled exception: A.B)
         3s written 1 => rule 0 finished: count reached, 1 written",
    );
}

#[test]
fn a_polite_end_is_told_apart_from_a_crash() {
    check(
        "on app, when breakpoint exit, do mini dump; when exit, do log stack",
        "0s found 7
         1s 7 dies of SIGABRT.SI_TKILL => 7: Unhandled: SIGABRT.SI_TKILL
         2s 7 ends -6 => log stack of 7 (Process end: by SIGABRT)
         3s 7 exited => exceptions of 7: 1×SIGABRT.SI_TKILL; rule 0 finished: the process has exited, 0 written",
    );
}

#[test]
fn only_what_is_needed_is_sampled_and_attached_to() {
    check_needs(
        "on app, when memory > 1MiB and cpu > 1%, do none, at most 1 time; when unhandled exception or breakpoint a!b, do mini dump, at most 1 time",
        "0s found 6 as other
         0s found 7 => sample 7 every 1s: cpu, memory; attach to 7: unhandled exception or breakpoint a!b
         1s 7 cpu 5%, memory 2MiB
         2s 7 cpu 5%, memory 2MiB => tell of 7 (memory > 1MiB and cpu > 1%: 2.00MiB, 5.0%); sample 7 no more
         3s 7 dies of A.B => 7: Unhandled: A.B; dump 1 of 7: mini (Unhandled exception: A.B)
         4s written 1 => rule 0 finished: count reached, 1 written; detach from 7",
    );
    check_needs(
        "on each app, when memory > 1MiB, do mini dump; at most 1 dump in all",
        "0s found 7 => sample 7 every 1s: memory
         0s found 8 => sample 8 every 1s: memory
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1 => rule 0 finished: count reached, 1 written; sample 7 no more; sample 8 no more",
    );
    check_needs(
        "on app, when now, do mini dump",
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s failed 1 => rule 0 finished: it failed, 0 written",
    );
}

/// `-w` and `-pgid` of ProcDump for Linux.
#[test]
fn n44_a_rule_about_all_ends_with_those_that_it_found() {
    // Each has its dumps, and the rule is over.
    check(
        "on all app, when memory > 1MiB, do mini dump, at most 1 time per process",
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         3s 8 memory 2MiB => dump 2 of 8: mini (memory > 1MiB: 2.00MiB)
         4s written 2 => rule 0 finished: count reached, 2 written",
    );
    // One that ends without a dump is followed by another of its name.
    check(
        "on all app, when memory > 1MiB, do mini dump, at most 1 time per process",
        "0s found 7
         1s 7 exited
         2s started 9
         3s 9 memory 2MiB => dump 1 of 9: mini (memory > 1MiB: 2.00MiB)
         4s written 1 => rule 0 finished: count reached, 1 written",
    );
    // One had its dump and ended, the other ends without.
    check(
        "on all app, when memory > 1MiB, do mini dump, at most 1 time per process",
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         3s 7 exited
         4s 8 exited => rule 0 finished: count reached, 1 written",
    );
}

/// `-pgid`: it is told whether each process of the group had its dumps.
#[test]
fn n44_a_rule_about_a_group_has_all_dumps_only_if_each_process_had_its_own() {
    let once = "on all group:44, when memory > 1MiB, do mini dump, at most 1 time per process";
    check(
        once,
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         3s 7 exited
         4s 8 exited => rule 0 finished: the process has exited, 1 written",
    );
    check(
        once,
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s 8 exited
         3s written 1 => rule 0 finished: the process has exited, 1 written",
    );
    check(
        once,
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s 8 refused
         3s written 1 => rule 0 finished: the process cannot be watched, 1 written",
    );
    check(
        once,
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s 8 memory 2MiB => dump 2 of 8: mini (memory > 1MiB: 2.00MiB)
         3s 7 exited
         4s written 1
         5s written 2 => rule 0 finished: count reached, 2 written",
    );
    // The dump at once failed, because the process had ended.
    check(
        "on all group:44, when now, do mini dump, at most 1 time per process",
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s 7 exited
         2s failed 1 => rule 0 finished: the process has exited, 0 written",
    );
    check(
        "on all app, when now, do mini dump, at most 1 time per process",
        "0s found 7 => dump 1 of 7: mini (Manual dump)
         1s 7 exited
         2s failed 1
         3s started 8 => dump 2 of 8: mini (Manual dump)",
    );
}
