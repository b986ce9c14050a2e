//! Lines that a process writes to its standard error.
//!
//! A program at the kernel's raw tracepoint `sys_enter` copies what the process passes to write(2)
//! and writev(2) for descriptor 2. The process does not wait for us.

use super::{
    instructions::{AddressSpace, Code, Condition, FRAME, Helper, Jump, Reg},
    ring::{self, Ring},
};
use crate::linux::{
    arch,
    sys::bpf::{self, ProgramType, SharedWords},
};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::Ordering,
};

/// The size of a report in bytes: a word with the number of bytes, then the bytes.
const BYTES: i32 = 1024;
const HEAD: i32 = 8;
const DATA: i32 = BYTES - HEAD;

/// At most so many reports are made of one call, and so many pieces of a writev(2) are copied; the
/// rest is lost.
const REPORTS: usize = 16;
const PIECES: i32 = 4;

/// How many lines are kept until somebody takes them.
const MOST_LINES: usize = 20_000;

/// How many bytes a line may have. A longer one is split.
const LONGEST_LINE: usize = 4096;

const STANDARD_ERROR: i32 = 2;

/// What one process writes to its standard error.
pub(crate) struct StderrWrites {
    ring: Ring,
    lost: SharedWords,
    told: u64,
    lines: VecDeque<String>,
    /// The beginning of a line that has not ended yet.
    rest: Vec<u8>,
    _link: OwnedFd,
}

