//! What holds the thread of the last event.

use crate::{
    Standing,
    linux::{
        arch,
        bpf_programs::{Death, Report},
        traced_process::Fate,
    },
};

/// What holds the thread of the last event.
#[derive(Default)]
pub(super) enum HeldBy {
    /// Nothing: the process runs, or is gone.
    #[default]
    Nothing,
    /// The thread is traced, and stands for its event. If that is a signal, this has what the
    /// signal will do.
    Tracer(i32, Option<Fate>),
    /// A uprobe holds the thread, for some milliseconds at most.
    Probe(Report),
    /// The thread came to a place, and was stopped by us since.
    OurStop(Report),
    /// The process is dead, and its memory is kept. The thread that had the fault is the first.
    Death(Vec<Death>),
}

impl HeldBy {
    /// Returns what is told of the thread.
    pub(super) fn standing(&self) -> Standing {
        let registers = match self {
            HeldBy::Nothing => None,
            HeldBy::Tracer(tid, _) => arch::general(*tid).ok(),
            HeldBy::Probe(report) | HeldBy::OurStop(report) => Some(report.registers),
            HeldBy::Death(deaths) => deaths.first().map(|death| death.registers),
        };
        let report = self.report();
        Standing {
            registers,
            kind: report.and_then(|report| report.kind),
            since: report.map(|report| report.came),
            is_deadly: matches!(
                self,
                HeldBy::Tracer(_, Some(Fate::Death)) | HeldBy::Death(_)
            ),
        }
    }

    /// Returns the living thread that stands.
    pub(super) fn thread(&self) -> Option<i32> {
        match self {
            HeldBy::Nothing | HeldBy::Death(_) => None,
            HeldBy::Tracer(tid, _) => Some(*tid),
            HeldBy::Probe(report) | HeldBy::OurStop(report) => Some(report.thread),
        }
    }

    /// Returns what a probe told of the thread.
    fn report(&self) -> Option<&Report> {
        match self {
            HeldBy::Probe(report) | HeldBy::OurStop(report) => Some(report),
            HeldBy::Nothing | HeldBy::Tracer(..) | HeldBy::Death(_) => None,
        }
    }
}
