//! The programs: tell what happened, and hold the thread there until we have looked, but never
//! longer than [`LONGEST_HOLD`], whatever becomes of us.

use super::{
    instructions::{AddressSpace, Code, Condition, FRAME, Helper, Jump, Reg},
    probe_report as report,
};
use crate::{KindAt, linux::arch};
use std::{os::fd::OwnedFd, time::Duration};

/// A thread that nobody lets go runs on after this time.
const LONGEST_HOLD: Duration = Duration::from_millis(20);

/// Threads held at once; a power of two.
pub(super) const SLOTS: u32 = 4096;

/// What the programs of one process share with us.
pub(super) struct Maps {
    /// One word for each held thread: its number, and 0 when it may go on.
    pub(super) slots: OwnedFd,
    /// See [`control`].
    pub(super) control: OwnedFd,
    /// Which entry of `verdicts` is about a kind that is thrown.
    pub(super) known: OwnedFd,
    /// For each known kind: whether it is held, and how many were not.
    pub(super) verdicts: OwnedFd,
}

/// Words of [`Maps::control`].
pub(super) mod control {
    /// Threads held so far.
    pub(in super::super) const HELD: i16 = 0;
    /// Reports that found no room.
    pub(in super::super) const LOST: i16 = 8;
    pub(in super::super) const BYTES: u32 = 16;
}

const CONTEXT: Reg = 6;
const CONTROL: Reg = 7;
const SLOT: Reg = 8;

/// Where a field of the report lies on the program's stack.
const fn at(field: usize) -> i16 {
    field as i16 - report::BYTES as i16
}

/// Below the report: the key of a map.
const KEY: i16 = -(report::BYTES as i16) - 8;
/// And what the function that waits is told: the slot, until when, what the slot holds.
const WAIT: i16 = KEY - 24;

/// At a place in the program: held at each hit, or, with what tells the kind of thing that is
/// thrown, at each hit of a kind that is not known or wanted.
pub(super) fn place(maps: &Maps, ring: &OwnedFd, number: u32, kind: Option<KindAt>) -> Code {
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.set(1, 0);
    code.store(FRAME, at(report::KIND), 1);
    if let Some(kind) = kind {
        pass_unwanted(&mut code, maps, kind);
    }
    find_control(&mut code, maps);
    begin_report(&mut code, number);
    for word in 0..arch::PROBE_WORDS {
        code.load(1, CONTEXT, word as i16 * 8);
        code.store(FRAME, at(report::REGISTERS) + word as i16 * 8, 1);
    }
    hold(&mut code, maps, ring);
    code
}

/// Lets a thread go on at once whose kind is known and not wanted, and counts it.
fn pass_unwanted(code: &mut Code, maps: &Maps, kind: KindAt) {
    let unreadable = find_kind(code, kind);
    code.lookup(&maps.known, KEY);
    let unknown = code.jump(Condition::Equal, 0, 0);
    code.load(1, 0, 0);
    code.store_half(FRAME, KEY, 1);
    code.lookup(&maps.verdicts, KEY);
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

/// Puts the kind where a map's key is; jumps where it cannot be read, as when it was swapped out.
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
    code.store(FRAME, at(report::KIND), 1);
    unreadable
}

fn find_control(code: &mut Code, maps: &Maps) {
    code.set(1, 0);
    code.store_half(FRAME, KEY, 1);
    code.lookup(&maps.control, KEY);
    code.leave_unless(Condition::NotEqual, 0, 0);
    code.copy(CONTROL, 0);
}

fn begin_report(code: &mut Code, place: u32) {
    code.call(Helper::Time);
    code.store(FRAME, at(report::TIME), 0);
    code.call(Helper::PidTgid);
    code.store(FRAME, at(report::THREAD), 0);
    code.set(1, place as i32);
    code.store(FRAME, at(report::PLACE), 1);
}

/// Takes a slot, sends the report, and goes round until the slot is cleared or time is over.
fn hold(code: &mut Code, maps: &Maps, ring: &OwnedFd) {
    code.set(1, 1);
    code.fetch_add(CONTROL, control::HELD, 1);
    code.add(1, 1);
    code.store(FRAME, at(report::SEQUENCE), 1);
    code.and(1, SLOTS as i32 - 1);
    code.store_half(FRAME, KEY, 1);
    code.lookup(&maps.slots, KEY);
    code.leave_unless(Condition::NotEqual, 0, 0);
    code.copy(SLOT, 0);
    code.load(1, FRAME, at(report::SEQUENCE));
    code.store(SLOT, 0, 1);
    code.send(ring, at(0), report::BYTES);
    let sent = code.jump(Condition::Equal, 0, 0);
    code.set(1, 1);
    code.count(CONTROL, control::LOST, 1);
    code.leave();
    code.land(sent);
    code.store(FRAME, WAIT, SLOT);
    code.load(1, FRAME, at(report::TIME));
    code.add(1, LONGEST_HOLD.as_nanos() as i32);
    code.store(FRAME, WAIT + 8, 1);
    code.load(1, FRAME, at(report::SEQUENCE));
    code.store(FRAME, WAIT + 16, 1);
    let wait = code.call_in_loop(WAIT);
    free(code);
    code.leave();
    code.function(&wait);
    keep_waiting(code);
}

/// When time is over the slot is still ours.
fn free(code: &mut Code) {
    code.load(1, SLOT, 0);
    code.load(2, FRAME, at(report::SEQUENCE));
    let ours = code.jump_on(Condition::Equal, 1, 2);
    code.leave();
    code.land(ours);
    code.set(1, 0);
    code.store(SLOT, 0, 1);
}

/// Gives 1 when the slot is ours no more, or time is over.
fn keep_waiting(code: &mut Code) {
    const STATE: Reg = 6;
    code.copy(STATE, 2);
    code.load(1, STATE, 0);
    code.load(1, 1, 0);
    code.load(2, STATE, 16);
    let still = code.jump_on(Condition::Equal, 1, 2);
    code.leave_with(1);
    code.land(still);
    code.call(Helper::Time);
    code.load(1, STATE, 8);
    let over = code.jump_on(Condition::Greater, 0, 1);
    code.leave();
    code.land(over);
    code.leave_with(1);
}
