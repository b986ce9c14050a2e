use snapshot::ProcessKey;
use std::{fmt, io};

/// What every function here returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure as a sentence: what was tried, on which process, what the system said, what to do.
#[derive(Debug)]
pub struct Error {
    /// What kind of failure; decides the exit code.
    pub kind: ErrorKind,
    /// What was tried, and why it failed: one sentence without a full stop.
    pub what: String,
    /// What the user can do about it; empty when there is nothing to say.
    pub advice: String,
}

/// The kinds of failure that a caller may tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such process, or it is another one by now.
    NoSuchProcess,
    /// The system forbids it.
    NotPermitted,
    /// The target ended or became another program while it was looked at.
    TargetDied,
    /// Another debugger or collector has the target.
    Busy,
    /// The file cannot be made or the disk is full.
    Disk,
    /// Somebody asked to stop.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// This system cannot do it.
    Unsupported,
    /// Anything else.
    Other,
}

impl Error {
    /// A failure of that kind; `what` is a sentence without its full stop.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            advice: String::new(),
        }
    }

    /// Adds what the user can do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// The system's refusal of `what` (`opening its memory`) on a process.
    pub fn of_process(what: &str, key: ProcessKey, error: &io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(code) if code == no_such_process() => ErrorKind::NoSuchProcess,
            _ => match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NoSuchProcess,
                io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
                _ => ErrorKind::Other,
            },
        };
        Self::new(kind, format!("{what} of process {key} failed: {error}"))
    }

    /// The system's refusal of `what` (`creating x.core`) on a file.
    pub fn of_file(what: &str, error: &io::Error) -> Self {
        Self::new(ErrorKind::Disk, format!("{what} failed: {error}"))
    }
}

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
