//! Groups in a folder that the test makes: the machine has one kind of hierarchy, the tests have both.

use super::{Groups, Mounts, limits};
use std::{fs, path::Path};

/// Makes files with their texts below a folder.
fn make(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

/// A mount at `point` below the folder.
fn mount(folder: &Path, root: &str, point: &str, kind: &str) -> String {
    let point = folder.join(point);
    format!(
        "35 31 0:32 {root} {} rw,relatime shared:9 - {kind}\n",
        point.display()
    )
}

fn groups<'m>(mounts: &'m Mounts, text: &str) -> Groups<'m> {
    Groups {
        mounts,
        text: text.to_owned(),
    }
}

#[test]
fn n25_the_limit_of_v2_that_is_reached_first_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    make(
        folder.path(),
        &[
            ("pod/memory.max", "1000000\n"),
            ("pod/memory.current", "900000\n"),
            (
                "pod/memory.stat",
                "anon 5\ninactive_file 100000\nactive_file 7\n",
            ),
            ("pod/cpu.max", "50000 100000\n"),
            ("pod/web/memory.max", "max\n"),
            ("pod/web/memory.high", "500000\n"),
            ("pod/web/memory.current", "300000\n"),
            ("pod/web/memory.stat", "inactive_file 0\n"),
            ("pod/web/cpu.max", "max 100000\n"),
            ("memory.stat", "inactive_file 0\n"),
        ],
    );
    let mounts = Mounts::parse(&mount(folder.path(), "/", "", "cgroup2 cgroup2 rw"));
    let web = groups(&mounts, "0::/pod/web\n");
    let memory = limits::memory(&web).expect("a limit");
    assert_eq!((memory.used, memory.limit), (800_000, 1_000_000));
    assert_eq!(limits::processors(&web), Some(0.5));
    make(folder.path(), &[("pod/web/memory.current", "480000\n")]);
    assert_eq!(limits::memory(&web).map(|m| m.limit), Some(500_000));
    assert_eq!(limits::memory(&groups(&mounts, "0::/other\n")), None);
}

#[test]
fn n25_groups_of_v1_are_below_the_root_of_their_mount() {
    let folder = tempfile::tempdir().expect("a folder");
    let limited = [
        ("memory.limit_in_bytes", "1000\n"),
        ("memory.usage_in_bytes", "950\n"),
        ("memory.stat", "inactive_file 900\ntotal_inactive_file 50\n"),
    ];
    make(&folder.path().join("my memory/web"), &limited);
    let unlimited = [
        ("my memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("my memory/memory.usage_in_bytes", "9999\n"),
        ("cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ("cpu,cpuacct/web/cpu.cfs_quota_us", "250000\n"),
        ("cpu,cpuacct/web/cpu.cfs_period_us", "100000\n"),
    ];
    make(folder.path(), &unlimited);
    // As in a container without a namespace of groups: the mounts show its own group at their top.
    let text = mount(
        folder.path(),
        "/docker/01",
        "my\\040memory",
        "cgroup cgroup rw,memory",
    ) + &mount(
        folder.path(),
        "/docker/01",
        "cpu,cpuacct",
        "cgroup cgroup rw,cpu,cpuacct",
    ) + &mount(folder.path(), "/", "", "tmpfs tmpfs rw");
    let mounts = Mounts::parse(&text);
    let web = groups(
        &mounts,
        "4:memory:/docker/01/web\n3:cpu,cpuacct:/docker/01/web\n0::/\n",
    );
    assert_eq!(
        limits::memory(&web).map(|m| (m.used, m.limit)),
        Some((900, 1000))
    );
    assert_eq!(limits::processors(&web), Some(2.5));
    for elsewhere in ["/docker/02", "/docker/011", "/../x", "/docker/01/../02"] {
        let text = format!("4:memory:{elsewhere}\n");
        assert_eq!(groups(&mounts, &text).v1("memory"), None, "{elsewhere}");
    }
}
