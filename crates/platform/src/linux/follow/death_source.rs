//! The source of death events: the death of the process by a signal, seen without tracing it (see
//! [`death_watch`]), or by tracing if that is not possible.

use super::{
    held_by::HeldBy,
    signal_event,
    source::{Source, Wanted},
};
use crate::{
    FAULT_BITS, Facts, Result,
    linux::{
        death_watch::{self, DeathWatch},
        facts,
        proc::ProcDir,
    },
};
use snapshot::TargetEvent;
use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// Waits for the death of a process.
#[derive(Default)]
pub(super) struct DeathSource {
    watch: Option<DeathWatch>,
    /// The facts of the process, read while it lived.
    kept: Option<Facts>,
}

impl DeathSource {
    /// Returns the facts of a process that has died, from when it lived.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.kept.as_ref()
    }

    /// Returns how old the memory map of a process that has died is, if it could not be read at its death.
    pub(super) fn maps_are_older(&self) -> Option<Duration> {
        self.watch.as_ref()?.maps_are_older
    }

    fn keep_facts(&mut self, proc: &ProcDir, new: Option<Facts>) {
        // A process that is dying while it is armed again has lost its modules: keep the older
        // facts.
        let facts = new.or_else(|| facts::gather(proc).ok());
        let facts = facts.filter(|facts| !facts.modules.is_empty());
        self.kept = facts.or(self.kept.take());
    }
}

impl Source for DeathSource {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        let what = wanted.what;
        if !what.deaths {
            self.watch = None;
            return Ok(());
        }
        match what.lightly {
            true => self.kept = facts::gather_names(proc).ok(),
            false => self.keep_facts(proc, wanted.facts.take()),
        }
        // A process that is traced for something else anyway shows its death by that.
        let is_traced = what.exit || what.signals != 0 || what.threads;
        let watch = self.watch.as_mut().filter(|watch| watch.is_of(proc));
        if let Some(watch) = watch.filter(|_| !is_traced) {
            watch.keep_the_rest(proc);
            return Ok(());
        }
        self.watch = None;
        if !is_traced {
            match DeathWatch::begin(proc, what.lightly) {
                Ok(watch) => {
                    self.watch = Some(watch);
                    return Ok(());
                }
                // Of one that is ending, nothing more will be seen in any way.
                Err(error) if is_gone(&error) || !death_watch::lives(proc) => {}
                Err(error) => wanted.notices.push(format!(
                    "its death is seen by tracing ({error}): each signal it gets costs it some \
                     microseconds"
                )),
            }
        }
        wanted.signals |= FAULT_BITS;
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(|watch| watch.deaths.descriptor())
    }

    fn due(&self) -> Option<Instant> {
        self.watch.as_ref().map(DeathWatch::due)
    }

    fn next(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        let deaths = self.watch.as_mut()?.next(proc)?;
        let first = deaths.first()?;
        let event = signal_event(first.thread, &death_watch::death_signal(first));
        Some((event, HeldBy::Death(deaths)))
    }

    fn program_replaced(&mut self) {
        // A new program is reported by tracing, and a traced process has no death watch.
    }

    fn missed(&mut self) -> u64 {
        // A process dies once, and the ring has room for a thousand threads.
        0
    }
}

/// Whether a process has lost its address space, because it is ending.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}
