//! The program of a uprobe: it reports that a thread came to the place, and holds the thread there
//! until we have reacted, but never longer than a second, whatever happens to us.

use super::{
    instructions::{AddressSpace, Code, Condition, FRAME, Helper, Jump, Reg},
    probe_report as report,
};
use crate::{
    KindAt,
    linux::{arch, pid_namespace::PidNamespace},
};
use std::{os::fd::OwnedFd, time::Duration};

/// The maps that all programs of one process share with us.
pub(super) struct Maps<'m> {
    /// Counters; see [`control`].
    pub(super) control: &'m OwnedFd,
    /// For each known type of exception, the index of its entry in `verdicts`.
    pub(super) known: &'m OwnedFd,
    /// For each known type: whether threads that throw it are held, and how many were not.
    pub(super) verdicts: &'m OwnedFd,
}

/// Offsets of the words of [`Maps::control`], in bytes.
pub(super) mod control {
    /// How many threads have been held so far.
    pub(in super::super) const HELD: i16 = 0;
    /// How many reports found no room.
    pub(in super::super) const LOST: i16 = 8;
    /// The generation of probes that reports; the others let threads go by.
    pub(in super::super) const GENERATION: i16 = 16;
    /// How long a thread is held that lets others have its processor, in nanoseconds, if nobody lets it go on.
    pub(in super::super) const LONGEST: i16 = 24;
    pub(in super::super) const BYTES: u32 = 32;
}

const CONTEXT: Reg = 6;
const CONTROL: Reg = 7;
const SLOT: Reg = 8;
const REPORT: Reg = 9;

/// The offset on the stack of a map's key.
///
/// The stack has to have fewer than 64 bytes (`BPF_PRIV_STACK_MIN_SIZE` in kernel/bpf/verifier.c), with which it is the
/// thread's own. Since Linux 6.13 a larger one is that of the processor (`bpf_enable_priv_stack`), also where the program
/// yields it to another thread, which is held by the same program.
///
/// Situation: of two held threads the one waited for what the other one was to wait for, and nobody saw that it had gone on.
const KEY: i16 = -8;
/// Offsets on the stack of what is known before there is room for the report.
const KIND: i16 = WAIT;
const THREAD: i16 = WAIT + 8;
const SEQUENCE: i16 = WAIT + 16;
const TIME: i16 = WAIT + 24;
/// The offset on the stack of what the waiting function is given, in the place of that: the address of the slot, the time
/// until which to wait, the value of the slot while the thread is held, and the thread's stack pointer.
const WAIT: i16 = KEY - 32;

const _: () = assert!(WAIT >= -48, "rounded up to 16 bytes, it is below 64");

/// How a held thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It keeps its processor. All that can be done before Linux 6.0.
    Spinning,
    /// It lets others have its processor. The program must be loaded as one that may sleep.
    Yielding,
}

/// How long a thread is held that keeps its processor, if nobody lets it go on: others suffer.
const LONGEST_SPINNING: Duration = Duration::from_millis(20);

/// Where a program reports, and as which generation of probes.
pub(super) struct ReportsTo<'r> {
    pub(super) ring: &'r OwnedFd,
    /// The map with one word for each held thread: the number of the hold, or 0 when the thread may go on.
    pub(super) slots: &'r OwnedFd,
    /// How many words there are; a power of two.
    pub(super) slot_count: u32,
    pub(super) generation: u32,
}

/// Writes the program for the place with this number. Threads are held at each hit; if `kind` tells
/// where the type of the thrown exception is, only those whose type is not known or wanted.
pub(super) fn place(
    maps: &Maps<'_>,
    to: &ReportsTo<'_>,
    number: u32,
    kind: Option<KindAt>,
    wait: Wait,
) -> Code {
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.set(1, 0);
    code.store(FRAME, KIND, 1);
    find_control(&mut code, maps);
    code.load(1, CONTROL, control::GENERATION);
    code.leave_unless(Condition::Equal, 1, to.generation as i32);
    if let Some(kind) = kind {
        pass_unwanted(&mut code, maps, kind);
    }
    code.call(Helper::Time);
    code.store(FRAME, TIME, 0);
    name_thread(&mut code);
    take_slot(&mut code, to);
    send_report(&mut code, to, number);
    hold(&mut code, wait);
    code
}

/// Ends the program, after counting the hit, if the type is known and not wanted.
fn pass_unwanted(code: &mut Code, maps: &Maps<'_>, kind: KindAt) {
    let unreadable = find_kind(code, kind);
    code.lookup(maps.known, KEY);
    let unknown = code.jump(Condition::Equal, 0, 0);
    code.load(1, 0, 0);
    code.store_half(FRAME, KEY, 1);
    code.lookup(maps.verdicts, KEY);
    let missing = code.jump(Condition::Equal, 0, 0);
    code.load(1, 0, 0);
    let wanted = code.jump(Condition::NotEqual, 1, 0);
    code.set(1, 1);
    code.count(0, 8, 1);
    code.leave();
    for jump in [unknown, missing, wanted].into_iter().chain(unreadable) {
        code.land(jump);
    }
}

/// Puts the number of the type where a map's key is. Returns the jumps that are taken if it cannot
/// be read, as when the page is swapped out.
fn find_kind(code: &mut Code, kind: KindAt) -> Vec<Jump> {
    code.load(1, CONTEXT, i16::from(kind.register) * 8);
    let mut unreadable = Vec::new();
    for step in kind.trail.path {
        code.copy(3, 1);
        code.add(3, i32::from(*step));
        code.read(AddressSpace::User, KEY, 8);
        unreadable.push(code.jump(Condition::NotEqual, 0, 0));
        code.load(1, FRAME, KEY);
    }
    if kind.trail.is_half {
        code.keep_low_half(1);
    }
    code.store(FRAME, KEY, 1);
    code.store(FRAME, KIND, 1);
    unreadable
}

