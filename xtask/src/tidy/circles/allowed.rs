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
    Allowed { folder: "crates/collector/src/run", modules: &["attached", "first", "follower"], reason: "to be cut with the follower" },
    Allowed { folder: "crates/firstchance/src", modules: &["cli", "export", "inspect", "postmortem"], reason: "to be cut: what the front ends print with belongs into a module of its own" },
    Allowed { folder: "crates/firstchance/src/inspect", modules: &["summary", "threads"], reason: "to be cut: a summary is a page of threads" },
    Allowed { folder: "crates/firstchance/src/postmortem", modules: &["aedebug", "install", "windows"], reason: "to be cut with the files for Windows and the handler" },
    Allowed { folder: "crates/firstchance/src/postmortem", modules: &["case", "forward", "handler"], reason: "to be cut with the files for Windows and the handler" },
    Allowed { folder: "crates/firstchance/src/postmortem", modules: &["local_dumps", "settings", "variables"], reason: "to be cut with the files for Windows and the handler" },
    Allowed { folder: "crates/platform/src", modules: &["cancel", "crash_folder", "failpoint", "files", "host", "linux", "monitor", "postmortem", "registry", "trust", "windows"], reason: "the common files hand each call to the module of the system, which answers in their types" },
    Allowed { folder: "crates/platform/src/linux", modules: &["counters", "sample"], reason: "to be cut with the target" },
    Allowed { folder: "crates/platform/src/linux", modules: &["events", "target"], reason: "to be cut with the target" },
    Allowed { folder: "crates/platform/src/linux", modules: &["memory", "probes"], reason: "to be cut with the target" },
    Allowed { folder: "crates/platform/src/windows", modules: &["counters", "sample"], reason: "to be cut with the target" },
    Allowed { folder: "crates/platform/src/windows", modules: &["handles", "process", "rights", "wine"], reason: "to be cut with the target" },
    Allowed { folder: "crates/platform/src/windows", modules: &["just_in_time", "target"], reason: "to be cut with the target" },
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
