//! ProcDump's `-64`: the 64-bit side of a 32-bit program. Wine 10 runs one as Windows does, Wine 8 has no 32 bits.

use std::path::{Path, PathBuf};

use minidump::{Minidump, MinidumpThreadList, UnifiedMemoryList};
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::{firstchance, victim, windows_path};
use crate::others::{has_32_bits, started_narrow};
use crate::support::{folder, stackwalk};

fn dumped(switches: &str, pid: &str, dumps: &TempDir) -> PathBuf {
    let path = dumps.path().join(format!("{pid}{switches}.dmp"));
    let words: Vec<&str> = switches.split(' ').collect();
    let command = firstchance(&["procdump"]).args(&words);
    command.args(&[pid, &windows_path(&path)]).run_well();
    path
}

fn modules(walked: &Value) -> Vec<&str> {
    let modules = walked["modules"].as_array().expect("modules").iter();
    modules
        .map(|module| module["filename"].as_str().expect("a name"))
        .collect()
}

/// A 32-bit word of the memory in a dump.
fn word(memory: &UnifiedMemoryList, at: u64) -> u64 {
    let range = memory.memory_at_address(at);
    let range = range.unwrap_or_else(|| panic!("{at:#x} is not in the dump"));
    u64::from(range.get_memory_at_address::<u32>(at).expect("a word"))
}

/// Follows each thread from its 64-bit TEB to the 32-bit one and its stack, as a debugger does that changes to the
/// 32-bit side.
fn assert_has_the_32_bit_side(dump: &Path) {
    let dump = Minidump::read_path(dump).expect("a minidump");
    let threads = dump.get_stream::<MinidumpThreadList>().expect("threads");
    let memory = dump.get_memory().expect("memory");
    for thread in threads.threads {
        // `WowTebOffset`, and `NtTib.Self`.
        let teb = thread.raw.teb + word(&memory, thread.raw.teb + 0x180c);
        assert_eq!(word(&memory, teb + 0x18), teb);
        let id = word(&memory, teb + 0x24);
        assert_eq!(id, u64::from(thread.raw.thread_id));
        // The oldest frame of the stack.
        word(&memory, word(&memory, teb + 4) - 4);
    }
}

#[test]
fn n49_a_64_bit_dump_of_a_32_bit_program_has_both_sides() {
    if !has_32_bits() {
        println!("this Wine has no 32 bits");
        return;
    }
    let (programs, dumps) = (folder(), folder());
    let target = started_narrow(&programs);
    for switches in ["-ma -64", "-mm -64"] {
        let dump = dumped(switches, &target.pid_text(), &dumps);
        let walked = stackwalk(&dump);
        assert_eq!(walked["system_info"]["cpu_arch"], "amd64");
        assert_eq!(walked["thread_count"], 4);
        let modules = modules(&walked);
        let count = |name: &str| modules.iter().filter(|module| **module == name).count();
        assert_eq!(count("ntdll.dll"), 2, "{modules:?}");
        for once in ["narrow.exe", "kernel32.dll", "wow64.dll", "wow64cpu.dll"] {
            assert_eq!(count(once), 1, "{once}: {modules:?}");
        }
        for thread in walked["threads"].as_array().expect("threads") {
            let frames = thread["frames"].as_array().expect("frames");
            let is_wow64 = |frame: &Value| frame["module"] == "wow64cpu.dll";
            assert!(frames.iter().any(is_wow64), "{switches}: {thread:#}");
        }
        assert_has_the_32_bit_side(&dump);
    }
    let own = stackwalk(&dumped("-ma", &target.pid_text(), &dumps));
    assert_eq!(own["system_info"]["cpu_arch"], "x86");
    assert!(!modules(&own).contains(&"wow64cpu.dll"));
}

#[test]
fn n49_64_changes_nothing_of_a_64_bit_program() {
    let dumps = folder();
    let victim = victim(&["threads", "2"]);
    let [plain, wide] = ["-ma", "-ma -64"].map(|switches| {
        let walked = stackwalk(&dumped(switches, &victim.pid_text(), &dumps));
        let frames = walked["threads"][0]["frames"].clone();
        (
            walked["modules"].clone(),
            frames,
            walked["thread_count"].clone(),
        )
    });
    assert_eq!(plain, wide);
}
