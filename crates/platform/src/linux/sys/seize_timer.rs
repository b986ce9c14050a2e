//! A way out of the deadlock between seizing a thread and that thread's execve(2).
//!
//! Situation: one thread of the target executes a new program while we hold another. The kernel
//! first ends all other threads and waits for them; a traced one waits in `PTRACE_EVENT_EXIT` for
//! us, or as a zombie to be reaped by us. All that time the first thread holds `cred_guard_mutex`,
//! which `PTRACE_SEIZE` of it waits for: we wait for it, it for the others, the others for us. Seen
//! with the victim's mode `exec-by-thread`; both sides hung until we were killed.
//!
//! Handled here: a seize that takes too long is interrupted by a timer, whose signal handler
//! releases all threads that are ending: from the second signal on that comes during a seize. The kernel then restarts the seize by itself.
//!
//! Another tracer may hold one of those threads, for ever. Then the seize must not be restarted: the handler has the
//! thread return from it with EINTR, as a call does that a signal has interrupted.
//!
//! Tests: `b15_a_target_that_becomes_another_program_is_let_go`,
//! `n43_a_process_that_hangs_in_an_execve_is_given_up`.

use super::restart::give_up_restart;
use std::{
    io, mem, ptr,
    sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering},
    time::Duration,
};

/// A seize that takes longer than this waits for something.
const TOO_LONG: Duration = Duration::from_millis(50);

/// A seize that was interrupted so often is given up.
const MOST_INTERRUPTIONS: usize = 20;

/// How many released threads are remembered; further ones seem to be still stopping.
const MOST: usize = 256;

thread_local! {
    /// Whether this OS thread is in a seize, so that the handler may act.
    static SEIZING: AtomicBool = const { AtomicBool::new(false) };
    /// How often the seize was interrupted.
    static INTERRUPTIONS: AtomicUsize = const { AtomicUsize::new(0) };
    /// The threads that the handler released.
    static LET_GO: LetGo = const { LetGo::new() };
}

/// A list to which the signal handler of the same thread adds: of atomics, because only those may be shared with a
/// handler, and of a fixed size, because a handler must not allocate.
struct LetGo {
    count: AtomicUsize,
    threads: [AtomicI32; MOST],
}

impl LetGo {
    const fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            threads: [const { AtomicI32::new(0) }; MOST],
        }
    }

    fn add(&self, thread: i32) {
        let count = self.count.load(Ordering::Relaxed);
        if let Some(free) = self.threads.get(count) {
            free.store(thread, Ordering::Relaxed);
            self.count.store(count + 1, Ordering::Release);
        }
    }

    /// Returns the list, and clears it. The handler must not run meanwhile.
    fn take(&self) -> Vec<i32> {
        let count = self.count.swap(0, Ordering::Acquire);
        let threads = self.threads[..count].iter();
        threads
            .map(|thread| thread.load(Ordering::Relaxed))
            .collect()
    }
}

/// A timer of this OS thread, which sends its signal again and again until this is dropped. (It was set for each seize, which
/// took longer than a fifth of the seizes of a process with thousands of threads.)
pub(crate) struct SeizeTimer {
    timer: Option<libc::timer_t>,
}

impl SeizeTimer {
    /// Makes the timer. If that fails, a seize may hang as it does without a timer.
    pub(crate) fn new() -> Self {
        let timer = Self {
            timer: make_timer().ok(),
        };
        timer.arm(TOO_LONG);
        timer
    }

    /// Runs a seize under the timer. Returns its result, and the threads that were released
    /// meanwhile.
    pub(crate) fn guard<T>(&self, seize: impl FnOnce() -> T) -> (T, Vec<i32>) {
        INTERRUPTIONS.with(|count| count.store(0, Ordering::Release));
        SEIZING.with(|seizing| seizing.store(true, Ordering::Release));
        let result = seize();
        SEIZING.with(|seizing| seizing.store(false, Ordering::Release));
        (result, LET_GO.with(LetGo::take))
    }

    /// Lets the timer send its signal every `period`.
    fn arm(&self, period: Duration) {
        let Some(timer) = self.timer else {
            return;
        };
        let period = libc::timespec {
            tv_sec: 0,
            tv_nsec: i64::from(period.subsec_nanos()),
        };
        let setting = libc::itimerspec {
            it_interval: period,
            it_value: period,
        };
        // SAFETY: our own timer; the setting lives during the call.
        unsafe { libc::timer_settime(timer, 0, &raw const setting, ptr::null_mut()) };
    }
}

impl Drop for SeizeTimer {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            // SAFETY: our own timer, deleted once.
            unsafe { libc::timer_delete(timer) };
        }
    }
}

fn make_timer() -> io::Result<libc::timer_t> {
    let signal = libc::SIGRTMAX() - 3;
    // SAFETY: the structures consist of integers and pointers, for which zeros are valid. The
    // handler only does what a handler may do (see there), and the event names this very thread.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        action.sa_sigaction = on_timer as Handler as libc::sighandler_t;
        // The kernel makes an interrupted seize again in any case.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        if libc::sigaction(signal, &raw const action, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut event: libc::sigevent = mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer: libc::timer_t = mem::zeroed();
        match libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) {
            0 => Ok(timer),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// The signal handler. It makes only system calls, and uses only thread-locals of atomics, which need no
/// initialisation. It neither allocates nor locks.
extern "C" fn on_timer(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if !SEIZING.with(|seizing| seizing.load(Ordering::Acquire)) {
        return;
    }
    let interruptions = INTERRUPTIONS.with(|count| count.fetch_add(1, Ordering::AcqRel));
    if interruptions == 0 {
        // It may have begun just now.
        return;
    }
    // SAFETY: the address of this thread's errno, which the interrupted code may be about to read.
    let errno = unsafe { *libc::__errno_location() };
    while let Some(tid) = let_go_of_one() {
        LET_GO.with(|list| list.add(tid));
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    if interruptions >= MOST_INTERRUPTIONS {
        // SAFETY: the third argument of a handler with SA_SIGINFO is the context to which it returns (sigaction(2)), which
        // is the handler's alone until then.
        unsafe { give_up_restart(&mut *context.cast(), libc::SYS_ptrace) };
    }
}

/// Releases the first thread that reports anything, if it is ending. Returns its id.
fn let_go_of_one() -> Option<i32> {
    let ours = libc::__WALL | libc::__WNOTHREAD;
    let look = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | ours;
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: waitid(2) writes to a live local.
    let found = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, look) };
    // SAFETY: waitid(2) has filled these fields, or left them zero.
    let (tid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if found != 0 || tid == 0 {
        return None;
    }
    let at_exit = info.si_code == libc::CLD_TRAPPED && status >> 8 == libc::PTRACE_EVENT_EXIT;
    let is_gone = matches!(
        info.si_code,
        libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED
    );
    if at_exit {
        super::ptrace::resume(tid, 0).ok()?;
    } else if is_gone {
        let reap = libc::WEXITED | libc::WNOHANG | ours;
        // SAFETY: as above.
        unsafe { libc::waitid(libc::P_PID, tid as u32, &raw mut info, reap) };
    } else {
        return None;
    }
    Some(tid)
}
