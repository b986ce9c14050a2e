//! A program that we start: it waits before its first instruction, and is an ordinary child then.

use super::sys::{launch::Waiting, signals, terminal_keeper::TerminalKeeper};
use snapshot::EndStatus;
use std::{io, os::unix::process::ExitStatusExt, path::PathBuf, process::Child};

/// A program that we started, and what lends it our terminal.
#[derive(Debug)]
pub(crate) struct RawLaunched {
    state: State,
    terminal: Option<TerminalKeeper>,
}

/// A program that waits, runs, or could not be executed.
#[derive(Debug)]
enum State {
    /// It waits for [`RawLaunched::go`]. The path is that of the program, for error messages.
    Waiting(Waiting, PathBuf),
    Running(Child),
    Failed,
}

impl Drop for RawLaunched {
    /// A program on our terminal that is stopped goes on: when we end, the kernel would end it by SIGHUP (setpgid(2)).
    fn drop(&mut self) {
        let had_terminal = self.terminal.take().is_some();
        if let State::Running(child) = &self.state
            && had_terminal
        {
            signals::resume_group_if_stopped(child.id());
        }
    }
}

impl RawLaunched {
    /// A program that waits.
    pub(crate) fn new(waiting: Waiting, program: PathBuf) -> Self {
        Self {
            terminal: TerminalKeeper::start(waiting.pid),
            state: State::Waiting(waiting, program),
        }
    }

    /// Lets the program begin. A second call does nothing.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Waiting(waiting, _) => waiting.go(),
            _ => Ok(()),
        }
    }

    /// Returns the result of execve(2), once it is known.
    pub(crate) fn started(&mut self) -> Option<io::Result<()>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Waiting(waiting, path) if !waiting.is_decided() => {
                self.state = State::Waiting(waiting, path);
                None
            }
            State::Waiting(waiting, path) => Some(match waiting.child() {
                Ok(child) => {
                    self.state = State::Running(child);
                    Ok(())
                }
                Err(error) => {
                    let what = format!("{}: {error}", path.display());
                    Err(io::Error::new(error.kind(), what))
                }
            }),
            other => {
                self.state = other;
                Some(Ok(()))
            }
        }
    }

    /// Returns how the program ended, once it has.
    pub(crate) fn status(&mut self) -> Option<EndStatus> {
        let State::Running(child) = &mut self.state else {
            return None;
        };
        let status = child.try_wait().ok()??;
        let code = status.code().map(|code| EndStatus::Code(code as u32));
        code.or_else(|| status.signal().map(EndStatus::Signal))
    }
}
