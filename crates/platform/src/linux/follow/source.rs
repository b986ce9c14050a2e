use super::standing::HeldBy;
use crate::{ArmedPlace, Arming, Result, linux::proc::ProcDir};
use snapshot::TargetEvent;
use std::{os::fd::BorrowedFd, time::Instant};

/// One way to hear of what a process does. A new one (a runtime's own events, say) is a file beside
/// this one, and a field of [`Sources`](super::Sources).
pub(super) trait Source {
    /// Reports from now on what of `wanted` is this source's to report, and no more. What it cannot
    /// have here, it hands on to the sources after it, or says in `wanted.notices`.
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()>;

    /// What can be read as soon as there may be something to tell; `None` while nothing is armed.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// When it has to be asked, though its descriptor stays silent.
    fn due(&self) -> Option<Instant>;

    /// The next event, and where the process stands for it, without waiting. It is asked until
    /// there is none before anybody sleeps.
    fn next(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)>;

    /// The process has become another program: what was armed in the old one is gone with it.
    fn program_replaced(&mut self);

    /// How many events since the last call came too fast to be seen.
    fn missed(&mut self) -> u64;
}

/// What is to be armed, as it passes from source to source.
pub(super) struct Wanted<'w> {
    pub(super) what: &'w Arming,
    /// Signals to be seen by tracing: bit n-1 for signal n. Deaths that cannot be had otherwise are
    /// added to those that were asked for.
    pub(super) signals: u64,
    /// Places that cannot be had by probes.
    pub(super) without_probe: Vec<&'w ArmedPlace>,
    /// Whether a traced thread stands for an event now: it is let go only afterwards.
    pub(super) stands_traced: bool,
    /// What cannot be had, or what it costs, in sentences.
    pub(super) notices: Vec<String>,
}

impl<'w> Wanted<'w> {
    pub(super) fn new(what: &'w Arming, stands_traced: bool) -> Self {
        Self {
            what,
            signals: what.signals,
            without_probe: Vec::new(),
            stands_traced,
            notices: Vec::new(),
        }
    }
}
