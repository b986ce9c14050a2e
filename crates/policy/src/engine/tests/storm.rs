//! Exception storms: exceptions that come too fast are counted, and one a second is judged.

use super::{Machine, Time, check};
use std::fmt::Write;

/// The limit of these tests is 10 exceptions a second.
#[test]
fn a_storm_is_counted_and_sampled_and_its_end_is_said() {
    let mut timeline = "0s found 7\n".to_owned();
    for n in 1..=10 {
        let line = "7 throws A.B => 7: Exception: A.B; log stack of 7 (Exception: A.B)";
        writeln!(timeline, "{n}ms {line}").unwrap();
    }
    timeline += "11ms 7 throws A.B => storm in 7: 11 exceptions a second; suppressed in 7: exceptions come too fast to look at each (Exception: A.B)
         12ms 7 throws A.B
         1s due
         1001ms 7 throws C.D => 7: Exception: C.D; log stack of 7 (Exception: C.D)
         1002ms 7 throws C.D => suppressed in 7: exceptions come too fast to look at each (Exception: C.D)
         1003ms 7 counted 100 A.B
         2s due
         2001ms 7 dies of X.Y => 7: Unhandled: X.Y; log stack of 7 (Unhandled exception: X.Y)
         2002ms 7 throws C.D => 7: Exception: C.D; log stack of 7 (Exception: C.D)
         3s due => storm in 7 is over: 1 exceptions a second
         4s 7 exited => exceptions of 7: 112×A.B 3×C.D 1×X.Y; rule 0 finished: the process has exited, 0 written";
    check("on app, when exception, do log stack", &timeline);
}

#[test]
fn the_table_of_exceptions_has_bounds() {
    let mut machine = Machine::new(&["on app, when exception \"\", do none"], 1);
    machine.handle(Time::default(), "found 7");
    for n in 0..3000 {
        machine.handle(Time::from_secs(n), &format!("7 throws A.{n}"));
    }
    let table = machine.rules.exceptions(super::key("7"));
    assert_eq!(table.len(), 1001);
    assert_eq!((&table[0].name[..], table[0].count), ("(others)", 2000));
    assert_eq!(
        (table[0].first, table[0].last),
        (Time::from_secs(1000), Time::from_secs(2999))
    );
}
