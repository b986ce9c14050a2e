//! A clone that has been made: what becomes of it, until it is ended.

use super::{
    Reason,
    borrowed::{Answer, Borrowed},
    reap,
};
use crate::{
    Error, ErrorKind, Result,
    linux::{
        arch::{
            self,
            calls::{Gadgets, Saved},
        },
        proc::ProcDir,
        sys::{
            memory::write_process,
            ptrace::{self, Report},
        },
    },
};
use snapshot::{ProcessKey, Range, coalesce, without};
use std::time::{Duration, Instant};

/// The arguments of close_range(2) that leave the clone without descriptors, and the target's as they are
/// (`CLOSE_RANGE_UNSHARE`).
pub(super) const ALL_DESCRIPTORS: [u64; 3] = [0, u32::MAX as u64, 2];
/// The name that it gets: nobody takes it for what it is a copy of. It has 15 letters at most.
pub(super) const NAME: &str = "firstchance-cow";
/// How long a call in the clone may take.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long the clone may take to end when it is killed.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How near to the clone's frame nothing is given back, in bytes.
const AROUND_FRAME: u64 = 64 << 10;

/// A clone of a target. It ends when it is dropped, and with the thread that made it.
pub(crate) struct TargetClone {
    /// Its pid.
    pub(crate) pid: i32,
    /// Its pid as the target sees it.
    pub(super) number: i64,
    gadgets: Gadgets,
    frame: u64,
    thread: Option<Borrowed>,
    has_ended: bool,
}

impl TargetClone {
    pub(super) fn new(
        answer: Answer,
        gadgets: Gadgets,
        frame: u64,
    ) -> std::result::Result<Self, Reason> {
        match answer.made {
            0 => Err("the kernel did not tell which process it is".into()),
            pid => Ok(Self {
                pid,
                number: answer.returned,
                gadgets,
                frame,
                thread: None,
                has_ended: false,
            }),
        }
    }

    /// Makes it the clone that it is to be, when the target goes on again: it ends with us, has no descriptors, is in no
    /// process group of the target's, and is the first that is killed where memory is short.
    ///
    /// # Errors
    /// If it has ended, or does not do as it is told.
    pub(crate) fn settle(&mut self) -> Result<ProcDir> {
        let end = Instant::now() + CALL_WITHIN;
        while !matches!(self.report(), Some(Report::Interrupted)) {
            if self.has_ended || Instant::now() > end {
                return Err(self.ended());
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        let failed = |error: std::io::Error| Error::of_process("cloning", self.key(), &error);
        ptrace::end_with_us(self.pid).map_err(failed)?;
        let saved = Saved::of(self.pid, &mut arch::extended_buffer()).map_err(failed)?;
        let saved = saved.ok_or_else(|| failed(std::io::ErrorKind::Unsupported.into()))?;
        let thread = Borrowed::new(self.pid, saved, self.gadgets, self.frame);
        let call =
            |number, [a, b, c]: [u64; 3]| thread.call(number, [a, b, c, 0], end).map_err(failed);
        call(libc::SYS_close_range, ALL_DESCRIPTORS)?;
        call(libc::SYS_setsid, [0; 3])?;
        self.rename(&call);
        self.thread = Some(thread);
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", self.pid), "1000");
        ProcDir::open_pid(self.pid as u32)
    }

    /// Gives it a name of its own, which it reads from its own memory, below its frame.
    fn rename(&self, call: &dyn Fn(i64, [u64; 3]) -> Result<Answer>) {
        let place = self.frame - 64;
        let mut name = NAME.as_bytes().to_vec();
        name.push(0);
        if write_process(self.pid, place, &name).is_ok() {
            // Without it, it is known by who traces it.
            let _ = call(libc::SYS_prctl, [libc::PR_SET_NAME as u64, place, 0]);
        }
    }

    /// Gives back memory that has been copied, so that the target need not copy it before it writes to it.
    pub(crate) fn give_back(&self, ranges: &[Range]) {
        let Some(thread) = &self.thread else { return };
        let frame = Range::new(
            self.frame.saturating_sub(AROUND_FRAME),
            self.frame + AROUND_FRAME,
        );
        for range in without(&coalesce(ranges.to_vec(), 0), &[frame]) {
            let advice = [range.start, range.len(), libc::MADV_DONTNEED as u64, 0];
            let _ = thread.call(libc::SYS_madvise, advice, Instant::now() + CALL_WITHIN);
        }
    }

    /// Checks that it is still there.
    ///
    /// # Errors
    /// If somebody has ended it: the kernel, perhaps, as memory is short.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.report();
        match self.has_ended {
            true => Err(self.ended()),
            false => Ok(()),
        }
    }

    /// Ends it, and has the target take it off its list of children.
    pub(crate) fn end(&mut self, target: &ProcDir) {
        let is_first = self.thread.is_some() || !self.has_ended;
        self.kill();
        if is_first {
            reap::take(target, self.gadgets, self.number);
        }
    }

    pub(super) fn kill(&mut self) {
        let end = Instant::now() + END_WITHIN;
        while !self.has_ended && Instant::now() < end {
            if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
                // A clone of ours, which this thread traces: its pid is not another's.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            match self.report() {
                // Until it is settled, it stops at its exit, as the threads of the target do.
                Some(_) if !self.has_ended => drop(ptrace::resume(self.pid, 0)),
                _ => std::thread::sleep(Duration::from_micros(200)),
            }
        }
        ptrace::not_aside(self.pid);
        self.thread = None;
    }

    fn report(&mut self) -> Option<Report> {
        let report = match ptrace::report_of(self.pid) {
            Ok(report) => report?.1,
            Err(_) => Report::Gone(0),
        };
        self.has_ended |= matches!(report, Report::Gone(_));
        Some(report)
    }

    fn key(&self) -> ProcessKey {
        ProcessKey {
            pid: self.pid as u32,
            start: 0,
        }
    }

    fn ended(&self) -> Error {
        let what = "the clone that was being copied has ended: memory may be short";
        Error::new(ErrorKind::CloneLost, what).advise("--hold copies from the target itself.")
    }
}

impl Drop for TargetClone {
    fn drop(&mut self) {
        self.kill();
    }
}
