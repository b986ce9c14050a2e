//! What is known of each thread: names and times from `/proc` before the stop, registers while it
//! stands.

use super::{
    arch,
    extended_registers::ExtendedReader,
    proc::{ProcDir, machine, stat, status},
    stop::{Threads, TraceState},
    sys::ptrace,
    time_of_day::wall_now,
};
use crate::ARCHITECTURE;
use snapshot::{Architecture, Registers, Thread, ThreadState, ThreadTimes, Warning};

/// Returns the threads of a stopped process with their registers, the leader first. What was read
/// before the stop, by ascending id, is moved out of `known`: there may be thirty thousand threads.
pub(super) fn list(
    proc: &ProcDir,
    traced: &mut Threads,
    known: &mut Vec<Thread>,
    warnings: &mut Vec<Warning>,
) -> Vec<Thread> {
    let mut list = those_that_stand(proc, traced, std::mem::take(known));
    let mut unstopped = 0;
    let mut extended = ExtendedReader::default();
    for thread in &mut list {
        let tid = thread.id as i32;
        let state = traced.states.get(&tid).copied();
        let state = state.unwrap_or(TraceState::Running);
        thread.blocked = ptrace::blocked_signals(tid).unwrap_or(thread.blocked);
        fill_registers(proc, thread, state, &mut extended);
        unstopped += usize::from(matches!(thread.state, ThreadState::Unstopped(_)));
        // It was killed where it stood.
        let is_gone = thread.registers.is_none() && is_stop(state);
        traced.ended += u32::from(is_gone);
    }
    if unstopped > 0 {
        warnings.push(format!(
            "threads that could not be stopped (in an uninterruptible system call): {unstopped} of {}; their registers are the few that the kernel tells",
            list.len()
        ));
    }
    list.sort_unstable_by_key(|thread| (thread.id != proc.key.pid, thread.id));
    list
}

/// Reads how much processor time each thread has used.
///
/// # Errors
/// If its threads are not listed. One that ends meanwhile is left out.
pub(super) fn times(proc: &ProcDir) -> std::io::Result<ThreadTimes> {
    let used = |tid: i32| {
        let text = proc.read(&format!("task/{tid}/stat")).ok()?;
        let stat = stat::parse(&text)?;
        let ticks = stat.user_ticks.saturating_add(stat.kernel_ticks);
        Some((tid as u32, machine::ticks_to_duration(ticks)))
    };
    let at = wall_now();
    let used = proc.tasks()?.into_iter().filter_map(used).collect();
    Ok(ThreadTimes { at, used })
}

/// Returns the traced threads: those that are known, but without those that have ended since, and those that are new.
fn those_that_stand(proc: &ProcDir, traced: &mut Threads, mut known: Vec<Thread>) -> Vec<Thread> {
    let before = known.len();
    known.retain(|thread| traced.states.contains_key(&(thread.id as i32)));
    traced.ended += (before - known.len()) as u32;
    let is_new = |tid: &&i32| {
        let found = known.binary_search_by_key(*tid, |thread| thread.id as i32);
        found.is_err()
    };
    let new: Vec<_> = traced.states.keys().filter(is_new).copied().collect();
    known.extend(new.into_iter().map(|tid| describe(proc, tid)));
    known
}

/// Whether a thread in this state has registers.
fn is_stop(state: TraceState) -> bool {
    !matches!(state, TraceState::Pending | TraceState::Running)
}

/// Reads what `/proc` tells of a thread.
pub(super) fn describe(proc: &ProcDir, tid: i32) -> Thread {
    let text = proc.read(&format!("task/{tid}/stat")).unwrap_or_default();
    let stat = stat::parse(&text).unwrap_or_default();
    let status_text = proc.read(&format!("task/{tid}/status")).unwrap_or_default();
    Thread {
        id: tid as u32,
        name: stat.comm.clone(),
        letter: if stat.state == '\0' { ' ' } else { stat.state },
        pending: status::mask(&status_text, "SigPnd").unwrap_or(0),
        blocked: status::mask(&status_text, "SigBlk").unwrap_or(0),
        user_time: machine::ticks_to_duration(stat.user_ticks),
        kernel_time: machine::ticks_to_duration(stat.kernel_ticks),
        priority: stat.nice,
        is_kernel_worker: stat.is_kernel_worker(),
        ..Thread::default()
    }
}

fn fill_registers(
    proc: &ProcDir,
    thread: &mut Thread,
    state: TraceState,
    extended: &mut ExtendedReader,
) {
    let tid = thread.id as i32;
    match state {
        TraceState::Pending => {
            thread.state = ThreadState::Unstopped("uninterruptible".to_owned());
            thread.registers = registers_of_running(proc, thread.id);
        }
        TraceState::Running => {}
        TraceState::Stopped
        | TraceState::GroupStop(_)
        | TraceState::Signal(_)
        | TraceState::AtBreakpoint(_)
        | TraceState::Exiting
        | TraceState::AtExit(_)
        | TraceState::AtExec(_)
        | TraceState::Born => {
            thread.registers = arch::general(tid).ok();
            thread.extended = extended.read(tid);
            if matches!(thread.registers, Some(Registers::X86(_))) {
                thread.tls_segments = arch::tls_segments(tid);
            }
            match state {
                TraceState::GroupStop(signal) => {
                    thread.state = ThreadState::AlreadyStopped;
                    thread.signal = signal;
                }
                TraceState::Signal(signal) => {
                    thread.signal = signal;
                    thread.siginfo = ptrace::signal_info(tid).ok().map(Vec::from);
                }
                _ => {}
            }
        }
    }
}

/// Returns the architecture of the program, by the registers of its first thread.
pub(super) fn architecture_of(threads: &[Thread]) -> Architecture {
    match threads.first().and_then(|thread| thread.registers) {
        Some(Registers::X86(_)) => Architecture::X86,
        _ => ARCHITECTURE,
    }
}

/// Returns the stack and instruction pointer of a thread in a system call (`/proc/TID/syscall`:
/// number, six arguments, sp, pc); `None` for a thread that runs.
pub(super) fn registers_of_running(proc: &ProcDir, tid: u32) -> Option<Registers> {
    let text = proc.read(&format!("task/{tid}/syscall")).ok()?;
    let text = String::from_utf8(text).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let hex = |word: &&str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    match words.as_slice() {
        [.., sp, pc] if words.len() >= 3 => Some(arch::from_syscall_file(hex(sp)?, hex(pc)?)),
        _ => None,
    }
}
