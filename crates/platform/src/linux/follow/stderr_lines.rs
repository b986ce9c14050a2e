//! The source of debug strings: lines that the process writes to its standard error.

use super::{
    held_by::HeldBy,
    source::{Source, Wanted},
};
use crate::{
    Arming, Error, ErrorKind, Result,
    linux::{bpf_programs::StderrWrites, proc::ProcDir},
};
use snapshot::TargetEvent;
use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// How long to wait for the end of a line before its beginning is reported.
const PATIENCE: Duration = Duration::from_millis(50);

/// Whether a watch without debug strings would never see anything.
fn is_all_that_is_wanted(what: &Arming) -> bool {
    let alone = Arming {
        debug_strings: true,
        holds: what.holds,
        ..Arming::default()
    };
    *what == alone
}

fn unseen(proc: &ProcDir, error: &io::Error) -> Error {
    let what = format!(
        "reading what process {} writes to stderr failed: {error}",
        proc.key
    );
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
        _ => ErrorKind::Unsupported,
    };
    Error::new(kind, what).advise("It takes root, and a kernel with BPF.")
}

/// The lines of one process.
#[derive(Default)]
pub(super) struct StderrLines {
    writes: Option<StderrWrites>,
    /// When a line that has not ended is reported as it is.
    rest_due: Option<Instant>,
}

impl Source for StderrLines {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        if !wanted.what.debug_strings {
            *self = Self::default();
        } else if self.writes.is_none() {
            match StderrWrites::of(proc.key.pid) {
                Ok(writes) => self.writes = Some(writes),
                Err(error) if is_all_that_is_wanted(wanted.what) => {
                    return Err(unseen(proc, &error));
                }
                Err(error) => wanted.notices.push(format!(
                    "what it writes to stderr cannot be seen here: {error}"
                )),
            }
        }
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.writes.as_ref().map(StderrWrites::descriptor)
    }

    fn due(&self) -> Option<Instant> {
        self.rest_due
    }

    fn next(&mut self, _: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        let writes = self.writes.as_mut()?;
        let text = match writes.next() {
            Some(line) => {
                self.rest_due = None;
                line
            }
            None if !writes.has_rest() => return None,
            None => {
                let due = *self.rest_due.get_or_insert(Instant::now() + PATIENCE);
                if due > Instant::now() {
                    return None;
                }
                self.rest_due = None;
                writes.rest()?
            }
        };
        Some((TargetEvent::DebugString { text }, HeldBy::Nothing))
    }

    fn program_replaced(&mut self, _: bool) {
        // The tracepoint knows the process by its pid, which execve(2) keeps.
    }

    fn missed(&mut self) -> u64 {
        self.writes.as_mut().map_or(0, StderrWrites::missed)
    }
}
