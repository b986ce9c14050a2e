//! The program that reports deaths, and what its reports look like.
//!
//! It stands at the kernel's raw tracepoint `signal_deliver` (include/trace/events/signal.h), and reports signals for
//! which the process has no handler, with the registers of the thread. The other threads, which die with the first, are
//! reported in the same way: they get SIGKILL.

use super::{
    death_holds::DeathHolds,
    instructions::{AddressSpace, Code, Condition, FRAME, Helper, Reg},
    pids::Pids,
    ring,
};
use crate::{FAULT_SIGNALS, linux::arch};
use snapshot::Registers;
use std::os::fd::OwnedFd;

/// The delivery of a signal without a handler to a thread.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Death {
    /// The thread id.
    pub(crate) thread: i32,
    /// The number of the signal.
    pub(crate) signal: i32,
    /// The first bytes of the signal's `siginfo_t`.
    pub(crate) info: Vec<u8>,
    /// The name of the thread.
    pub(crate) name: String,
    /// The registers in user mode when the signal was delivered.
    pub(crate) registers: Registers,
}

/// A report.
pub(super) struct DeathReport {
    /// The process.
    pub(super) pid: u32,
    /// The number by which the thread is held, if it is.
    pub(super) held: Option<u64>,
    pub(super) death: Death,
}

/// Offsets and sizes of the fields of a report, in bytes.
const THREAD: usize = 0;
const SIGNAL: usize = 8;
const INFO: usize = 16;
const INFO_BYTES: usize = 48;
const NAME: usize = INFO + INFO_BYTES;
/// `TASK_COMM_LEN`.
const NAME_BYTES: usize = 16;
/// Whether the thread is held.
const HELD: usize = NAME + NAME_BYTES;
/// The thread pointer, which is not among the registers.
const POINTER: usize = HELD + 8;
const REGISTERS: usize = POINTER + 8;
const BYTES: usize = REGISTERS + arch::PROBE_WORDS * 8;

/// Returns the offset of a field on the program's stack. Below the report there is room for one
/// word.
const fn at(field: usize) -> i16 {
    field as i16 - BYTES as i16
}
const WORD: i16 = -(BYTES as i16) - 8;

/// Decodes a report.
pub(super) fn decode(bytes: &[u8]) -> Option<DeathReport> {
    let word = |at| ring::word(bytes, at);
    let ids = word(THREAD)?;
    let death = Death {
        thread: ids as u32 as i32,
        signal: word(SIGNAL)? as i32,
        info: bytes.get(INFO..NAME)?.to_vec(),
        name: ring::text(bytes.get(NAME..HELD)?),
        registers: arch::with_thread_pointer(
            arch::from_probe(bytes.get(REGISTERS..)?)?,
            word(POINTER)?,
        ),
    };
    Some(DeathReport {
        pid: (ids >> 32) as u32,
        held: (word(HELD)? != 0).then_some(ids),
        death,
    })
}

const CONTEXT: Reg = 6;
/// Whether the process is not in the table.
const UNKNOWN: Reg = 7;
const TASK: Reg = 8;

