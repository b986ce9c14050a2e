//! Holding a thread that dies of a fault, while its process still has its memory.
//!
//! The [program of deaths](super::death_program) says which thread, and a program at the kernel's raw tracepoint
//! `sched_process_exit` keeps it there until it is let go, but not for long. Since Linux 6.16 the tracepoint comes before
//! the thread leaves its address space, and has an argument more, by which these kernels are told (`do_exit` in
//! `kernel/exit.c`).
//!
//! A program cannot sleep there, so that the thread keeps its processor. Therefore fewer threads are held at once than
//! there are processors at which we wait: one of ours always gets to run.

use super::instructions::{Code, Condition, FRAME, Helper, Reg};
use crate::linux::sys::bpf::{self, Attach, ProgramType};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

/// How many threads can be on their way there at once.
const MOST: u32 = 4096;

/// The entry that counts the threads that are held. No thread has this id.
const COUNT: u64 = 0;

/// How long a thread is held until somebody comes to look at it. It keeps its processor meanwhile. Usually that takes less
/// than a millisecond; on a virtual machine, the processor of who comes may be away for tens ("steal" in proc_stat(5)).
const UNSEEN: Duration = Duration::from_millis(60);

/// How long it is held from then on, if it is not let go on.
const LOOKED_AT: Duration = Duration::from_millis(20);

/// A pause of the thread, between two looks at the clock, that does not count: its own processor was away, and so most
/// likely was that of who comes.
const PAUSE: Duration = Duration::from_millis(1);

/// How long it is held at most, with all pauses.
const LONGEST: Duration = Duration::from_millis(200);

/// The threads that are to be held.
pub(super) struct DeathHolds(OwnedFd);

impl DeathHolds {
    pub(super) fn new() -> io::Result<Self> {
        let map = bpf::create_map(bpf::HASH, 8, 8, MOST, 0)?;
        bpf::set(&map, COUNT, 0)?;
        Ok(Self(map))
    }

    /// Those of another process of ours.
    pub(super) fn of(map: OwnedFd) -> Self {
        Self(map)
    }

    pub(super) fn map(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Begins to hold threads, so many at once, until the descriptor is closed.
    ///
    /// # Errors
    /// If the kernel does not take the program, as before Linux 6.16.
    pub(super) fn begin(&self, at_once: u32) -> io::Result<OwnedFd> {
        let program = self.program(at_once);
        let (words, functions) = (program.words(), program.functions());
        let kind = ProgramType::RawTracepoint;
        let program = bpf::load_with(kind, words, functions, 0, Attach::PerfEvent)?;
        bpf::attach(&program, c"sched_process_exit")
    }

    /// Somebody looks at a thread from now on.
    pub(super) fn look_at(&self, thread: u64) {
        // One that is not held any more is too late to be looked at, which is seen later.
        let _ = bpf::change(&self.0, thread, 1);
    }

    /// Lets a thread go on.
    pub(super) fn let_go(&self, thread: u64) {
        // One that is not held need not be let go.
        let _ = bpf::remove(&self.0, thread);
    }

    /// Writes code that has the thread at offset `thread` of the stack be held when it exits. `value` is the offset of a
    /// free word.
    pub(super) fn put(&self, code: &mut Code, thread: i16, value: i16) {
        code.set(1, 0);
        code.store(FRAME, value, 1);
        code.put_entry(&self.0, thread, value);
    }

    /// Writes code that has it not be held.
    pub(super) fn take_out(&self, code: &mut Code, thread: i16) {
        code.delete_entry(&self.0, thread);
    }

    /// Writes the program for `sched_process_exit(task *thread, bool is_last)`.
    fn program(&self, at_once: u32) -> Code {
        const HELD: Reg = 6;
        let mut code = Code::default();
        // Only for the kernel to refuse the program where there is no such argument.
        code.load(2, 1, 8);
        code.call(Helper::PidTgid);
        code.store(FRAME, THREAD, 0);
        code.lookup(&self.0, THREAD);
        code.leave_unless(Condition::NotEqual, 0, 0);
        code.set_wide(1, COUNT);
        code.store(FRAME, KEY, 1);
        code.lookup(&self.0, KEY);
        code.leave_unless(Condition::NotEqual, 0, 0);
        code.copy(HELD, 0);
        code.set(1, 1);
        code.fetch_add(HELD, 0, 1);
        let too_many = code.jump(Condition::Greater, 1, at_once as i32 - 1);
        code.set(1, 0);
        code.store(FRAME, SEEN, 1);
        code.call(Helper::Time);
        code.store(FRAME, LAST, 0);
        code.add(0, UNSEEN.as_nanos() as i32);
        code.store(FRAME, UNTIL, 0);
        code.add(0, (LONGEST - UNSEEN).as_nanos() as i32);
        code.store(FRAME, LATEST, 0);
        let wait = code.call_in_loop(THREAD);
        code.land(too_many);
        code.set(1, -1);
        code.count(HELD, 0, 1);
        code.leave();
        code.function(&wait);
        self.keep_waiting(&mut code);
        code
    }

    /// Writes the waiting function: it returns 1, which ends the loop, when the thread has been let go or the time is
    /// over.
    fn keep_waiting(&self, code: &mut Code) {
        code.copy(STATE, 2);
        code.load_map(1, &self.0);
        code.call(Helper::MapLookup);
        let still = code.jump(Condition::NotEqual, 0, 0);
        code.leave_with(1);
        code.land(still);
        code.load(IS_SEEN, 0, 0);
        code.call(Helper::Time);
        code.copy(NOW, 0);
        add_pause(code);
        limit_if_seen(code);
        for limit in [UNTIL, LATEST] {
            code.load(1, STATE, limit - THREAD);
            let in_time = code.jump_on(Condition::Greater, 1, NOW);
            code.leave_with(1);
            code.land(in_time);
        }
        code.leave();
    }
}

/// Writes code that moves the limit by the time since the clock was looked at last, if that was a pause.
fn add_pause(code: &mut Code) {
    code.copy(2, NOW);
    code.load(1, STATE, LAST - THREAD);
    code.subtract(2, 1);
    code.store(STATE, LAST - THREAD, NOW);
    let paused = code.jump(Condition::Greater, 2, PAUSE.as_nanos() as i32);
    let went_on = code.jump_always();
    code.land(paused);
    code.load(1, STATE, UNTIL - THREAD);
    code.add_register(1, 2);
    code.store(STATE, UNTIL - THREAD, 1);
    code.land(went_on);
}

/// Writes code that sets the limit anew when somebody has come to look.
fn limit_if_seen(code: &mut Code) {
    let unseen = code.jump(Condition::Equal, IS_SEEN, 0);
    code.load(1, STATE, SEEN - THREAD);
    let before = code.jump(Condition::NotEqual, 1, 0);
    code.store(STATE, SEEN - THREAD, IS_SEEN);
    code.copy(1, NOW);
    code.add(1, LOOKED_AT.as_nanos() as i32);
    code.store(STATE, UNTIL - THREAD, 1);
    code.land(before);
    code.land(unseen);
}

/// Registers of the waiting function: the address of the words below, the time, whether somebody has come.
const STATE: Reg = 6;
const NOW: Reg = 7;
const IS_SEEN: Reg = 8;

/// Offsets on the program's stack; the waiting function is given the address of the first.
const THREAD: i16 = -40;
const UNTIL: i16 = -32;
const LATEST: i16 = -24;
const LAST: i16 = -16;
const SEEN: i16 = -8;
const KEY: i16 = -48;
