//! The verdict: what kind of dump it is, what is remarkable in it, why that is thought, and what to look at next.

mod access;
mod crash;
mod ended;
mod living;
mod wire;

use super::open::{Opened, Walked};
use super::page::Page;
use analysis::Frame;

pub(super) use wire::{CauseWire, VerdictWire};

/// What is to be said of a dump first.
pub(super) struct Verdict {
    /// What kind of dump it is, as a word.
    pub(super) kind: Kind,
    /// What is remarkable, in one or two sentences.
    pub(super) text: String,
    /// Why that is thought: a fact a line.
    pub(super) facts: Vec<String>,
    /// What to look at next.
    pub(super) next: String,
    /// The threads that it speaks of.
    pub(super) threads: Vec<u32>,
}

/// The kinds of dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The process died.
    Crash,
    /// An exception was thrown or a fault happened, which the program may have handled.
    Exception,
    /// It does not get on: threads wait for each other, or it does not answer.
    Hang,
    /// It used much CPU time.
    Cpu,
    /// It used much memory.
    Memory,
    /// It ended.
    Exit,
    /// Another condition was met.
    Condition,
    /// Somebody asked for it.
    OnDemand,
}

impl Kind {
    /// The word for it in JSON.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Exception => "exception",
            Self::Hang => "hang",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Exit => "exit",
            Self::Condition => "condition",
            Self::OnDemand => "on-demand",
        }
    }
}

/// The verdict on a dump.
pub(super) fn verdict(opened: &Opened, walked: &Walked) -> Verdict {
    match &walked.cause {
        Some(cause) => crash::verdict(opened, walked, cause),
        None => living::verdict(opened, walked),
    }
}

/// The threads that the verdict speaks of, without the rest of it: for that, debug information is read.
pub(super) fn remarkable(opened: &Opened, walked: &Walked) -> Vec<u32> {
    match &walked.cause {
        Some(cause) => vec![cause.thread],
        None => living::verdict(opened, walked).threads,
    }
}

/// Adds it.
pub(super) fn write(page: &mut Page, verdict: &Verdict) {
    let mut lines = vec![verdict.text.clone()];
    lines.extend(verdict.facts.iter().cloned());
    if !verdict.next.is_empty() {
        lines.push(format!("Next: {}", verdict.next));
    }
    page.paragraph("Verdict", &lines);
}

/// The frame as it is shown, cut where a name of C++ is pages long.
fn place(frame: &Frame) -> String {
    const LONGEST: usize = 120;
    crate::ui::console::cut(&frame.to_string(), LONGEST)
}