/// Writes the program for `signal_deliver(int sig, siginfo *info, sigaction *action)`. The first
/// word of the action is the handler; SIG_DFL is 0.
///
/// Deaths at which a thread is held are told to both rings. `pointer` is where the kernel has a thread's
/// [pointer](arch::THREAD_POINTER).
pub(super) fn program(
    ring: &OwnedFd,
    held: &OwnedFd,
    pids: &Pids,
    holds: &DeathHolds,
    pointer: Option<u32>,
) -> Code {
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.call(Helper::PidTgid);
    code.store(FRAME, at(THREAD), 0);
    code.shift_right(0, 32);
    find_process(&mut code, pids);
    code.set(1, 0);
    for field in (INFO..BYTES).step_by(8) {
        code.store(FRAME, at(field), 1);
    }
    code.store(FRAME, WORD, 1);
    code.load(3, CONTEXT, 16);
    code.read(AddressSpace::Kernel, WORD, 8);
    code.load(1, FRAME, WORD);
    code.leave_unless(Condition::Equal, 1, 0);
    code.load(1, CONTEXT, 0);
    code.store(FRAME, at(SIGNAL), 1);
    let known = code.jump(Condition::Equal, UNKNOWN, 0);
    hold_if_it_faults(&mut code, pids, holds);
    code.land(known);
    code.store(FRAME, at(HELD), UNKNOWN);
    code.load(3, CONTEXT, 8);
    code.read(AddressSpace::Kernel, at(INFO), INFO_BYTES);
    code.copy(1, FRAME);
    code.add(1, at(NAME).into());
    code.set(2, NAME_BYTES as i32);
    code.call(Helper::CurrentName);
    code.call(Helper::CurrentTask);
    code.copy(TASK, 0);
    if let Some(offset) = pointer {
        code.copy(3, TASK);
        code.add(3, offset as i32);
        code.read(AddressSpace::Kernel, at(POINTER), 8);
    }
    code.copy(1, TASK);
    code.call(Helper::TaskRegisters);
    code.copy(3, 0);
    code.read(AddressSpace::Kernel, at(REGISTERS), arch::PROBE_WORDS * 8);
    code.send(ring, at(0), BYTES);
    let failed = code.jump(Condition::NotEqual, 0, 0);
    let told = code.jump(Condition::Equal, UNKNOWN, 0);
    code.send(held, at(0), BYTES);
    let both_told = code.jump(Condition::Equal, 0, 0);
    code.land(failed);
    let known = code.jump(Condition::Equal, UNKNOWN, 0);
    // Nobody hears of it: what was set for it is undone.
    put_pid(&mut code);
    pids.take_out(&mut code, WORD);
    holds.take_out(&mut code, at(THREAD));
    for end in [told, both_told, known] {
        code.land(end);
    }
    code.leave();
    code
}

/// Writes the program for `sched_process_exec`: what was kept of a process is not of the program that it runs now. It is
/// as one that nobody waits for, until it is kept again.
pub(super) fn program_at_exec(unchanged: &Pids, pids: &Pids) -> Code {
    let mut code = Code::default();
    code.call(Helper::PidTgid);
    code.shift_right(0, 32);
    code.store(FRAME, WORD, 0);
    unchanged.take_out(&mut code, WORD);
    pids.take_out(&mut code, WORD);
    code.leave();
    code
}

/// Puts the process's id where a map's key is.
fn put_pid(code: &mut Code) {
    code.load(1, FRAME, at(THREAD));
    code.shift_right(1, 32);
    code.store(FRAME, WORD, 1);
}

/// Looks for the process whose id is in register 0. Ends the program if it is not in the table, unless all others are
/// caught too.
fn find_process(code: &mut Code, pids: &Pids) {
    code.set(UNKNOWN, 0);
    code.store(FRAME, WORD, 0);
    pids.find(code, WORD);
    let known = code.jump(Condition::NotEqual, 0, 0);
    code.set(UNKNOWN, 1);
    pids.leave_unless_all(code, WORD);
    code.land(known);
}

/// Has the thread be held if the signal in register 1 is that of a fault, and its process be reported on from now on;
/// ends the program if it is not.
fn hold_if_it_faults(code: &mut Code, pids: &Pids, holds: &DeathHolds) {
    let is = |code: &mut Code, signal: u32| code.jump(Condition::Equal, 1, signal as i32);
    let faults = FAULT_SIGNALS.map(|signal| is(code, signal));
    code.leave();
    faults.into_iter().for_each(|jump| code.land(jump));
    pids.leave_if_refused(code, WORD);
    put_pid(code);
    pids.put(code, WORD);
    holds.put(code, at(THREAD), WORD);
}
