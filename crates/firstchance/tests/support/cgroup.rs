//! Control groups with limits, in the hierarchy that this machine has for a controller.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// A group below the top of a hierarchy. It is removed when dropped, once nobody is in it: drop processes first.
pub(crate) struct Group {
    /// Where its hierarchy is mounted.
    pub(crate) mount: PathBuf,
    /// Its folder.
    pub(crate) folder: PathBuf,
    is_v1: bool,
}

impl Group {
    /// Makes a group for this controller: in its v1 hierarchy, or else in the unified one.
    ///
    /// # Panics
    /// If the machine has no such controller, or we may not make groups.
    pub(crate) fn of(controller: &str) -> Group {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let v1 =
            mount(|kind, options| kind == "cgroup" && options.split(',').any(|o| o == controller));
        let is_v1 = v1.is_some();
        let mount = v1.or_else(|| mount(|kind, _| kind == "cgroup2"));
        let mount = mount.expect("control groups are mounted");
        if !is_v1 {
            let all = mount.join("cgroup.subtree_control");
            std::fs::write(&all, format!("+{controller}"))
                .expect("a controller of the unified hierarchy");
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("firstchance-test-{}-{number}", std::process::id());
        let folder = mount.join(name);
        std::fs::create_dir(&folder).expect("root may make control groups");
        Group {
            mount,
            folder,
            is_v1,
        }
    }

    /// Limits the memory, in bytes.
    pub(crate) fn limit_memory(&self, bytes: u64) {
        let name = if self.is_v1 {
            "memory.limit_in_bytes"
        } else {
            "memory.max"
        };
        self.write(name, &bytes.to_string());
    }

    /// Limits the time of processors, as a percentage of one.
    pub(crate) fn limit_cpu(&self, percent: u32) {
        let quota = (1000 * percent).to_string();
        match self.is_v1 {
            true => {
                self.write("cpu.cfs_period_us", "100000");
                self.write("cpu.cfs_quota_us", &quota);
            }
            false => self.write("cpu.max", &format!("{quota} 100000")),
        }
    }

    /// The name of the file that tells what memory the group uses.
    pub(crate) fn memory_file(&self) -> &'static str {
        if self.is_v1 {
            "memory.usage_in_bytes"
        } else {
            "memory.current"
        }
    }

    /// What memory the group uses, in bytes, without pages of files that were not used lately.
    pub(crate) fn working_set(&self) -> u64 {
        let inactive = match self.is_v1 {
            true => "total_inactive_file ",
            false => "inactive_file ",
        };
        self.number(self.memory_file()) - self.line("memory.stat", inactive)
    }

    /// How often the kernel has killed in the group for lack of memory.
    pub(crate) fn kills(&self) -> u64 {
        let name = if self.is_v1 {
            "memory.oom_control"
        } else {
            "memory.events"
        };
        self.line(name, "oom_kill ")
    }

    /// How often the group had no memory left to take, and some had to be found.
    pub(crate) fn times_at_its_limit(&self) -> u64 {
        match self.is_v1 {
            true => self.number("memory.failcnt"),
            false => self.line("memory.events", "max "),
        }
    }

    /// The beginning of a command line that executes the rest of it in the group.
    pub(crate) fn entering(&self) -> [String; 3] {
        let procs = self.folder.join("cgroup.procs");
        let enter = format!("echo $$ > {} && exec \"$0\" \"$@\"", procs.display());
        ["sh".to_owned(), "-c".to_owned(), enter]
    }

    fn number(&self, name: &str) -> u64 {
        self.read(name).trim().parse().expect("a number")
    }

    fn line(&self, name: &str, start: &str) -> u64 {
        let text = self.read(name);
        let mut values = text.lines().filter_map(|line| line.strip_prefix(start));
        values
            .next()
            .expect("a line")
            .trim()
            .parse()
            .expect("a number")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).expect("a file of the group")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let end = Instant::now() + DEADLINE;
        while std::fs::remove_dir(&self.folder).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Where a file system is mounted that is wanted by its kind and its options.
fn mount(is_wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").expect("the mounts");
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        is_wanted(fields[2], fields[3]).then(|| fields[1].into())
    })
}
