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

/// Calls `look` with the groups of a process in `group`, in a unified hierarchy that has these files.
pub(in crate::linux) fn in_v2<T>(
    files: &[(&str, &str)],
    group: &str,
    look: impl FnOnce(&Groups<'_>) -> T,
) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path(), files);
    let mounts = Mounts::parse(&mount(folder.path(), "/", "", "cgroup2 cgroup2 rw"));
    look(&groups(&mounts, &format!("0::{group}\n")))
}

/// What is left to the group that has the least left: the lower of both limits counts, pages of files that were not used lately
/// do not, and swap is not memory.
#[test]
fn n11_headroom_is_that_of_the_group_with_the_least() {
    let left = |files: &[(&str, &str)]| in_v2(files, "/a/b/c", limits::headroom);
    let group = [
        ("a/b/c/memory.max", "max\n"),
        ("a/b/c/memory.current", "9000000\n"),
        ("a/b/memory.max", "10000000\n"),
        ("a/b/memory.current", "9500000\n"),
        ("a/b/memory.stat", "anon 9000000\ninactive_file 250000\n"),
        ("a/b/memory.swap.max", "1073741824\n"),
        (
            "a/b/memory.events",
            "low 0\nhigh 5\nmax 7\noom 1\noom_kill 0\n",
        ),
        ("a/memory.max", "20000000\n"),
        ("a/memory.high", "max\n"),
        ("a/memory.current", "9500000\n"),
    ];
    let with = |more: &[(&'static str, &'static str)]| left(&[&group[..], more].concat());
    assert_eq!(with(&[]), Some(750_000));
    assert_eq!(with(&[("a/memory.high", "9600000\n")]), Some(100_000));
    assert_eq!(with(&[("a/b/c/memory.high", "9000001\n")]), Some(1));
    assert_eq!(with(&[("a/b/memory.current", "99000000\n")]), Some(0));
    // Our own page cache: pages that are being written are not used lately, and are given back.
    let ours = [(
        "a/b/memory.stat",
        "file 4194304\nfile_dirty 4194304\ninactive_file 4194304\n",
    )];
    assert_eq!(with(&ours), Some(500_000 + 4_194_304));
    // Copies of a clone are anonymous memory of the same group.
    assert_eq!(
        with(&[("a/b/memory.stat", "anon 9500000\n")]),
        Some(500_000)
    );
}

/// Whoever may write to a group may not have us take what is there for room that is not there, nor fail.
#[test]
fn n11_hostile_and_missing_files_of_groups_are_no_room() {
    let left = |max: &str, current: &str, stat: &str| {
        let files = [
            ("a/memory.max", max),
            ("a/memory.current", current),
            ("a/memory.stat", stat),
        ];
        in_v2(&files, "/a", limits::headroom)
    };
    assert_eq!(left("1000\n", "400\n", "inactive_file -7\n"), Some(600));
    assert_eq!(left("1000\n", "400\n", "inactive_file 1e30\n"), Some(1000));
    assert_eq!(
        left("1000\n", "400\n", "inactive_file\n\u{fffd} inactive_file 9"),
        Some(600)
    );
    assert_eq!(left("1000", "18446744073709551615", ""), Some(0));
    assert_eq!(left("0", "0", ""), Some(0));
    // Neither is a number, so that there is no limit, as with `max`.
    for none in [
        "max",
        "",
        "-1",
        "1e9",
        "99999999999999999999999",
        "10 20",
        "\0",
    ] {
        assert_eq!(left(none, "400", ""), None, "{none:?}");
    }
    let alone = |file| in_v2(&[file], "/a/gone", limits::headroom);
    assert_eq!(alone(("a/memory.max", "1000")), None, "the group has ended");
    let without = [("a/memory.max", "1000"), ("a/memory.stat", "")];
    assert_eq!(in_v2(&without, "/a", limits::headroom), None);
}

#[test]
fn n11_processes_are_killed_together_where_a_group_above_says_so() {
    let together = |files: &[(&str, &str)]| in_v2(files, "/a/b", limits::are_killed_together);
    assert!(!together(&[("a/b/memory.oom.group", "0\n")]));
    assert!(together(&[("a/b/memory.oom.group", "1\n")]));
    assert!(together(&[
        ("a/memory.oom.group", "1\n"),
        ("a/b/memory.oom.group", "0\n")
    ]));
    assert!(!together(&[
        ("a/b/c/memory.oom.group", "1\n"),
        ("a/b/x", "")
    ]));
    for other in ["", "yes", "-1", "2", "11111111111111111111111"] {
        assert!(!together(&[("a/b/memory.oom.group", other)]), "{other}");
    }
}

/// On a hybrid system memory is counted by v1 or by v2, and the other has no files of it. In a namespace of groups, what lies
/// above it is not seen.
#[test]
fn n11_hybrid_mounts_and_namespaces_have_one_hierarchy_that_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [
        ("unified/app/cgroup.procs", ""),
        ("memory/app/memory.limit_in_bytes", "1000\n"),
        ("memory/app/memory.usage_in_bytes", "940\n"),
    ];
    make(folder.path(), &files);
    let unified = mount(
        folder.path(),
        "/",
        "unified",
        "cgroup2 cgroup2 rw,nsdelegate",
    );
    let of_memory = mount(folder.path(), "/", "memory", "cgroup cgroup rw,memory");
    let text = "3:memory:/app\n1:name=systemd:/app\n0::/app\n";
    let left = |mounts: &str, text: &str| {
        let mounts = Mounts::parse(mounts);
        limits::headroom(&groups(&mounts, text))
    };
    assert_eq!(left(&(unified.clone() + &of_memory), text), Some(60));
    assert_eq!(left(&unified, text), None);
    make(
        folder.path(),
        &[
            ("unified/memory.max", "5000\n"),
            ("unified/memory.current", "4000\n"),
            ("unified/app/memory.max", "500\n"),
            ("unified/app/memory.current", "100\n"),
        ],
    );
    assert_eq!(left(&unified, "0::/app\n"), Some(400));
    // A container that sees its own group as the top of the hierarchy, and a process in it.
    assert_eq!(left(&unified, "0::/\n"), Some(1000));
    let nested = mount(folder.path(), "/../..", "unified", "cgroup2 cgroup2 rw");
    assert_eq!(left(&nested, "0::/../../app\n"), Some(400));
    assert_eq!(left(&nested, "0::/../../../app\n"), None);
    assert_eq!(left(&nested, "0::/\n"), None);
    // Of several mounts, the one that shows the group counts.
    let elsewhere = mount(folder.path(), "/other", "unified", "cgroup2 cgroup2 rw");
    assert_eq!(left(&(elsewhere + &unified), "0::/app\n"), Some(400));
}
