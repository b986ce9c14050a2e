//! The process that handles a crash, and what remains if it dies: it is watched by the one that the kernel started, which
//! does nothing else and needs little memory.

use crate::WorkerEnd;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::MemfdFlags,
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    fs::File,
    io::{self, Seek, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The most of the kernel's core that is kept for the case that the worker dies, in bytes. The notes of some hundred
/// threads have room.
const MOST: u64 = 8 << 20;

/// See [`crate::CrashWorker`].
#[derive(Debug)]
pub(crate) struct CrashWorker {
    child: Child,
    taken: File,
}

impl CrashWorker {
    /// Starts this program again with other words. What it reads of standard input it copies to its standard output.
    pub(crate) fn start(words: &[String]) -> io::Result<Self> {
        let taken: File = rustix::fs::memfd_create(c"taken", MemfdFlags::CLOEXEC)?.into();
        let name = std::env::args_os().next().unwrap_or_default();
        let mut command = Command::new("/proc/self/exe");
        command.arg0(name).args(words).stdin(Stdio::inherit());
        let child = command.stdout(taken.try_clone()?).spawn()?;
        // The worker is to be ended first where memory is short. Without the right to say so, both may be.
        let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
        Ok(Self { child, taken })
    }

    /// See [`crate::CrashWorker::wait`].
    pub(crate) fn wait(&mut self, limit: Duration) -> io::Result<WorkerEnd> {
        let pid = Pid::from_child(&self.child);
        if !has_ended(pid, limit)? {
            self.child.kill()?;
            return Ok(WorkerEnd::Hung);
        }
        let status = self.child.wait()?;
        Ok(match status.signal() {
            Some(signal) => WorkerEnd::Killed(signal),
            None => WorkerEnd::Exited(status.code().unwrap_or_default() as u8),
        })
    }

    /// See [`crate::CrashWorker::taken`].
    pub(crate) fn taken(mut self) -> Option<File> {
        let len = self.taken.metadata().ok()?.len();
        self.taken.rewind().ok()?;
        (len <= MOST).then_some(self.taken)
    }
}

/// Waits until the process has ended; returns false if it has not in time.
fn has_ended(pid: Pid, limit: Duration) -> io::Result<bool> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            found => return Ok(found? > 0),
        }
    }
}

/// Copies what was read of the core to whoever watches this process: one byte more than is kept tells that it was more.
pub(crate) fn note_taken(bytes: &[u8], before: u64) {
    let room = (MOST + 1).saturating_sub(before);
    let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(0))];
    // Without it, less is left if this process dies.
    let _ = io::stdout()
        .write_all(bytes)
        .and_then(|()| io::stdout().flush());
}
