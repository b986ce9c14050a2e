//! Crash handling: the program that the kernel starts for each crash (core(5)), the process that
//! crashed, and files that nobody but the administrator can change.

use crate::{Error, ErrorKind, Result, os};
use snapshot::ProcessKey;
use std::io;
use std::{path::Path, time::Duration};

/// The kernel's setting for cores: `core_pattern` and `core_pipe_limit` of core(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreHandler {
    /// A pattern for the names of files, or `|PROGRAM ARGUMENTS` for a program that gets the core.
    pub pattern: String,
    /// How many such programs run at once, each of which the kernel waits for. 0 means any number,
    /// without waiting.
    pub at_once: u32,
}

/// Reads the kernel's setting for cores.
///
/// # Errors
/// If it cannot be read, or on Windows.
pub fn core_handler() -> Result<CoreHandler> {
    os::postmortem::core_handler()
}

/// Changes the kernel's setting for cores.
///
/// # Errors
/// If we may not change it, or if the kernel changed the pattern, as it does with a long one.
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

/// Who may write to the folders of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Only the administrator may write to any folder of it.
    Strict,
    /// Folders above the last one may be shared by everybody, such as `/tmp`.
    Shared,
}

/// Checks that only the administrator can change the file or folder, or replace any folder above
/// it: whoever can do that decides what we do. Parts that do not exist yet are not checked.
///
/// # Errors
/// If somebody else can change a part of the path.
pub fn expect_guarded(path: &Path, guard: Guard) -> Result<()> {
    os::postmortem::expect_guarded(path, guard)
}

/// Reads a file that only the administrator can change; `None` if it does not exist.
///
/// # Errors
/// If somebody else could have written it, or if it cannot be read.
pub fn read_guarded(path: &Path) -> Result<Option<Vec<u8>>> {
    expect_guarded(path, Guard::Strict)?;
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::of_access(
            &format!("reading {}", path.display()),
            &error,
        )),
    }
}

/// Who may do what with a file that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Everybody may read it.
    Read,
    /// Everybody may read and run it.
    Run,
    /// Only the administrator may read it.
    Secret,
}

/// Writes a file, replacing one that exists, completely or not at all. Missing folders are made.
///
/// # Errors
/// If somebody else can change a folder of the path, or if the file cannot be written.
pub fn write_guarded(path: &Path, bytes: &[u8], usage: Use) -> Result<()> {
    expect_guarded(path, Guard::Strict)?;
    let written = os::postmortem::replace_file(path, bytes, usage);
    written.map_err(|e| Error::of_file(&format!("writing {}", path.display()), &e))
}

/// Checks that files can be stored in a folder, which need not exist yet: not in one of `/proc`. Where the folder lies is
/// told by its path alone, so that no server of a file system is waited for, and what its links lead to is not known.
///
/// # Errors
/// If its file system stores no files.
pub fn expect_storage(folder: &Path) -> Result<()> {
    os::postmortem::expect_storage(folder)
}

/// Makes a folder for dumps that only the administrator can read.
///
/// # Errors
/// If somebody else can change the folder or replace it, or if it cannot be made.
pub fn make_store(folder: &Path) -> Result<()> {
    expect_guarded(folder, Guard::Shared)?;
    os::postmortem::make_store(folder).map_err(|e| not_made(folder, &e))
}

/// The error of a folder that could not be made.
fn not_made(folder: &Path, error: &std::io::Error) -> Error {
    let shown = folder.display();
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let what = format!("{shown} is there, and is not a folder");
            Error::new(ErrorKind::Disk, what).advise("Name another folder, or remove it.")
        }
        _ => Error::of_file(&format!("making the folder {shown}"), error),
    }
}

/// Makes a folder that only the administrator can list, and that everybody can pass through to
/// reach the files that they may read.
///
/// # Errors
/// As [`make_store`].
pub fn make_passage(folder: &Path) -> Result<()> {
    expect_guarded(folder, Guard::Shared)?;
    os::postmortem::make_passage(folder).map_err(|e| not_made(folder, &e))
}

/// Returns the id of the user that this program runs as; `None` on Windows.
pub fn own_user() -> Option<u32> {
    os::postmortem::own_user()
}

/// Returns the user who answers for a user: the one to whom its number was lent for user namespaces (subuid(5)), else
/// itself. Who has 65,536 such numbers must not count as so many users.
pub fn responsible_user(uid: u32) -> u32 {
    os::postmortem::responsible_user(uid)
}

/// A process that has crashed, and that the kernel holds while we write its dump.
#[derive(Debug)]
pub struct Crashed {
    /// The identity of the process.
    pub key: ProcessKey,
    pub(crate) inner: os::postmortem::RawCrashed,
}

impl Crashed {
    /// Identifies the process. `descriptor` is the pidfd that the kernel gives to the handler (`%F`
    /// of core(5)), if it does; a pid alone may belong to another process by now.
    ///
    /// # Errors
    /// If the process is gone, or the descriptor stands for another one.
    pub fn identify(pid: u32, descriptor: Option<i32>) -> Result<Self> {
        let (key, inner) = os::postmortem::identify(pid, descriptor)?;
        Ok(Self { key, inner })
    }

