//! A program that we start: it waits before its first instruction, and is an ordinary child then.

use super::sys::launch::Waiting;
use snapshot::EndStatus;
use std::{io, os::unix::process::ExitStatusExt, path::PathBuf, process::Child};

/// A program that waits, runs, or could not be executed.
#[derive(Debug)]
pub(crate) enum RawLaunched {
    /// It waits for [`RawLaunched::go`]. The path is that of the program, for error messages.
    Waiting(Waiting, PathBuf),
    Running(Child),
    Failed,
}

impl RawLaunched {
    /// Lets the program begin. A second call does nothing.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        match self {
            RawLaunched::Waiting(waiting, _) => waiting.go(),
            _ => Ok(()),
        }
    }

    /// Returns the result of execve(2), once it is known.
    pub(crate) fn started(&mut self) -> Option<io::Result<()>> {
        match std::mem::replace(self, RawLaunched::Failed) {
            RawLaunched::Waiting(waiting, path) if !waiting.is_decided() => {
                *self = RawLaunched::Waiting(waiting, path);
                None
            }
            RawLaunched::Waiting(waiting, path) => Some(match waiting.child() {
                Ok(child) => {
                    *self = RawLaunched::Running(child);
                    Ok(())
                }
                Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
            }),
            other => {
                *self = other;
                Some(Ok(()))
            }
        }
    }

    /// Returns how the program ended, once it has.
    pub(crate) fn status(&mut self) -> Option<EndStatus> {
        let RawLaunched::Running(child) = self else {
            return None;
        };
        let status = child.try_wait().ok()??;
        let code = status.code().map(|code| EndStatus::Code(code as u32));
        code.or_else(|| status.signal().map(EndStatus::Signal))
    }
}
