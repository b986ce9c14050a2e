//! What the sources of events have in common.

use super::held_by::HeldBy;
use crate::{ArmedPlace, Arming, Result, linux::proc::ProcDir};
use snapshot::TargetEvent;
use std::{os::fd::BorrowedFd, time::Instant};

/// One mechanism that reports what a process does. A new one, such as a runtime's own events, is a
/// file beside this one and a field of [`Sources`](super::Sources).
pub(super) trait Source {
    /// Reports from now on those events of `wanted` that this source can report, and no others.
    /// What it cannot report it passes on to the sources after it, or says in `wanted.notices`.
    ///
    /// # Errors
    /// If the process cannot be followed.
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()>;

    /// Returns a descriptor that can be read as soon as there may be an event; `None` if nothing is
    /// armed.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Returns when [`Source::next`] has to be called even if the descriptor cannot be read.
    fn due(&self) -> Option<Instant>;

    /// Returns the next event and how the process is held for it, without waiting. It is called
    /// until there is no event before anybody sleeps.
    fn next(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)>;

    /// Forgets what was armed, if another program of the process does not have it: the process has executed one, maybe by
    /// a thread that was not the first one, and is now.
    fn program_replaced(&mut self, by_other_thread: bool);

    /// Returns how many events were lost since the last call because they came too fast.
    fn missed(&mut self) -> u64;
}

/// What is to be armed, passed from source to source.
pub(super) struct Wanted<'w> {
    /// What was asked for.
    pub(super) what: &'w Arming,
    /// Signals that have to be seen by tracing: bit n-1 stands for signal n. Besides those that
    /// were asked for, they are the fault signals if deaths cannot be seen otherwise.
    pub(super) signals: u64,
    /// Places for which there is no uprobe.
    pub(super) without_probe: Vec<&'w ArmedPlace>,
    /// Whether programs that the process executes have to be seen by tracing, though it costs more.
    pub(super) executions: bool,
    /// Whether a traced thread stands for an event now. The tracing must not end before it goes on.
    pub(super) stands_traced: bool,
    /// What cannot be reported, or what it costs the process, in sentences.
    pub(super) notices: Vec<String>,
}

impl<'w> Wanted<'w> {
    pub(super) fn new(what: &'w Arming, stands_traced: bool) -> Self {
        Self {
            what,
            signals: what.signals,
            without_probe: Vec::new(),
            executions: false,
            stands_traced,
            notices: Vec::new(),
        }
    }
}
