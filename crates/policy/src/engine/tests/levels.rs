//! Levels: how long they have to hold, and when they count again.

use super::{check, run};

#[test]
fn g2_seconds_are_consecutive_and_a_dip_resets_them() {
    check(
        "on app, when cpu >= 85% for 3s, do full dump, at most 1 time",
        "0s found 7
         0s 7 cpu 0%
         1s 7 cpu 100%
         2s 7 cpu 100%
         3s 7 cpu 84%
         4s 7 cpu 90%
         5s 7 cpu 90%
         6s 7 cpu 90% => dump 1 of 7: full (cpu >= 85% for 3s: 90%)
         7s 7 cpu 100%
         8s written 1 => rule 0 finished: count reached, 1 written",
    );
}

#[test]
fn g2_after_a_dump_the_seconds_count_anew() {
    check(
        "on 7, when memory >= 1GiB for 2s, do mini dump, at most 2 times",
        "0s found 7
         1s 7 memory 1GiB
         2s 7 memory 2GiB
         3s 7 memory 1GiB => dump 1 of 7: mini (memory >= 1GiB for 2s: 1.00GiB)
         4s 7 memory 1GiB
         9s 7 memory 1GiB
         9500ms written 1 => sample 7 now
         9500ms 7 memory 1GiB
         10s 7 memory 1GiB
         11s 7 memory 1GiB
         11500ms due => sample 7 now
         11500ms 7 memory 1GiB => dump 2 of 7: mini (memory >= 1GiB for 2s: 1.00GiB)
         13s written 2 => rule 0 finished: count reached, 2 written",
    );
}

/// ProcDump's `-s 2 -c 10 -n 2`: two seconds of it, counted from the beginning and from the end of a dump.
#[test]
fn n46_consecutive_seconds_of_cpu_are_not_one_sample_late() {
    check(
        "on 7, when cpu >= 10% for 2s, do mini dump, at most 2 times",
        "0s found 7
         0s 7 cpu 0%
         1s 7 cpu 100%
         2s 7 cpu 100% => dump 1 of 7: mini (cpu >= 10% for 2s: 100%)
         2500ms written 1
         3s 7 cpu 100%
         4s 7 cpu 100%
         4500ms due => sample 7 now
         4500ms 7 cpu 100% => dump 2 of 7: mini (cpu >= 10% for 2s: 100%)",
    );
}

/// The same of ProcDump for Linux, where `-s` is the time between two dumps: the sample before was a moment too early.
#[test]
fn n45_a_time_between_two_dumps_is_over_when_it_is_over() {
    check(
        "on all app, when memory > 1MiB, do mini dump, at most 3 times per process; at most 1 dump in 2s per process",
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         1100ms written 1
         2s 7 memory 2MiB => suppressed in 7: limit of 1 dump in 2s reached, the next may be in 1s (memory > 1MiB: 2.00MiB)
         2999ms 7 memory 2MiB
         3s due => sample 7 now
         3s 7 memory 2MiB => dump 2 of 7: mini (memory > 1MiB: 2.00MiB)
         3100ms written 2
         4s 7 memory 2MiB => suppressed in 7: limit of 1 dump in 2s reached, the next may be in 1s (memory > 1MiB: 2.00MiB)
         4500ms 7 memory 1MiB
         5s 7 memory 1MiB
         6s 7 memory 2MiB => dump 3 of 7: mini (memory > 1MiB: 2.00MiB)",
    );
}

#[test]
fn n58_a_level_without_a_duration_counts_again_after_it_was_not_met() {
    check(
        "on app, when memory > 1MiB or threads > 5, do mini dump, at most 3 times",
        "0s found 7
         1s 7 memory 2MiB, threads 6 => dump 1 of 7: mini (memory > 1MiB: 2.00MiB); suppressed in 7: the one that just begins is of the same moment (threads > 5: 6)
         2s written 1
         3s 7 memory 2MiB, threads 6
         4s 7 memory 3MiB, threads 1
         5s 7 memory 2MiB, threads 6 => dump 2 of 7: mini (threads > 5: 6)
         6s failed 2
         8s 7 memory 2MiB, threads 6 => dump 3 of 7: mini (memory > 1MiB: 2.00MiB); suppressed in 7: the one that just begins is of the same moment (threads > 5: 6)
         9s written 3
         10s 7 memory 1MiB, threads 6
         11s 7 memory 2MiB, threads 6 => dump 4 of 7: mini (memory > 1MiB: 2.00MiB)
         12s written 4 => rule 0 finished: count reached, 3 written",
    );
}