/// Puts the address of the counters into a register.
fn find_control(code: &mut Code, maps: &Maps<'_>) {
    code.set(1, 0);
    code.store_half(FRAME, KEY, 1);
    code.lookup(maps.control, KEY);
    code.leave_unless(Condition::NotEqual, 0, 0);
    code.copy(CONTROL, 0);
}

/// Puts the ids of process and thread where the report takes them from, as they are in our pid namespace. A process in another one that
/// lies within ours is known by its ids here only if ours is that of the machine.
fn name_thread(code: &mut Code) {
    match PidNamespace::ours() {
        Some(PidNamespace { device, inode }) => {
            code.set_wide(1, device);
            code.set_wide(2, inode);
            code.copy(3, FRAME);
            code.add(3, THREAD.into());
            code.set(4, 8);
            code.call(Helper::PidTgidInNamespace);
            code.leave_unless(Condition::Equal, 0, 0);
        }
        None => {
            code.call(Helper::PidTgid);
            code.store(FRAME, THREAD, 0);
        }
    }
}

/// Finds the slot of this hold.
fn take_slot(code: &mut Code, to: &ReportsTo<'_>) {
    code.set(1, 1);
    code.fetch_add(CONTROL, control::HELD, 1);
    code.add(1, 1);
    code.store(FRAME, SEQUENCE, 1);
    code.and(1, to.slot_count as i32 - 1);
    code.store_half(FRAME, KEY, 1);
    code.lookup(to.slots, KEY);
    code.leave_unless(Condition::NotEqual, 0, 0);
    code.copy(SLOT, 0);
}

/// Sends the report if there is room for it; else the program ends, and that is counted. The slot is set before.
fn send_report(code: &mut Code, to: &ReportsTo<'_>, place: u32) {
    code.reserve(to.ring, report::BYTES as i32);
    let has_room = code.jump(Condition::NotEqual, 0, 0);
    code.set(1, 1);
    code.count(CONTROL, control::LOST, 1);
    code.leave();
    code.land(has_room);
    code.copy(REPORT, 0);
    let known = [
        (report::TIME, TIME),
        (report::SEQUENCE, SEQUENCE),
        (report::THREAD, THREAD),
        (report::KIND, KIND),
    ];
    for (field, from) in known {
        code.load(1, FRAME, from);
        code.store(REPORT, field as i16, 1);
    }
    code.set(1, place as i32);
    code.store(REPORT, report::PLACE as i16, 1);
    for word in 0..arch::PROBE_WORDS as i16 {
        code.load(1, CONTEXT, word * 8);
        code.store(REPORT, report::REGISTERS as i16 + word * 8, 1);
    }
    code.load(1, FRAME, SEQUENCE);
    code.store(SLOT, 0, 1);
    code.submit(REPORT);
}

/// Waits until the slot is cleared or the time is over.
fn hold(code: &mut Code, how: Wait) {
    code.store(FRAME, WAIT, SLOT);
    code.load(1, FRAME, TIME);
    match how {
        Wait::Spinning => code.add(1, LONGEST_SPINNING.as_nanos() as i32),
        Wait::Yielding => {
            code.load(2, CONTROL, control::LONGEST);
            code.add_register(1, 2);
        }
    }
    code.store(FRAME, WAIT + 8, 1);
    code.load(1, CONTEXT, arch::PROBE_STACK_POINTER as i16 * 8);
    code.store(FRAME, WAIT + 24, 1);
    let wait = code.call_in_loop(WAIT);
    free(code);
    code.leave();
    code.function(&wait);
    keep_waiting(code, how);
}

/// Clears the slot if it still has the number of this hold, as it does when the time is over.
fn free(code: &mut Code) {
    code.load(1, SLOT, 0);
    code.load(2, FRAME, SEQUENCE);
    let ours = code.jump_on(Condition::Equal, 1, 2);
    code.leave();
    code.land(ours);
    code.set(1, 0);
    code.store(SLOT, 0, 1);
}

/// Writes the waiting function: it returns 1, which ends the loop, when the slot has changed or the
/// time is over.
fn keep_waiting(code: &mut Code, how: Wait) {
    const STATE: Reg = 6;
    code.copy(STATE, 2);
    code.load(1, STATE, 0);
    code.load(1, 1, 0);
    code.load(2, STATE, 16);
    let still = code.jump_on(Condition::Equal, 1, 2);
    code.leave_with(1);
    code.land(still);
    if how == Wait::Yielding {
        yield_processor(code, STATE);
    }
    code.call(Helper::Time);
    code.load(1, STATE, 8);
    let over = code.jump_on(Condition::Greater, 0, 1);
    code.leave();
    code.land(over);
    code.leave_with(1);
}

/// Reads a byte at the stack pointer of this thread. The byte is of no use, but
/// on the way to it the kernel lets other threads have the processor (`cond_resched` in `__get_user_pages` of
/// `mm/gup.c`). A kernel that preempts only at such points, as servers' kernels do, would else never take the
/// processor from a program: a held thread would starve the very thread that it waits for.
fn yield_processor(code: &mut Code, state: Reg) {
    code.call(Helper::CurrentTask);
    code.copy(4, 0);
    code.copy(1, FRAME);
    code.add(1, -8);
    code.set(2, 1);
    code.load(3, state, 24);
    code.set(5, 0);
    code.call(Helper::CopyFromUserTask);
}
