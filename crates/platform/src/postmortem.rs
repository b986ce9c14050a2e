//! What the system does when a process crashes: who is told, and what that program needs.

use crate::{Error, ErrorKind, Result, os};
use snapshot::ProcessKey;
use std::{path::Path, time::Duration};

/// Whom the kernel tells of crashes (`core_pattern` and `core_pipe_limit` of core(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreHandler {
    /// A pattern for file names, or `|PROGRAM ARGUMENTS`.
    pub pattern: String,
    /// So many programs are run at once, and waited for; 0: any number, and none is waited for.
    pub at_once: u32,
}

/// Whom the kernel tells of crashes now.
pub fn core_handler() -> Result<CoreHandler> {
    os::postmortem::core_handler()
}

/// Has the kernel tell somebody else; an error where it did not take it as it is.
pub fn set_core_handler(handler: &CoreHandler) -> Result<()> {
    os::postmortem::set_core_handler(handler)?;
    let taken = core_handler()?;
    if taken == *handler {
        return Ok(());
    }
    let what = format!(
        "the kernel made \"{}\" of the core pattern \"{}\"",
        taken.pattern, handler.pattern
    );
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// How far a path is in the hands of the administrator alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nobody else may write to any folder of it.
    Strict,
    /// Folders above it may be those where everybody has files of their own (`/tmp`).
    Shared,
}

/// Refuses a path of which somebody but the administrator can change any part, also by replacing a
/// folder: who can do that decides what we do. What is not there yet is not looked at.
pub fn expect_guarded(path: &Path, guard: Guard) -> Result<()> {
    os::postmortem::expect_guarded(path, guard)
}

/// A file in the hands of the administrator alone; `None` where there is none.
pub fn read_guarded(path: &Path) -> Result<Option<Vec<u8>>> {
    expect_guarded(path, Guard::Strict)?;
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::of_file(
            &format!("reading {}", path.display()),
            &error,
        )),
    }
}

/// How a file of ours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Everybody may read it.
    Read,
    /// Everybody may run it.
    Run,
    /// The administrator's alone.
    Secret,
}

/// Writes a file in the place of one that may be there, whole or not at all, and the folders it
/// lies in where they are missing.
pub fn write_guarded(path: &Path, bytes: &[u8], usage: Use) -> Result<()> {
    expect_guarded(path, Guard::Strict)?;
    let written = os::postmortem::replace_file(path, bytes, usage);
    written.map_err(|e| Error::of_file(&format!("writing {}", path.display()), &e))
}

/// Makes a folder for dumps that is the administrator's alone; refuses one that others can change.
pub fn make_store(folder: &Path) -> Result<()> {
    expect_guarded(folder, Guard::Shared)?;
    let made = os::postmortem::make_store(folder);
    made.map_err(|e| Error::of_file(&format!("making the folder {}", folder.display()), &e))
}

/// Makes a folder for what belongs to the administrator alone and everybody may go through on the
/// way to what is theirs; refuses one that others can change.
pub fn make_passage(folder: &Path) -> Result<()> {
    expect_guarded(folder, Guard::Shared)?;
    let made = os::postmortem::make_passage(folder);
    made.map_err(|e| Error::of_file(&format!("making the folder {}", folder.display()), &e))
}

/// The number of the user that this program runs for; `None` where users have none.
pub fn own_user() -> Option<u32> {
    os::postmortem::own_user()
}

/// A process of whose crash we were told.
#[derive(Debug)]
pub struct Crashed {
    /// Who it is.
    pub key: ProcessKey,
    pub(crate) inner: os::postmortem::RawCrashed,
}

impl Crashed {
    /// The process of this pid, which the descriptor of that number (`%F`) must mean too where the
    /// kernel gives one: pids come again.
    pub fn identify(pid: u32, descriptor: Option<i32>) -> Result<Self> {
        let (key, inner) = os::postmortem::identify(pid, descriptor)?;
        Ok(Self { key, inner })
    }

    /// Whether its program is the very file that we are.
    pub fn is_ourselves(&self) -> bool {
        os::postmortem::is_ourselves(self.key)
    }

    /// The user and the group whose process it is through and through: real, effective, saved and
    /// file system ids are the same, it has no capability, and its program is one that they may
    /// read. [`Crashed::is_there`] afterwards says whether it was this process.
    pub fn only_ids(&self) -> Option<(u32, u32)> {
        os::postmortem::only_ids(self.key)
    }

    /// Whether it is there still.
    pub fn is_there(&self) -> bool {
        self.inner.is_there()
    }
}

/// What Windows tells the debugger that it starts when a process crashes (AeDebug).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JustInTime {
    /// The process.
    pub pid: u32,
    /// An event of ours: once it is signalled, Windows lets the process go on. Without it, Windows
    /// goes on with the crash when we end.
    pub event: u64,
    /// Where `JIT_DEBUG_INFO` lies in the process.
    pub information: u64,
}

/// Makes this process fit for being told of crashes: nothing of what it does leaves a core, no file
/// of it can be read by others. Refuses who is not the administrator.
pub fn become_crash_handler() -> Result<()> {
    os::postmortem::become_crash_handler()
}

/// A line in the log of the system, for a program that has nobody to talk to.
pub fn system_log(text: &str) {
    os::postmortem::system_log(text);
}

/// The kernel's log, as far as it reaches back, a line each; what [`system_log`] wrote is in it.
pub fn kernel_log() -> std::io::Result<Vec<String>> {
    os::postmortem::kernel_log()
}

/// Reads and drops what still comes on standard input, for so long at most.
pub fn drain_input(limit: Duration) -> u64 {
    os::postmortem::drain_input(limit)
}

/// Where the program that runs can be read, whatever became of its name.
pub fn own_program() -> std::path::PathBuf {
    os::postmortem::own_program()
}

/// Becomes another program, which gets our standard input; returns only if that fails.
pub fn become_program(program: &Path, arguments: &[Vec<u8>]) -> Error {
    os::postmortem::become_program(program, arguments)
}
