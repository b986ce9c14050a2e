//! Many threads, and threads that come and go.

use std::sync::mpsc::{Sender, channel};

use victim::Slot;

use super::Mode;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "threads", args: "N", about: "named threads with known registers and stacks", run: threads },
    Mode { name: "churn", args: "[N]", about: "N threads that start short-lived threads", run: churn },
];

/// The size of a stack in bytes: small, so that ten thousand threads fit on every machine.
const STACK: usize = 64 << 10;

/// Starts threads. Worker `i` is named `worker-i`, and sleeps with `i` in its registers and on its
/// stack, on the processors that [`wait_marked`] knows.
fn threads(harness: &Harness) -> Outcome {
    let count: u64 = harness.arg(0, 4)?;
    let (started, all_started) = channel();
    for index in 0..count {
        let started = started.clone();
        let builder = std::thread::Builder::new().name(format!("worker-{index}"));
        builder
            .stack_size(STACK)
            .spawn(move || worker(index, &started))?;
    }
    all_started.iter().take(count as usize).for_each(drop);
    harness.serve(|_| {})
}

fn worker(index: u64, started: &Sender<()>) {
    // The receiver may be gone already.
    let _ = started.send(());
    wait_marked(index)
}

/// Sleeps for ever with `MARK | index` in rbx, rbp and r12 to r15, and at the top of the stack.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[inline(never)]
fn wait_marked(index: u64) -> ! {
    /// `0x6d61726b` is "mark".
    const MARK: u64 = 0x6d61_726b_0000_0000;
    // SAFETY: a loop around the system call `pause` that is never left, so that it does not matter
    // which registers it changes.
    unsafe {
        std::arch::asm!(
            "push rax",
            "mov rbx, rax",
            "mov rbp, rax",
            "mov r12, rax",
            "mov r13, rax",
            "mov r14, rax",
            "mov r15, rax",
            "2:",
            "mov eax, {pause}",
            "syscall",
            "jmp 2b",
            pause = const libc::SYS_pause,
            in("rax") MARK | index,
            options(noreturn),
        )
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn wait_marked(_: u64) -> ! {
    crate::harness::rest()
}

fn churn(harness: &Harness) -> Outcome {
    let count: usize = harness.arg(0, 4)?;
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| spawn_for_ever(harness));
        }
        harness.serve(|_| {})
    })
}

fn spawn_for_ever(harness: &Harness) -> ! {
    loop {
        std::thread::scope(|scope| {
            let child = std::thread::Builder::new().stack_size(STACK);
            let work = || harness.state.count(Slot::Counter);
            if child.spawn_scoped(scope, work).is_err() {
                std::thread::yield_now();
            }
        });
    }
}
