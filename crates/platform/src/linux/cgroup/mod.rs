//! Control groups, v1 and v2 (cgroups(7)): in which group of a hierarchy a process is, where that is
//! mounted, and what limits it has.

pub(crate) mod limits;
mod mounts;

pub(crate) use mounts::Folder;
use mounts::Mounts;

use super::proc::ProcDir;

/// The groups of one process, one in each hierarchy.
pub(crate) struct Groups<'m> {
    mounts: &'m Mounts,
    /// The text of `/proc/PID/cgroup`.
    text: String,
}

impl Groups<'_> {
    /// Reads the groups of a process; it is in none if it has ended.
    pub(crate) fn of(dir: &ProcDir) -> Self {
        let text = dir.read("cgroup").unwrap_or_default();
        Self {
            mounts: Mounts::ours(),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Returns the group that a v1 controller (`memory`) has the process in; `None` if no v1
    /// hierarchy with it is mounted: then the controller belongs to v2, or is not there.
    pub(crate) fn v1(&self, controller: &str) -> Option<Folder> {
        let is_one = |names: &str| names.split(',').any(|name| name == controller);
        self.mounts.v1(controller, self.path(is_one)?)
    }

    /// Returns the group in the unified hierarchy; `None` if that is not mounted.
    pub(crate) fn v2(&self) -> Option<Folder> {
        self.mounts.v2(self.path(str::is_empty)?)
    }

    /// Returns the group of a hierarchy, as in `4:memory:/docker/0123`.
    fn path(&self, is_wanted: impl Fn(&str) -> bool) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let controllers = fields.nth(1)?;
            is_wanted(controllers).then(|| fields.next())?
        })
    }
}

/// Parses a text as mounts and as groups.
#[cfg(feature = "fuzzing")]
pub(crate) fn parse(text: &str) {
    let mounts = Mounts::parse(text);
    let groups = Groups {
        mounts: &mounts,
        text: text.to_owned(),
    };
    let _ = (groups.v1("memory"), groups.v2());
}

#[cfg(test)]
pub(super) mod tests;
