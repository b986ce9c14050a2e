//! Tests of the helpers that ask gdb and lldb: in a core of gdb's own, they find what they must find in ours.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Core, Victim, folder, lldb, readelf, threads_of, victim_exe};

/// Takes a core of a victim with gdb's gcore.
fn gcore(victim: &Victim, folder: &tempfile::TempDir) -> PathBuf {
    let prefix = folder.path().join("gcore");
    let mut gcore = Command::new("gcore");
    let output = gcore
        .arg("-o")
        .arg(&prefix)
        .arg(victim.pid_text())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    prefix.with_extension(victim.pid_text())
}

#[test]
fn judges_see_threads_registers_and_memory() {
    let mut victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let path = gcore(&victim, &folder);
    victim.assert_alive();
    let core = Core::new(&path, victim_exe());
    let mut tids = threads_of(victim.pid());
    tids.sort_unstable();
    assert_eq!(core.threads(), tids);
    let marked = core.registers(tids[2], &["rbx", "r12", "r15"]);
    assert_eq!(marked, [0x6d61_726b_0000_0001; 3]);
    let sp = core.registers(tids[3], &["rsp"])[0];
    assert_eq!(core.words(&[sp, 0x10]), [Some(0x6d61_726b_0000_0002), None]);
    let threads = lldb(&path, Some(victim_exe()), &["thread list"]);
    assert_eq!(threads.matches("tid = ").count(), 4, "{threads}");
    assert!(readelf(&["-h"], &path).contains("CORE"));
}