    /// Returns whether the process runs the same program file as we do.
    pub fn is_ourselves(&self) -> bool {
        os::postmortem::is_ourselves(self.key)
    }

    /// Returns the user and group id of a process that has no other rights: its real, effective,
    /// saved and file system ids are the same, it has no capabilities, and those ids may read its
    /// program. `None` for any other process. Call [`Crashed::is_there`] afterwards to be sure that
    /// the answer is about this process.
    pub fn only_ids(&self) -> Option<(u32, u32)> {
        os::postmortem::only_ids(self.key)
    }

    /// Returns whether the process still exists.
    pub fn is_there(&self) -> bool {
        self.inner.is_there()
    }
}

/// What Windows tells the debugger that it starts when a process crashes
/// (<https://learn.microsoft.com/windows/win32/debug/configuring-automatic-debugging>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JustInTime {
    /// The pid of the process that crashed.
    pub pid: u32,
    /// A handle of an event that we inherited. Windows continues the crash when it is signalled, or
    /// when we end.
    pub event: u64,
    /// The address of `JIT_DEBUG_INFO` in the process.
    pub information: u64,
}

/// Prepares this process for handling crashes: it leaves no core itself, and files that it makes
/// cannot be read by others.
///
/// # Errors
/// If we are not the administrator.
pub fn become_crash_handler() -> Result<()> {
    os::postmortem::become_crash_handler()
}

/// Writes a line to the system's log, for a program that has no terminal. Failures are ignored.
pub fn system_log(text: &str) {
    os::postmortem::system_log(text);
}

/// Writes to the system's log that something was done, no failure.
pub fn system_note(text: &str) {
    os::postmortem::system_note(text);
}

/// Returns the lines of the kernel's log, as far as it reaches back. It contains what
/// [`system_log`] wrote.
///
/// # Errors
/// If it cannot be read, or on Windows.
pub fn kernel_log() -> std::io::Result<Vec<String>> {
    os::postmortem::kernel_log()
}

/// The core that the kernel writes to our standard input. A page of the process that the kernel has to wait for (FUSE)
/// holds up its writer, who then writes nothing more.
#[derive(Debug)]
pub struct CoreInput {
    patience: std::time::Duration,
    is_copied: bool,
    /// The bytes that were read.
    read: u64,
}

impl CoreInput {
    /// The core for a [`CrashWorker`]: what is read is there for those who watch it. `patience` is how long is waited for
    /// the next byte; a read fails then with [`io::ErrorKind::TimedOut`].
    pub fn of_worker(patience: std::time::Duration) -> Self {
        Self {
            is_copied: true,
            ..Self::rest(patience)
        }
    }

    /// What is left of the core when a worker has died.
    pub fn rest(patience: std::time::Duration) -> Self {
        Self {
            patience,
            is_copied: false,
            read: 0,
        }
    }

    /// Waits until there is something to read, or the end of the stream.
    ///
    /// # Errors
    /// If nothing comes in time.
    pub fn wait(&self) -> io::Result<()> {
        match os::postmortem::wait_for_input(self.patience) {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "the kernel has written nothing of its core for {:?}",
                    self.patience
                ),
            )),
        }
    }
}

impl io::Read for CoreInput {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        let got = os::postmortem::read_input(buf)?;
        if self.is_copied {
            os::crash_worker::note_taken(&buf[..got], self.read);
        }
        self.read += got as u64;
        Ok(got)
    }
}

/// The process that handles a crash, for the one that the kernel started. That one lives on if the worker dies or hangs.
#[derive(Debug)]
pub struct CrashWorker(os::crash_worker::CrashWorker);

/// How a [`CrashWorker`] has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// By itself, with this code, and it has told what went wrong.
    Exited(u8),
    /// By this signal.
    Killed(i32),
    /// It has not, in the time that was given, and was killed.
    Hung,
}

impl CrashWorker {
    /// Starts this program again with these words and the same standard input.
    ///
    /// # Errors
    /// If it cannot be started; always on Windows.
    pub fn start(words: &[String]) -> io::Result<Self> {
        os::crash_worker::CrashWorker::start(words).map(Self)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self, limit: std::time::Duration) -> io::Result<WorkerEnd> {
        self.0.wait(limit)
    }

    /// What it has read of the core, from its start on; `None` if that was too much to be kept.
    pub fn taken(self) -> Option<std::fs::File> {
        self.0.taken()
    }
}

/// Reads what still comes on standard input and throws it away, for at most `limit`. Returns the
/// number of bytes.
pub fn drain_input(limit: Duration) -> u64 {
    os::postmortem::drain_input(limit)
}

/// Returns a path by which our own program file can be read, even if it was renamed or deleted.
pub fn own_program() -> std::path::PathBuf {
    os::postmortem::own_program()
}

/// Replaces this process by another program, which inherits our standard input. Returns only if
/// that fails.
pub fn become_program(program: &Path, arguments: &[Vec<u8>]) -> Error {
    os::postmortem::become_program(program, arguments)
}
