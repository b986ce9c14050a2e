//! The one error type of this crate: a sentence for people, and a kind for the exit code.

use snapshot::ProcessKey;
use std::{fmt, io};

/// The result of most functions of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The advice for a process that another debugger holds. What else the user can do depends on the command.
pub(crate) const ONE_DEBUGGER: &str = "Only one debugger can hold a process; end that one.";

/// A failure as a sentence: what was tried, on which process or file, what the system said, and
/// what the user can do about it.
#[derive(Debug)]
pub struct Error {
    /// The kind of failure. It decides the exit code.
    pub kind: ErrorKind,
    /// What was tried, and why it failed: one sentence without a full stop.
    pub what: String,
    /// What the user can do about it, in whole sentences; empty if there is nothing to say.
    pub advice: String,
}

/// The kinds of failure that a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such process, or another one has its pid by now.
    NoSuchProcess,
    /// The system does not permit it.
    NotPermitted,
    /// The process ended meanwhile.
    TargetDied,
    /// The process executed another program meanwhile, and lives on as that.
    Executed,
    /// The clone that was copied was lost, and the process lives on: memory is short.
    CloneLost,
    /// Another debugger or tracer has attached to the process.
    Busy,
    /// A file cannot be made, or there is none to be read, or the disk is full.
    Disk,
    /// There is a file of that name, which is to be left.
    Exists,
    /// The work was cancelled.
    Cancelled,
    /// It took longer than the deadline.
    TimedOut,
    /// This system does not support it.
    Unsupported,
    /// Any failure that is none of the others.
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NoSuchProcess => "no such process",
            ErrorKind::NotPermitted => "not permitted",
            ErrorKind::TargetDied => "the process ended",
            ErrorKind::Executed => "the process became another program",
            ErrorKind::CloneLost => "its clone was lost",
            ErrorKind::Busy => "another debugger holds the process",
            ErrorKind::Disk => "the file could not be written",
            ErrorKind::Exists => "the file exists",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::TimedOut => "too slow",
            ErrorKind::Unsupported => "not supported here",
            ErrorKind::Other => "another one",
        })
    }
}

impl Error {
    /// Makes an error of that kind. `what` is a sentence without its full stop.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            advice: String::new(),
        }
    }

    /// Returns whether it failed because the process has ended.
    pub fn is_of_end(&self) -> bool {
        matches!(self.kind, ErrorKind::NoSuchProcess | ErrorKind::TargetDied)
    }

    /// Adds what the user can do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Makes the error of a system call on a process. `what` is what was tried, as in "opening the
    /// memory"; the kind follows from the system's error.
    pub fn of_process(what: &str, key: ProcessKey, error: &io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(code) if code == no_such_process() => ErrorKind::NoSuchProcess,
            _ => match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NoSuchProcess,
                io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
                _ => ErrorKind::Other,
            },
        };
        let failed = Self::new(kind, format!("{what} of process {key} failed: {error}"));
        match is_lack_of_descriptors(error) {
            true => failed.advise(format!("{MORE_DESCRIPTORS}.")),
            false => failed,
        }
    }

    /// Makes the error of a system call on a file. `what` is what was tried, as in "creating
    /// x.core".
    pub fn of_file(what: &str, error: &io::Error) -> Self {
        Self::new(ErrorKind::Disk, format!("{what} failed: {error}"))
    }

    /// As [`Error::of_file`], of a file that is to be made: the user may have no right to do that there.
    pub fn of_new_file(what: &str, error: &io::Error) -> Self {
        let failed = Self::of_file(what, error);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                failed.advise("Name a folder that you may write to.")
            }
            _ => failed,
        }
    }

    /// Makes the error of a system call on a file that is there, and that is to be read, listed or deleted: the user may have
    /// no right to do that. `what` is what was tried, as in "reading x.core".
    pub fn of_access(what: &str, error: &io::Error) -> Self {
        let failed = Self::of_file(what, error);
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self {
                kind: ErrorKind::NotPermitted,
                ..failed.advise(AS_ANOTHER_USER)
            },
            _ => failed,
        }
    }
}

/// What to do where a process of ours may open no more files.
pub(crate) const MORE_DESCRIPTORS: &str = "Raise the limit of open files of firstchance (ulimit -n, or LimitNOFILE= of its unit): each process \
                                           that it follows takes some twenty";

/// Whether we may open no more files (errno(3), EMFILE).
#[cfg(unix)]
pub(crate) fn is_lack_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMFILE)
}

/// Windows has no such limit that somebody could raise.
#[cfg(windows)]
fn is_lack_of_descriptors(_: &io::Error) -> bool {
    false
}

/// The advice for a file that belongs to somebody else.
#[cfg(unix)]
const AS_ANOTHER_USER: &str = "Do it as the owner of the file, or as root (with sudo).";

#[cfg(windows)]
const AS_ANOTHER_USER: &str = "Do it as the owner of the file, or as an administrator.";

/// The system's error code for a process that does not exist.
#[cfg(unix)]
const fn no_such_process() -> i32 {
    libc::ESRCH
}

#[cfg(windows)]
const fn no_such_process() -> i32 {
    87 // ERROR_INVALID_PARAMETER: what OpenProcess says of a pid that is gone
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.what)?;
        if !self.advice.is_empty() {
            write!(f, " {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
