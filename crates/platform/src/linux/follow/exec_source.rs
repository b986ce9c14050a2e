//! The source that tells of programs which the process executes, where it is not traced: what the other sources have armed
//! is bound to a program.

use super::{
    held_by::HeldBy,
    source::{Source, Wanted},
};
use crate::{
    Arming, Result,
    linux::{
        bpf_programs::{Executed, Executions},
        proc::ProcDir,
    },
};
use snapshot::TargetEvent;
use std::{os::fd::BorrowedFd, time::Instant};

/// The programs that the process executes.
#[derive(Default)]
pub(super) struct ExecSource(Option<Executions>);

impl ExecSource {
    /// Whether it tells of them.
    pub(super) fn is_armed(&self) -> bool {
        self.0.is_some()
    }

    /// Takes what was executed since the last call.
    pub(super) fn take(&self) -> Executed {
        self.0.as_ref().map(Executions::take).unwrap_or_default()
    }
}

/// Whether something is armed that another program of the process does not have.
fn is_of_program(what: &Arming) -> bool {
    what.deaths || what.exceptions || what.modules || !what.places.is_empty()
}

impl Source for ExecSource {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        let what = wanted.what;
        // One that is traced stands when it has executed a program.
        let is_traced = what.exit || what.signals != 0 || what.threads;
        if is_traced || !is_of_program(what) {
            self.0 = None;
        } else if self.0.is_none() {
            match Executions::of(proc.key.pid) {
                Ok(executions) => self.0 = Some(executions),
                Err(_) => wanted.executions = true,
            }
        }
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(Executions::descriptor)
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn next(&mut self, _: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        // No thread stands for it: who waits is told otherwise.
        None
    }

    fn program_replaced(&mut self, _: bool) {
        // The table knows the process by its pid, which execve(2) keeps.
    }

    fn missed(&mut self) -> u64 {
        0
    }
}