impl StderrWrites {
    /// Copies what the process writes from now on.
    ///
    /// # Errors
    /// If the kernel does not take the program, as without root.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let ring = Ring::new(ring::LARGE)?;
        let lost = bpf::create_map(bpf::ARRAY, 4, 8, 1, bpf::MAPPABLE)?;
        let program = program(&ring.map, &lost, pid);
        let program = bpf::load(ProgramType::RawTracepoint, program.words())?;
        Ok(Self {
            ring,
            lost: SharedWords::new(&lost, 0, rustix::param::page_size())?,
            told: 0,
            lines: VecDeque::new(),
            rest: Vec::new(),
            _link: bpf::attach(&program, c"sys_enter")?,
        })
    }

    /// Returns the next line, without its line feed.
    pub(crate) fn next(&mut self) -> Option<String> {
        // Takes all reports out of the ring, which has room for few.
        while self.lines.len() < MOST_LINES
            && let Some(report) = self.ring.next()
        {
            let length = ring::word(&report, 0)? as usize;
            let end = length.min(DATA as usize) + HEAD as usize;
            self.take(report.get(HEAD as usize..end)?);
        }
        self.lines.pop_front()
    }

    /// Returns a descriptor that can be read as soon as something was written.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.map.as_fd()
    }

    /// Returns whether there is a line that has not ended yet.
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Takes the line that has not ended yet, for when nothing more comes.
    pub(crate) fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| text(&rest))
    }

    /// Appends bytes, and moves the lines that are complete to the queue.
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.lines.push_back(text(&line[..end]));
        }
        if self.rest.len() > LONGEST_LINE {
            let part = self.rest();
            self.lines.extend(part);
        }
    }

    /// Returns how many reports found no room since the last call.
    pub(crate) fn missed(&mut self) -> u64 {
        let all = self.lost.words()[0].load(Ordering::Acquire);
        let new = all - self.told;
        self.told = all;
        new
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

const CONTEXT: Reg = 6;
const FROM: Reg = 7;
const LEFT: Reg = 8;
const REPORT: Reg = 9;
/// Offsets on the stack: the call's three arguments, one of the pieces of writev(2), a map's key.
const ARGUMENTS: i16 = -24;
const PIECE: i16 = -40;
const KEY: i16 = -48;

/// Writes the program for `sys_enter(struct pt_regs *regs, long number)`.
fn program(ring: &OwnedFd, lost: &OwnedFd, pid: u32) -> Code {
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.load(1, CONTEXT, 8);
    let calls = [arch::WRITE, arch::WRITEV].map(|call| code.jump(Condition::Equal, 1, call));
    code.leave();
    calls.into_iter().for_each(|jump| code.land(jump));
    code.call(Helper::PidTgid);
    code.shift_right(0, 32);
    code.leave_unless(Condition::Equal, 0, pid as i32);
    read_arguments(&mut code);
    code.load(1, FRAME, argument(0));
    code.leave_unless(Condition::Equal, 1, STANDARD_ERROR);
    code.load(1, CONTEXT, 8);
    let pieces = code.jump(Condition::Equal, 1, arch::WRITEV);
    code.load(FROM, FRAME, argument(1));
    code.load(LEFT, FRAME, argument(2));
    copy(&mut code, ring, lost, REPORTS);
    code.leave();
    code.land(pieces);
    (0..PIECES).for_each(|piece| copy_piece(&mut code, ring, lost, piece));
    code.leave();
    code
}

/// Returns the offset on the stack of an argument of the system call.
const fn argument(number: usize) -> i16 {
    ARGUMENTS + arch::PROBE_ARGUMENTS[number] - arch::PROBE_ARGUMENTS_START
}

fn read_arguments(code: &mut Code) {
    code.load(3, CONTEXT, 0);
    code.add(3, arch::PROBE_ARGUMENTS_START.into());
    code.read(AddressSpace::Kernel, ARGUMENTS, 24);
}

/// Copies one of the pieces of writev(2) (`struct iovec`: address and length), if there are so
/// many.
fn copy_piece(code: &mut Code, ring: &OwnedFd, lost: &OwnedFd, piece: i32) {
    code.load(1, FRAME, argument(2));
    code.leave_unless(Condition::Greater, 1, piece);
    code.load(3, FRAME, argument(1));
    code.add(3, piece * 16);
    code.read(AddressSpace::User, PIECE, 16);
    code.leave_unless(Condition::Equal, 0, 0);
    code.load(FROM, FRAME, PIECE);
    code.load(LEFT, FRAME, PIECE + 8);
    copy(code, ring, lost, REPORTS / PIECES as usize);
}

/// Sends what the registers FROM and LEFT describe, in up to `reports` reports.
fn copy(code: &mut Code, ring: &OwnedFd, lost: &OwnedFd, reports: usize) {
    let ends: Vec<Jump> = (0..reports)
        .flat_map(|_| report(code, ring, lost))
        .collect();
    ends.into_iter().for_each(|end| code.land(end));
}

/// Sends one report. Returns the jumps that are taken when nothing is left.
fn report(code: &mut Code, ring: &OwnedFd, lost: &OwnedFd) -> [Jump; 2] {
    let nothing = code.jump(Condition::Equal, LEFT, 0);
    code.reserve(ring, BYTES);
    let reserved = code.jump(Condition::NotEqual, 0, 0);
    count_lost(code, lost);
    code.leave();
    code.land(reserved);
    code.copy(REPORT, 0);
    code.copy(2, LEFT);
    let longer = code.jump(Condition::Greater, 2, DATA);
    let fits = code.jump_always();
    code.land(longer);
    code.set(2, DATA);
    code.land(fits);
    code.store(REPORT, 0, 2);
    code.copy(1, REPORT);
    code.add(1, HEAD);
    code.copy(3, FROM);
    code.call(Helper::ReadUser);
    let read = code.jump(Condition::Equal, 0, 0);
    code.set(1, 0);
    code.store(REPORT, 0, 1);
    code.land(read);
    code.submit(REPORT);
    let more = code.jump(Condition::Greater, LEFT, DATA);
    let all = code.jump_always();
    code.land(more);
    code.add(FROM, DATA);
    code.add(LEFT, -DATA);
    [nothing, all]
}

/// Counts a report that found no room.
fn count_lost(code: &mut Code, lost: &OwnedFd) {
    code.set(1, 0);
    code.store_half(FRAME, KEY, 1);
    code.lookup(lost, KEY);
    code.leave_unless(Condition::NotEqual, 0, 0);
    code.set(1, 1);
    code.count(0, 0, 1);
}
