//! Where the hierarchies of control groups are mounted, by `/proc/self/mountinfo`
//! (proc_pid_mountinfo(5)).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// The mounts of control groups that we can see.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

#[derive(Debug)]
struct Mount {
    /// The group that the mount shows at its top: a container sees its own group there.
    root: String,
    point: PathBuf,
    /// The controllers of a v1 hierarchy; `None` for the unified one.
    controllers: Option<Vec<String>>,
}

/// The folder of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    /// The folder itself.
    pub(crate) path: PathBuf,
    /// The uppermost folder of its hierarchy that we can see.
    top: PathBuf,
}

impl Mounts {
    /// Returns the mounts of this process, which are read once.
    pub(super) fn ours() -> &'static Self {
        static OURS: LazyLock<Mounts> = LazyLock::new(|| {
            let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
            Mounts::parse(&String::from_utf8_lossy(&text))
        });
        &OURS
    }

    /// Parses the text of `mountinfo`.
    pub(super) fn parse(mountinfo: &str) -> Self {
        Self(mountinfo.lines().filter_map(parse_line).collect())
    }

    /// Returns the folder of a group in the v1 hierarchy of this controller.
    pub(super) fn v1(&self, controller: &str, group: &str) -> Option<Folder> {
        let has = |names: &Vec<String>| names.iter().any(|name| name == controller);
        self.folder(group, |mount| mount.controllers.as_ref().is_some_and(has))
    }

    /// Returns the folder of a group in the unified hierarchy.
    pub(super) fn v2(&self, group: &str) -> Option<Folder> {
        self.folder(group, |mount| mount.controllers.is_none())
    }

    /// Of several mounts, the one that shows the most above the group is the best.
    fn folder(&self, group: &str, is_wanted: impl Fn(&Mount) -> bool) -> Option<Folder> {
        let mut mounts: Vec<&Mount> = self.0.iter().filter(|mount| is_wanted(mount)).collect();
        mounts.sort_by_key(|mount| mount.root.len());
        let folders = mounts.into_iter().filter_map(|mount| mount.folder(group));
        { folders }.find(|folder| folder.path.is_dir())
    }
}

impl Mount {
    /// Returns the folder of a group, which is told from the top of the hierarchy: the root of the
    /// mount is subtracted. `None` if the group is not below that.
    fn folder(&self, group: &str) -> Option<Folder> {
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        // A group outside of our namespace is told as `/../other` (cgroup_namespaces(7)).
        let is_outside = below.components().any(|part| part.as_os_str() == "..");
        (!is_outside).then(|| Folder {
            path: self.point.join(below),
            top: self.point.clone(),
        })
    }
}

impl Folder {
    /// Returns the folder and those above it, up to the top.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = &Path> {
        let is_below = |path: &&Path| path.starts_with(&self.top);
        self.path.ancestors().take_while(is_below)
    }
}

/// Parses a line, as in `35 31 0:32 /docker/01 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`.
/// `None` if it is no mount of control groups.
fn parse_line(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut fields = right.split(' ');
    let controllers = match fields.next()? {
        "cgroup" => Some(fields.next_back()?.split(',').map(str::to_owned).collect()),
        "cgroup2" => None,
        _ => return None,
    };
    Some(Mount {
        root: unescape(root),
        point: unescape(point).into(),
        controllers,
    })
}

/// Replaces the escapes of blanks and backslashes by these: `\040`.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let replace = |text: String, (escape, plain): (&str, &str)| text.replace(escape, plain);
    escapes.into_iter().fold(text.to_owned(), replace)
}