/// The first of them took all dumps where a limit in time lets it count again, or each has to last.
#[test]
fn n45_conditions_of_one_line_take_turns() {
    check(
        "on 7, when memory > 1MiB or threads > 5 or handles > 1, do mini dump, at most 4 times; at most 1 dump in 2s",
        "0s found 7
         1s 7 memory 2MiB, threads 6, handles 2 => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         1100ms written 1
         3s 7 memory 2MiB, threads 6, handles 2 => dump 2 of 7: mini (threads > 5: 6)
         3100ms written 2
         5s 7 memory 2MiB, threads 6, handles 2 => dump 3 of 7: mini (handles > 1: 2)
         5100ms written 3
         7s 7 memory 2MiB, threads 6, handles 2 => dump 4 of 7: mini (memory > 1MiB: 2.00MiB)",
    );
    check(
        "on 7, when memory > 1MiB or threads > 5, do mini dump, at most 3 times; at most 1 dump in 9s for each condition",
        "0s found 7
         1s 7 memory 2MiB, threads 6 => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         1100ms written 1
         2s 7 memory 2MiB, threads 6 => dump 2 of 7: mini (threads > 5: 6)
         2100ms written 2
         3s 7 memory 2MiB, threads 6 => suppressed in 7: limit of 1 dump in 9s reached, the next may be in 7s (memory > 1MiB: 2.00MiB)
         10s due => sample 7 now
         10s 7 memory 2MiB, threads 6 => dump 3 of 7: mini (memory > 1MiB: 2.00MiB)",
    );
    check(
        "on 7, when memory > 1MiB for 1s or threads > 5 for 1s, do mini dump, at most 2 times",
        "0s found 7
         1s 7 memory 2MiB, threads 6
         2s 7 memory 2MiB, threads 6 => dump 1 of 7: mini (memory > 1MiB for 1s: 2.00MiB)
         2100ms written 1 => sample 7 now
         2100ms 7 memory 2MiB, threads 6
         4s 7 memory 2MiB, threads 6 => dump 2 of 7: mini (threads > 5 for 1s: 6)",
    );
}

/// Where the rule has a limit in time, that decides.
#[test]
fn n58_a_level_without_a_duration_counts_again_where_a_time_is_named() {
    check(
        "on app, when memory > 1MiB, do mini dump, at most 2 times; at most 1 dump in 10s",
        "0s found 7
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         3s 7 memory 2MiB => suppressed in 7: limit of 1 dump in 10s reached, the next may be in 8s (memory > 1MiB: 2.00MiB)
         12s 7 memory 2MiB => dump 2 of 7: mini (memory > 1MiB: 2.00MiB)
         13s written 2 => rule 0 finished: count reached, 2 written",
    );
}

#[test]
fn n45_with_a_time_per_process_none_waits_for_another() {
    check(
        "on all app, when memory > 1MiB, do mini dump, at most 2 times per process; at most 1 dump in 10s per process",
        "0s found 7
         0s found 8
         1s 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB: 2.00MiB)
         2s written 1
         3s 8 memory 2MiB => dump 2 of 8: mini (memory > 1MiB: 2.00MiB)
         4s written 2
         5s 8 memory 2MiB => suppressed in 8: limit of 1 dump in 10s reached, the next may be in 8s (memory > 1MiB: 2.00MiB)
         12s 7 memory 2MiB => dump 3 of 7: mini (memory > 1MiB: 2.00MiB)",
    );
}

