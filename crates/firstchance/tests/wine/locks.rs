//! What `inspect` says of threads that wait for locks of Windows.

use crate::machine::{firstchance, started, windows_path};
use crate::others::program;
use crate::support::{Firstchance, folder, wait_until};

/// Also where the functions have no names, as for who reads a dump on another machine.
#[test]
fn two_threads_that_lock_each_other_up_are_called_a_deadlock() {
    let (programs, dumps) = (folder(), folder());
    let target = started(&program(&programs, "critical.c"), &[]);
    let path = dumps.path().join("x.dmp");
    let to = windows_path(&path);
    let file = path.to_str().expect("a plain path");
    let inspected = |reader: fn(&[&str]) -> Firstchance, file: &str| {
        let json = reader(&["inspect", "--json", file]).run_well().stdout;
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON")
    };
    let mut here = serde_json::Value::Null;
    wait_until("both of its threads wait", || {
        let dump = [
            "dump",
            "--mini",
            "--overwrite",
            &target.pid_text(),
            "-o",
            &to,
        ];
        firstchance(&dump).run_well();
        here = inspected(Firstchance::new, file);
        here["deadlocks"] != serde_json::json!([])
    });
    for json in [here, inspected(firstchance, &to)] {
        let deadlocks = json["deadlocks"].as_array().expect("deadlocks");
        assert_eq!(deadlocks.len(), 1);
        let circle = deadlocks[0].as_array().expect("threads");
        assert_eq!(circle.len(), 2);
        let threads = json["threads"].as_array().expect("threads");
        for (id, other) in [(&circle[0], &circle[1]), (&circle[1], &circle[0])] {
            let thread = threads.iter().find(|thread| &thread["id"] == id);
            let waits = &thread.expect("a thread")["waits"];
            assert_eq!(&waits["owner"], other, "{waits}");
            let what = waits["what"].as_str().expect("a sentence");
            assert!(what.contains("critical section"), "{what}");
        }
    }
}
