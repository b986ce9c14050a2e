//! The process that handles a crash, and what remains if it dies: it is watched by the one that the kernel started, which
//! does nothing else and needs little memory.

use super::sys::wake;
use crate::WorkerEnd;
use rustix::{
    fs::MemfdFlags,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    fs::File,
    io::{self, Seek, Write},
    os::{
        fd::AsFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The most of the kernel's core that is kept for the case that the worker dies, in bytes. The notes of some hundred
/// threads have room.
const MOST: u64 = 8 << 20;

/// How long a worker that was killed is waited for: the kernel may hold it, in a read that does not end.
const LONGEST_DEATH: Duration = Duration::from_secs(5);

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
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        if !wake::wait_for(process.as_fd(), limit)? {
            self.child.kill()?;
            // What it was writing is held by it until it is gone.
            wake::wait_for(process.as_fd(), LONGEST_DEATH)?;
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

/// Copies what was read of the core to whoever watches this process: one byte more than is kept tells that it was more.
pub(crate) fn note_taken(bytes: &[u8], before: u64) {
    let room = (MOST + 1).saturating_sub(before);
    let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(0))];
    // Without it, less is left if this process dies.
    let _ = io::stdout()
        .write_all(bytes)
        .and_then(|()| io::stdout().flush());
}
