//! Ways to crash. Each waits for a line of input first, so that a test can get ready.

use super::Mode;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "segv", args: "", about: "writes to address 0x10", run: segv },
    Mode { name: "abort", args: "", about: "calls abort", run: abort },
    Mode { name: "panic", args: "", about: "a Rust panic in a thread", run: panic },
    Mode { name: "illegal", args: "", about: "an instruction that is none", run: illegal },
    Mode { name: "overflow", args: "", about: "runs out of stack", run: overflow },
];

fn segv(harness: &Harness) -> Outcome {
    harness.ready_until_input()?;
    // SAFETY: it is not sound: the fault is the purpose.
    unsafe { std::ptr::without_provenance_mut::<u32>(0x10).write_volatile(1) };
    Ok(())
}

fn abort(harness: &Harness) -> Outcome {
    harness.ready_until_input()?;
    std::process::abort()
}

fn panic(harness: &Harness) -> Outcome {
    harness.ready_until_input()?;
    let thread = std::thread::Builder::new().name("panicker".to_owned());
    let thread = thread.spawn(|| panic!("the victim panics on request"))?;
    thread.join().map_err(|_| "the thread panicked".into())
}

fn illegal(harness: &Harness) -> Outcome {
    harness.ready_until_input()?;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it is not sound: the fault is the purpose.
    unsafe {
        std::arch::asm!("ud2", options(noreturn));
    }
    #[cfg(not(target_arch = "x86_64"))]
    Err("not on this processor".into())
}

fn overflow(harness: &Harness) -> Outcome {
    harness.ready_until_input()?;
    harness.fact("depth", deeper(1));
    Ok(())
}

#[expect(unconditional_recursion, reason = "to run out of stack is the purpose")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    frame[0] + deeper(std::hint::black_box(depth + 1))
}
