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
    Allowed { folder: "crates/platform/src", modules: &["cancel", "capture", "crash_folder", "failpoint", "files", "host", "linux", "monitor", "postmortem", "registry",
            "scratch", "target", "trust", "windows"], reason: "the common files hand each call to the module of the system, which answers in their types" },
    Allowed { folder: "crates/platform/src/windows", modules: &["handles", "process", "rights", "wine"], reason: "a refused process is explained by its rights, and Wine's wrong answers about it are replaced by what its handles tell" },
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
