//! A target that measures for how long it was kept from running, and how long its own fork(2) takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use victim::Slot;

use super::Mode;
use crate::harness::{Harness, Outcome, say};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "pause", args: "MIB [huge]", about: "random memory; says its largest gap when it is ended, and at SIGUSR1 how long a fork takes", run: pause },
];

/// How many rounds there are between two writes to memory. Each write goes to another page, so that
/// copy-on-write has something to copy.
const ROUNDS_PER_WRITE: usize = 64;

const PAGE: usize = 4096;

static STOP: AtomicBool = AtomicBool::new(false);
static FORK: AtomicBool = AtomicBool::new(false);

fn pause(harness: &Harness) -> Outcome {
    let bytes = harness.arg(0, 64_usize)? << 20;
    let is_huge = harness.arg(1, String::new())? == "huge";
    let memory = random_memory(bytes, is_huge)?;
    harness.address("memory", memory.as_ptr() as u64);
    on_signals();
    harness.ready();
    measure(harness, memory);
    let gap = Duration::from_nanos(harness.state.get(Slot::MaxGap));
    say(format_args!("gap {:.3}", gap.as_secs_f64() * 1e3));
    Ok(())
}

fn measure(harness: &Harness, memory: &mut [u64]) {
    let mut last = Instant::now();
    let mut rounds = 0;
    while !STOP.load(Ordering::Relaxed) {
        let now = Instant::now();
        let gap = (now - last).as_nanos() as u64;
        // A test may have set it to zero, to measure from then on.
        harness
            .state
            .set(Slot::MaxGap, gap.max(harness.state.get(Slot::MaxGap)));
        harness.state.count(Slot::Counter);
        last = now;
        if FORK.swap(false, Ordering::Relaxed) {
            say(format_args!("fork {:.3}", time_of_fork() * 1e3));
            // The fork is no gap that somebody else has caused.
            last = Instant::now();
        }
        rounds += 1;
        if rounds % ROUNDS_PER_WRITE == 0 {
            let words = PAGE / size_of::<u64>();
            let at = rounds / ROUNDS_PER_WRITE * words % memory.len();
            memory[at] = memory[at].wrapping_add(1);
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Allocates memory of pseudo-random words (xorshift64): no two pages are equal, and nothing can be
/// compressed.
pub(super) fn random_memory(
    bytes: usize,
    is_huge: bool,
) -> Result<&'static mut [u64], Box<dyn std::error::Error>> {
    let memory = allocate(bytes, is_huge)?;
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for word in memory.iter_mut() {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *word = x;
    }
    Ok(memory)
}

#[cfg(target_os = "linux")]
fn allocate(bytes: usize, is_huge: bool) -> std::io::Result<&'static mut [u64]> {
    let memory = super::mapping::Mapping::anonymous(bytes)?;
    memory.advise(if is_huge {
        libc::MADV_HUGEPAGE
    } else {
        libc::MADV_NOHUGEPAGE
    })?;
    // SAFETY: a fresh mapping of that size, aligned to a page and filled with zeros. It is never
    // unmapped, and nobody else has a reference into it.
    Ok(unsafe { std::slice::from_raw_parts_mut(memory.start.cast(), bytes / size_of::<u64>()) })
}

#[cfg(not(target_os = "linux"))]
fn allocate(bytes: usize, _: bool) -> std::io::Result<&'static mut [u64]> {
    Ok(Box::leak(
        vec![0; bytes / size_of::<u64>()].into_boxed_slice(),
    ))
}

/// Has SIGTERM and SIGINT end the measuring, and SIGUSR1 measure a fork.
#[cfg(unix)]
fn on_signals() {
    extern "C" fn stop(_: libc::c_int) {
        STOP.store(true, Ordering::Relaxed);
    }
    extern "C" fn fork(_: libc::c_int) {
        FORK.store(true, Ordering::Relaxed);
    }
    let [stop, fork]: [extern "C" fn(libc::c_int); 2] = [stop, fork];
    // SAFETY: the handlers only store to an atomic, which is allowed in signal handlers.
    unsafe {
        libc::signal(libc::SIGTERM, stop as libc::sighandler_t);
        libc::signal(libc::SIGINT, stop as libc::sighandler_t);
        libc::signal(libc::SIGUSR1, fork as libc::sighandler_t);
    }
}

/// How many seconds fork(2) takes in this process. The child ends at once. NaN if there cannot be one.
#[cfg(unix)]
fn time_of_fork() -> f64 {
    let start = Instant::now();
    // SAFETY: the child calls nothing but _exit, which is allowed in the child of any process.
    let child = unsafe { libc::fork() };
    let took = start.elapsed().as_secs_f64();
    match child {
        // SAFETY: it ends this process, which has nothing to tidy up.
        0 => unsafe { libc::_exit(0) },
        -1 => return f64::NAN,
        // SAFETY: no status is asked for.
        child => unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) },
    };
    took
}

/// Has a line of input, or its end, end the measuring: Windows has no signals.
#[cfg(not(unix))]
fn on_signals() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        STOP.store(true, Ordering::Relaxed);
    });
}

/// Windows has no fork, and nothing asks for one.
#[cfg(not(unix))]
fn time_of_fork() -> f64 {
    f64::NAN
}
