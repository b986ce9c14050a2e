//! Dumps of Windows processes that are compressed while they are written.

use std::process::Command;

use crate::machine::{firstchance, victim, windows_path};
use crate::support::{Firstchance, folder, judge, stackwalk};

#[test]
fn a_compressed_dump_is_unpacked_and_inspected_on_both_systems() {
    judge("zstd", "zstd");
    let mut victim = victim(&["threads", "3"]);
    let folder = folder();
    let packed = folder.path().join("x.dmp.zst");
    let to = windows_path(&folder.path().join("x.dmp"));
    let options = ["--full", "--compress", "zstd", "-o", &to];
    let dump = firstchance(&["dump", &victim.pid_text()]).args(&options);
    dump.run_well();
    victim.assert_alive();
    let zstd = Command::new("zstd").arg("-dcq").arg(&packed).output();
    let zstd = zstd.expect("it is there");
    assert!(zstd.status.success(), "{zstd:?}");

    let plain = folder.path().join("plain.dmp");
    let words = [windows_path(&packed), windows_path(&plain)];
    firstchance(&["unpack", &words[0], "-o", &words[1]]).run_well();
    assert!(std::fs::read(&plain).expect("a file") == zstd.stdout);
    let walked = stackwalk(&plain);
    assert_eq!(walked["threads"].as_array().map(Vec::len), Some(4));

    let there = firstchance(&["inspect", &words[0], "all"]).run_well();
    let here = Firstchance::new(&["inspect"]).arg(&packed).run_well();
    for run in [there, here] {
        run.assert_says("Threads").assert_says("ntdll.dll");
    }
    let list = firstchance(&["dumps", "list", "--folder"]);
    let list = list.arg(windows_path(folder.path())).run_well();
    list.assert_says("x.dmp.zst");
}