#[test]
fn g2_thresholds_are_exact() {
    for (when, at, value, below) in [
        ("handles >= 10", "handles 10", "10", "handles 9"),
        ("handles > 10", "handles 11", "11", "handles 10"),
        ("handles <= 10", "handles 10", "10", "handles 11"),
        ("handles < 10", "handles 9", "9", "handles 10"),
        ("counter \"c\" > 2", "c 2.0001", "2", "c 2"),
        ("hang", "hang 1", "hangs", "hang 0"),
        (
            "http \"http://u\" slower than 4s",
            "http inf",
            "no answer",
            "http 4000",
        ),
    ] {
        let rule = format!("on app, when {when}, do none, at most 1 time");
        check(
            &rule,
            &format!(
                "0s found 7
                 1s 7 {below}
                 2s 7 {at} => tell of 7 ({when}: {value}); rule 0 finished: count reached, 0 written"
            ),
        );
    }
}

#[test]
fn cpu_is_of_all_processors_unless_it_is_of_one() {
    for (gauge, shown) in [("cpu >= 50%", "50%"), ("core-cpu >= 200%", "200%")] {
        run(
            &[&format!("on app, when {gauge}, do mini dump")],
            4,
            false,
            &format!(
                "0s found 7
                 1s 7 cpu 300%
                 2s 7 cpu 199%
                 3s 7 cpu 200% => dump 1 of 7: mini ({gauge}: {shown})"
            ),
        );
    }
}

#[test]
fn g2_a_counter_that_wraps_or_goes_back_proves_nothing() {
    check(
        "on app, when cpu > 50% for 2s, do mini dump",
        "0s found 7
         0s 7 used 4294966s
         1s 7 used 4294967s
         2s 7 used 1s
         3s 7 used 2s
         4s 7 used 3s => dump 1 of 7: mini (cpu > 50% for 2s: 100%)",
    );
    check(
        "on app, when cpu < 5% for 1s, do mini dump",
        "0s found 7
         0s 7 used 10s
         1s 7 used 9s
         1050ms 7 used 9s
         2s 7 used 9s => dump 1 of 7: mini (cpu < 5% for 1s: 0.0%)",
    );
}

#[test]
fn what_is_not_known_does_not_hold() {
    check(
        "on app, when memory < 1GiB for 2s, do mini dump",
        "0s found 7
         1s 7 memory 1MiB
         2s 7 rss 1MiB
         3s 7 memory 1MiB
         4s 7 memory nan
         5s 7 memory 1MiB
         6s 7 memory 1MiB
         7s 7 memory 1MiB => dump 1 of 7: mini (memory < 1GiB for 2s: 1.00MiB)",
    );
}

#[test]
fn joined_levels_hold_together_for_the_whole_time() {
    check(
        "on app, when cpu >= 50% and memory > 1MiB for 2s, do mini dump",
        "0s found 7
         0s 7 cpu 0%, memory 2MiB
         1s 7 cpu 60%, memory 1MiB
         2s 7 cpu 60%, memory 2MiB
         3s 7 cpu 40%, memory 2MiB
         4s 7 cpu 50%, memory 2MiB
         5s 7 cpu 60%, memory 2MiB
         6s 7 cpu 60%, memory 2MiB => dump 1 of 7: mini (cpu >= 50% and memory > 1MiB for 2s: 60%, 2.00MiB)",
    );
}

#[test]
fn several_conditions_mean_or_and_act_once_for_one_moment() {
    check(
        "on app, when memory > 1MiB or threads > 5 or exit, do mini dump, at most 3 times",
        "0s found 7
         1s 7 memory 1MiB, threads 6 => dump 1 of 7: mini (threads > 5: 6)
         2s written 1
         3s 7 memory 2MiB, threads 6 => dump 2 of 7: mini (memory > 1MiB: 2.00MiB)
         4s written 2
         5s 7 ends 3 => dump 3 of 7: mini (Process end: exit code 3)
         6s written 3 => rule 0 finished: count reached, 3 written",
    );
}

#[test]
fn a_level_that_has_held_long_enough_is_sampled_at_once() {
    check(
        "on app, when memory > 1MiB for 1500ms, do mini dump",
        "0s found 7
         1s 7 memory 2MiB
         2s 7 memory 2MiB
         2500ms due => sample 7 now
         2500ms 7 memory 2MiB => dump 1 of 7: mini (memory > 1MiB for 1500ms: 2.00MiB)",
    );
}
