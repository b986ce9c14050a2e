//! Series of dumps, on file systems that can share blocks between files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Child, Core, Firstchance, LoopDisk, Program, Run, compile, files_in, folder};

const CHANGES: Program = Program::c("changes_in_turn.c").with(&["-O1"]);
const MIB: u64 = 1 << 20;

/// A program that changes a page in each MiB all the time, and where it does.
struct Changing {
    child: Child,
    places: Vec<u64>,
    exe: PathBuf,
}

impl Changing {
    fn start() -> Changing {
        let exe = compile(&CHANGES);
        let child = Child::start(&mut Command::new(&exe));
        let line = child.line();
        let address = line.rsplit_once("0x").expect("an address").1;
        let address = u64::from_str_radix(address, 16).expect("an address");
        Changing {
            child,
            places: (0..64).map(|place| address + place * MIB).collect(),
            exe,
        }
    }

    /// Takes dumps of it, one after the other.
    fn series(&self, folder: &Path, options: &[&str]) -> Firstchance {
        let pid = self.child.pid().to_string();
        let dump = Firstchance::new(&["dump", "--full", "-n", "3"]);
        dump.args(options).args(&[&pid, "-o"]).arg(folder)
    }

    fn expect_whole(&self, dump: &Path) {
        self.count_in(dump);
    }

    /// How far it had counted when a dump was taken. It counts in one place after the other.
    fn count_in(&self, dump: &Path) -> u64 {
        let counts = Core::new(dump, &self.exe).words(&self.places);
        let counts: Vec<u64> = counts
            .into_iter()
            .map(|word| word.expect("memory"))
            .collect();
        let (first, last) = (counts[0], counts[63]);
        assert!(counts.is_sorted_by(|one, other| one >= other), "{counts:?}");
        assert!(first - last <= 1, "{counts:?}");
        first
    }
}

fn shared_in(dump: &Path) -> u64 {
    let run = Firstchance::new(&["inspect", "--json"])
        .arg(dump)
        .run_well();
    let seen: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    seen["record"]["shared-bytes"].as_u64().unwrap_or(0)
}

const AT_ONCE: [&str; 2] = ["--every", "10ms"];

/// The dumps in a folder, the first one first.
fn dumps_in(disk: &LoopDisk) -> Vec<PathBuf> {
    let mut dumps = files_in(&disk.mount());
    dumps.sort_by_key(|dump| {
        fs::metadata(dump)
            .and_then(|found| found.modified())
            .expect("a file")
    });
    dumps
}

fn disks() -> BTreeMap<&'static str, LoopDisk> {
    let size = 512 * MIB;
    BTreeMap::from([
        ("xfs", LoopDisk::new(&["mkfs.xfs", "-q"], "xfsprogs", size)),
        (
            "btrfs",
            LoopDisk::new(&["mkfs.btrfs", "-q"], "btrfs-progs", size),
        ),
    ])
}

#[test]
fn a_series_stores_what_changed_and_each_dump_is_whole_by_itself() {
    for (name, disk) in disks() {
        let changing = Changing::start();
        let before = disk.used();
        changing
            .series(&disk.mount(), &AT_ONCE)
            .run_well()
            .assert_says("shared with the dump before");
        let dumps = dumps_in(&disk);
        assert_eq!(dumps.len(), 3, "{name}: {dumps:?}");
        let used = disk.used() - before;
        assert!(used < 110 * MIB, "{name}: {used} bytes for three dumps");
        let shared: Vec<bool> = dumps
            .iter()
            .map(|dump| shared_in(dump) > 55 * MIB)
            .collect();
        assert_eq!(shared, [false, true, true], "{name}");
        let counts: Vec<u64> = dumps.iter().map(|dump| changing.count_in(dump)).collect();
        assert!(
            counts[0] < counts[1] && counts[1] < counts[2],
            "{name}: {counts:?}"
        );
        fs::remove_file(&dumps[1]).expect("it is ours");
        fs::write(&dumps[0], "changed").expect("it is ours");
        assert_eq!(changing.count_in(&dumps[2]), counts[2], "{name}");
    }
}

/// Whoever changes or removes the dump before changes nothing in the next one.
#[test]
fn what_was_changed_since_is_not_shared() {
    for (name, disk) in disks() {
        let changing = Changing::start();
        let folder = disk.mount();
        let run = changing
            .series(&folder, &["--every", "2s"])
            .spawn()
            .until_it_says("complete");
        let first = &dumps_in(&disk)[0];
        let mut bytes = fs::read(first).expect("a dump");
        let middle = bytes.len() / 2;
        bytes[middle..].fill(7);
        fs::write(first, bytes).expect("it is ours");
        run.finish().assert_code(0);
        let dumps = dumps_in(&disk);
        assert_eq!(shared_in(&dumps[1]), 0, "{name}");
        dumps[1..]
            .iter()
            .for_each(|dump| changing.expect_whole(dump));
    }
}

#[test]
fn where_nothing_can_be_shared_all_is_written() {
    let changing = Changing::start();
    let says_nothing = |run: Run| assert!(!run.stdout.contains("shared"), "{run:#?}");
    for (_, disk) in disks() {
        let run = changing
            .series(&disk.mount(), &AT_ONCE)
            .failpoint("share:eio");
        says_nothing(run.run_well());
        dumps_in(&disk)
            .iter()
            .for_each(|dump| changing.expect_whole(dump));
    }
    let without = LoopDisk::new(
        &["mkfs.xfs", "-q", "-m", "reflink=0"],
        "xfsprogs",
        512 * MIB,
    );
    says_nothing(changing.series(&without.mount(), &AT_ONCE).run_well());
    let compressed = folder();
    says_nothing(
        changing
            .series(
                compressed.path(),
                &["--compress", "zstd", "--every", "10ms"],
            )
            .run_well(),
    );
}

/// The dumps of a watch are a series as well.
#[test]
fn a_watch_shares_what_its_dumps_have_in_common() {
    let disk = LoopDisk::new(&["mkfs.xfs", "-q"], "xfsprogs", 512 * MIB);
    let changing = Changing::start();
    let pid = changing.child.pid().to_string();
    let watch = Firstchance::new(&["procdump", "-ma", "-s", "1", "-n", "2", &pid]);
    watch.arg(disk.mount()).run_well();
    let dumps = dumps_in(&disk);
    let shared: Vec<bool> = dumps
        .iter()
        .map(|dump| shared_in(dump) > 55 * MIB)
        .collect();
    assert_eq!(shared, [false, true]);
}
