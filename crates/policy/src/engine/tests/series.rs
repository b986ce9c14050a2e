//! Series: several dumps, at intervals, for one trigger.

use super::check;
use std::fmt::Write;

/// The default userdump series of DebugDiag's performance rules: 10 minis, then 1 full.
#[test]
fn debugdiags_default_series_is_ten_minis_then_one_full() {
    let mut timeline = "0s found 7\n0s 7 cpu 0%\n".to_owned();
    for second in 1..10 {
        writeln!(timeline, "{second}s 7 cpu 99%").unwrap();
    }
    let reason = "cpu > 85% for 10s: 99%";
    writeln!(timeline, "10s 7 cpu 99% => dump 1 of 7: mini ({reason})").unwrap();
    let mut now = 10;
    for dump in 1..=10 {
        // Each dump takes 2 s to write, and the interval begins when it is written. What CPU does in the
        // meantime does not matter to a series that has begun.
        writeln!(
            timeline,
            "{}s written {dump}\n{}s 7 cpu 1%",
            now + 2,
            now + 3
        )
        .unwrap();
        now += 12;
        let kind = if dump == 10 { "full" } else { "mini" };
        writeln!(
            timeline,
            "{now}s due => dump {} of 7: {kind} ({reason})",
            dump + 1
        )
        .unwrap();
    }
    writeln!(
        timeline,
        "{}s written 11 => rule 0 finished: count reached, 11 written",
        now + 5
    )
    .unwrap();
    check(
        "on app, when cpu > 85% for 10s, do mini dump 10 times every 10s then full dump, at most 1 time",
        &timeline,
    );
}

#[test]
fn a_series_counts_once_for_its_clause_and_each_time_for_its_rule() {
    check(
        "on app, when memory > 1MiB, do mini dump 2 times every 10s then full dump; at most 4 dumps in all",
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         12s due => dump 2 of 7: mini (memory > 1MiB: 2.00MiB)
         13s written 2
         23s due => dump 3 of 7: full (memory > 1MiB: 2.00MiB)
         24s written 3
         24s 7 memory 1MiB
         25s 7 memory 2MiB => dump 4 of 7: mini (memory > 1MiB: 2.00MiB)
         26s written 4
         36s due => suppressed in 7: limit of 4 dumps of the rule reached (memory > 1MiB: 2.00MiB); rule 0 finished: count reached, 4 written",
    );
}

#[test]
fn a_series_waits_for_other_dumps_and_for_windows() {
    super::run(
        &[
            "on app, when memory > 1MiB, do mini dump 2 times every 10s, at most 1 time; at most 1 dump in 30s",
            "on app, when threads > 5, do full dump, at most 1 time",
        ],
        1,
        false,
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         12s due => suppressed in 7: limit of 1 dump in 30s reached, the next may be in 19s (memory > 1MiB: 2.00MiB)
         30s 7 threads 6 => dump 2 of 7: full (threads > 5: 6)
         31s due => suppressed in 7: a dump of the process is still being written (memory > 1MiB: 2.00MiB)
         40s written 2 => dump 3 of 7: mini (memory > 1MiB: 2.00MiB); rule 1 finished: count reached, 1 written
         41s written 3 => rule 0 finished: count reached, 2 written",
    );
}

#[test]
fn a_series_whose_first_dump_fails_never_began_and_a_later_failure_does_not_stop_it() {
    check(
        "on app, when memory > 1MiB, do mini dump 3 times every 10s, at most 1 time",
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s failed 1
         4s 7 memory 2MiB => dump 2 of 7: mini (memory > 1MiB: 2.00MiB)
         5s written 2
         15s due => dump 3 of 7: mini (memory > 1MiB: 2.00MiB)
         16s failed 3
         26s due => dump 4 of 7: mini (memory > 1MiB: 2.00MiB)
         27s written 4 => rule 0 finished: count reached, 2 written",
    );
}

#[test]
fn a_series_of_log_lines_needs_no_answers() {
    check(
        "on app, when signal SIGUSR1, do log stack 2 times every 5s then none, at most 1 time",
        "0s found 7
         1s 7 gets SIGUSR1 => log stack of 7 (Signal: SIGUSR1 from process 99)
         2s 7 gets SIGUSR1 => suppressed in 7: limit of 1 time for this condition reached (Signal: SIGUSR1 from process 99)
         6s due => log stack of 7 (Signal: SIGUSR1 from process 99)
         11s due => tell of 7 (Signal: SIGUSR1 from process 99); rule 0 finished: count reached, 0 written",
    );
}
