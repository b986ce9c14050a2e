//! Threads that came to a place while another event was being dealt with.
//!
//! A probe holds a thread for a moment only. While a dump is taken for one thread, the holds of the others would run
//! out, and their dumps would show them anywhere. So each is stopped at its place by ptrace before its hold is let
//! go, is kept there over the end of the capture, and its event is told next.

use super::probe_source::ProbeSource;
use crate::linux::{
    arch,
    bpf_programs::Report,
    stop::{States, TraceState},
};
use std::{collections::VecDeque, time::Duration};

/// Threads whose events have still to be told, in the order in which they came.
#[derive(Default)]
pub(super) struct Gathered {
    kept: VecDeque<Kept>,
    /// Threads that were still to be stopped when their reports were taken.
    undecided: Vec<Report>,
}

struct Kept {
    report: Report,
    /// Whether the thread is stopped by us at its place.
    stands: bool,
}

impl Gathered {
    /// Adds a thread whose event has still to be told.
    pub(super) fn push(&mut self, report: Report, stands: bool) {
        self.kept.push_back(Kept { report, stands });
    }

    /// Takes the next report, and whether its thread stands.
    pub(super) fn next(&mut self) -> Option<(Report, bool)> {
        let Kept { report, stands } = self.kept.pop_front()?;
        let stands = stands && is_stopped(report.thread);
        Some((report, stands))
    }

    /// Returns the threads that have stood for longer than this. They are to go on, and count as gone.
    pub(super) fn overdue(&mut self, longest: Duration) -> Vec<i32> {
        let mut overdue = Vec::new();
        for kept in &mut self.kept {
            if kept.stands && kept.report.came.elapsed() > longest {
                kept.stands = false;
                overdue.push(kept.report.thread);
            }
        }
        overdue.retain(|thread| is_stopped(*thread));
        overdue
    }

    /// Returns the threads that stand.
    pub(super) fn standing(&self) -> impl Iterator<Item = i32> {
        let standing = self.kept.iter().filter(|kept| kept.stands);
        standing.map(|kept| kept.report.thread)
    }

    /// Takes new reports while threads are being stopped. A held thread that was asked to stop is let go: it stops
    /// at its place.
    pub(super) fn take_while_stopping(&mut self, probes: &ProbeSource, states: &States) {
        self.undecided.extend(std::iter::from_fn(|| probes.take()));
        for report in std::mem::take(&mut self.undecided) {
            if !states.contains_key(&report.thread) {
                self.undecided.push(report);
                continue;
            }
            let stands = probes.is_held(&report);
            probes.let_go(&report);
            self.push(report, stands);
        }
    }

    /// Threads that are held now cannot be stopped: they go on.
    pub(super) fn let_go_held(&mut self, probes: &ProbeSource) {
        let mut held = std::mem::take(&mut self.undecided);
        held.extend(std::iter::from_fn(|| probes.take()));
        for report in held {
            probes.let_go(&report);
            self.push(report, false);
        }
    }

    /// The threads could not be stopped: what is not decided is told all the same.
    pub(super) fn none_stopped(&mut self) {
        self.all_stopped(&States::default());
    }

    /// All threads have been stopped: finds out which of those that were let go have.
    pub(super) fn all_stopped(&mut self, states: &States) {
        for report in std::mem::take(&mut self.undecided) {
            self.push(report, false);
        }
        for kept in &mut self.kept {
            kept.stands &= states.get(&kept.report.thread) == Some(&TraceState::Stopped);
        }
    }
}

/// Returns whether a thread is stopped by us.
fn is_stopped(tid: i32) -> bool {
    arch::general(tid).is_ok()
}
