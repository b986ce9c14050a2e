//! The circles that exist, each with the reason why it stays.

use super::{Circle, Problem};

/// A circle that may exist.
pub(super) struct Allowed {
    /// The folder of its modules, relative to the workspace.
    pub(super) folder: &'static str,
    /// Names of its modules, ascending.
    pub(super) modules: &'static [&'static str],
    /// Why it stays.
    pub(super) reason: &'static str,
}

/// All of them.
#[rustfmt::skip]
pub(super) const ALLOWED: &[Allowed] = &[
    Allowed { folder: "crates/collector/src/run", modules: &["event", "jobs", "order"], reason: "a job answers with an event, which holds what the job has finished; an order is a part of both" },
    Allowed { folder: "crates/collector/src/run", modules: &["exits", "runner"], reason: "a part of the runner in a file of its own: what is still to come before it may end" },
    Allowed { folder: "crates/firstchance/src/cli/watch", modules: &["json", "session", "show"], reason: "to be cut: how a run has ended is a value that all three only read" },
    Allowed { folder: "crates/platform/src", modules: &["cancel", "capture", "crash_folder", "failpoint", "files", "host", "linux", "monitor", "postmortem", "registry", "target", "trust", "windows"], reason: "the common files hand each call to the module of the system, which answers in their types" },
    Allowed { folder: "crates/platform/src/linux", modules: &["capture", "follow", "target"], reason: "a target makes its capture and its follower, which hold the target" },
    Allowed { folder: "crates/platform/src/sim", modules: &["follow", "host", "target"], reason: "one simulated machine: its host makes the targets and their followers, which look at its state" },
    Allowed { folder: "crates/platform/src/windows", modules: &["follow", "just_in_time", "target"], reason: "a target makes its follower, which holds the target; a crash that was handed over is a target with its fault" },
    Allowed { folder: "crates/platform/src/windows", modules: &["handles", "process", "rights", "wine"], reason: "a refused process is explained by its rights, and Wine's wrong answers about it are replaced by what its handles tell" },
    Allowed { folder: "crates/policy/src/engine", modules: &["rules", "state"], reason: "the state of a rule holds its clauses' states, and a rule starts from its state" },
];

impl Allowed {
    /// Whether this entry is about that circle: the same modules, no more and no fewer.
    pub(super) fn is_for(&self, circle: &Circle) -> bool {
        self.folder == circle.folder && self.modules.iter().eq(&circle.modules)
    }

    /// What to say when no such circle exists.
    pub(super) fn problem(&self) -> Problem {
        let text = format!(
            "the circle of {} is gone: take it out of tidy/circles/allowed.rs",
            self.modules.join(", ")
        );
        Problem {
            file: self.folder.to_owned(),
            line: 0,
            text,
        }
    }
}
