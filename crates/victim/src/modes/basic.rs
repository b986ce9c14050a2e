//! Simple modes that work on every system.

use victim::Slot;

use super::Mode;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "idle", args: "", about: "one thread that waits for input", run: idle },
    Mode { name: "spin", args: "[THREADS]", about: "threads that count as fast as they can", run: spin },
    Mode { name: "leak", args: "MIB", about: "keeps MIB, and MIB more for each line of input", run: leak },
    Mode { name: "exit", args: "[CODE]", about: "ends when a line of input comes", run: exit },
];

fn idle(harness: &Harness) -> Outcome {
    harness.serve(|_| {})
}

fn spin(harness: &Harness) -> Outcome {
    let threads: usize = harness.arg(0, 1)?;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    harness.state.count(Slot::Counter);
                }
            });
        }
        harness.serve(|_| {})
    })
}

fn leak(harness: &Harness) -> Outcome {
    let bytes = harness.arg(0, 1_usize)? << 20;
    let mut kept = vec![vec![1_u8; bytes]];
    harness.serve(|_| kept.push(vec![1; bytes]))
}

fn exit(harness: &Harness) -> Outcome {
    let code: i32 = harness.arg(0, 0)?;
    harness.ready_until_input()?;
    quit(code)
}

#[expect(clippy::exit, reason = "to end suddenly is what this mode is for")]
fn quit(code: i32) -> Outcome {
    std::process::exit(code)
}
