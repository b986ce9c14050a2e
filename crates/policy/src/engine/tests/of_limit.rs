//! Levels as a part of the limit of the control group.

use super::{check, check_needs};

#[test]
fn n25_cpu_of_limit_is_that_of_the_processors_the_process_may_use() {
    // The machine of these tests has four processors; the process may use half of one.
    check_needs(
        "on app, when cpu >= 85% of limit for 2s, do mini dump, at most 1 time",
        "0s found 7 => sample 7 every 1s: cpu, cpu limit
         0s 7 cpu 0%, limit 0.5
         1s 7 cpu 40%, limit 0.5
         2s 7 cpu 45%, limit 0.5
         3s 7 cpu 45%, limit 0.5 => dump 1 of 7: mini (cpu >= 85% of limit for 2s: 90%)
         4s written 1 => rule 0 finished: count reached, 1 written; sample 7 no more",
    );
}

#[test]
fn n25_memory_of_limit_is_that_of_the_group() {
    check(
        "on app, when memory >= 90% of limit, do full dump, at most 1 time",
        "0s found 7
         0s 7 group 0.5
         1s 7 group 0.89
         2s 7 group 0.95 => dump 1 of 7: full (memory >= 90% of limit: 95%)
         3s written 1 => rule 0 finished: count reached, 1 written",
    );
}

#[test]
fn n25_without_a_limit_nothing_is_met() {
    check(
        "on app, when cpu >= 0% of limit, do mini dump, at most 1 time",
        "0s found 7
         0s 7 cpu 50%
         1s 7 cpu 50%
         2s 7 cpu 50%",
    );
}
