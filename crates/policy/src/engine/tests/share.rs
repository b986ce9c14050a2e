//! Clauses that one event meets.

use super::*;

#[test]
fn n16_two_clauses_that_one_event_meets_share_a_dump() {
    check(
        "on app, when exception \"A\", do mini dump, at most 1 time; when exception, do mini dump, at most 2 times",
        "0s found 7
         1s 7 throws A.B => 7: Exception: A.B; dump 1 of 7: mini (Exception: A.B)
         2s written 1
         3s 7 throws C.D => 7: Exception: C.D; dump 2 of 7: mini (Exception: C.D)
         4s written 2 => rule 0 finished: count reached, 2 written",
    );
    check(
        "on app, when exception, do mini dump; when exception \"A\", do full dump",
        "0s found 7
         1s 7 throws A.B => 7: Exception: A.B; dump 1 of 7: mini (Exception: A.B); dump 2 of 7: full (Exception: A.B) behind 1",
    );
}
