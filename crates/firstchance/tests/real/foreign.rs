//! Dumps that other programs wrote: `inspect` and `dumps` take them by their paths and in their folders.

use crate::support::*;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A core that gdb took, under the name that the kernel gives to cores.
fn core_of_gdb(victim: &Victim, folder: &Path) -> PathBuf {
    let pid = victim.pid().to_string();
    let name = folder.join("gcore");
    let output = Command::new("gcore")
        .arg("-o")
        .arg(&name)
        .arg(&pid)
        .output();
    let output = output.expect("gcore is needed");
    assert!(output.status.success(), "{output:?}");
    let core = folder.join(format!("core.{pid}"));
    fs::rename(folder.join(format!("gcore.{pid}")), &core).expect("the core");
    core
}

/// Changes the type of every note that has this one, so that readers find none.
fn without_notes(core: &Path, kind: u32) {
    let mut bytes = fs::read(core).expect("a core");
    let mut head = kind.to_le_bytes().to_vec();
    head.extend(b"CORE\0");
    let places: Vec<usize> = (0..bytes.len() - head.len())
        .filter(|&at| bytes[at..].starts_with(&head))
        .collect();
    assert!(!places.is_empty(), "no such note");
    for at in places {
        bytes[at..at + 4].copy_from_slice(&0x7fff_0000u32.to_le_bytes());
    }
    fs::write(core, bytes).expect("a core");
}

fn packed(tool: &str, file: &Path) -> PathBuf {
    let output = Command::new(tool).arg("-c").arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} is needed: {error}"));
    let path = PathBuf::from(format!("{}.{tool}", file.display()));
    fs::write(&path, output.stdout).expect("a file");
    path
}

fn seen(file: &Path) -> Value {
    let told = Firstchance::new(&["inspect", "--json"])
        .arg(file)
        .run_well();
    serde_json::from_str(&told.stdout).expect("JSON")
}

fn rows(list: &str) -> Vec<Value> {
    let lines = list.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn dumps_of_other_programs_are_listed_shown_and_packed_as_inspect_does() {
    let mut victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let core = core_of_gdb(&victim, folder.path());
    let xz = packed("xz", &core);
    packed("lz4", &core);
    fs::write(folder.path().join("kernel.dmp"), b"PAGEDU64 and so on").expect("a file");
    fs::write(folder.path().join("notes.txt"), b"no dump").expect("a file");
    let list = Firstchance::new(&["dumps", "list", "--json"])
        .arg(folder.path())
        .run_well();
    let rows = rows(&list.stdout);
    let mut ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    ids.sort_unstable();
    let name = format!("core.{}", victim.pid());
    assert_eq!(
        ids,
        [
            &name[..],
            &format!("{name}.lz4"),
            &format!("{name}.xz"),
            "kernel.dmp"
        ]
    );
    for row in &rows[..] {
        match row["id"].as_str() {
            Some("kernel.dmp") => {
                assert!(row["reason"].as_str().is_some_and(|r| r.contains("WinDbg")))
            }
            // gdb writes the notes behind the memory: of a file that has to be unpacked they are not looked for.
            Some(id) if id != name => assert_eq!(row["kind"], "core", "{row}"),
            _ => assert_eq!(
                (&row["pid"], &row["kind"]),
                (&victim.pid().into(), &"core of gdb".into()),
                "{row}"
            ),
        }
    }
    // By the path of one, by the name of one in a folder, and one that is compressed.
    let one = Firstchance::new(&["dumps", "list", "--json"])
        .arg(&xz)
        .run_well();
    assert_eq!(self::rows(&one.stdout).len(), 1, "{}", one.stdout);
    let shown = |file: &Path| Firstchance::new(&["dumps", "show"]).arg(file).run_well();
    shown(&core).assert_says("ELF core by gdb");
    shown(&xz).assert_says("victim!");
    let by_name = Firstchance::new(&["dumps", "show", &name, "--folder"]);
    by_name
        .arg(folder.path())
        .run_well()
        .assert_says("ELF core by gdb");
    // It is not ours to delete.
    let delete = Firstchance::new(&["dumps", "delete"]).arg(&core).run();
    delete.assert_failed();
    assert!(core.exists());
    victim.assert_alive();
}

#[test]
fn the_list_of_the_loader_gives_the_modules_that_the_kernels_list_gives() {
    let victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let core = core_of_gdb(&victim, folder.path());
    let modules = |value: &Value| -> Vec<(String, String, String)> {
        let text = |module: &Value, key: &str| module[key].as_str().unwrap_or_default().to_owned();
        let modules = value["modules"].as_array().expect("modules").iter();
        let told = modules.map(|m| (text(m, "base"), text(m, "build-id"), text(m, "soname")));
        told.filter(|(_, build, _)| !build.is_empty()).collect()
    };
    let before = seen(&core);
    /// `NT_FILE`.
    const NT_FILE: u32 = 0x4649_4c45;
    without_notes(&core, NT_FILE);
    let after = seen(&core);
    assert_eq!(modules(&after), modules(&before));
    assert!(modules(&after).len() > 2, "{after}");
    let frames = |value: &Value| value["threads"][0]["frames"].as_array().map(Vec::len);
    assert_eq!(frames(&after), frames(&before));
}

#[test]
fn the_reason_of_a_signal_that_the_core_does_not_tell_is_unknown() {
    let victim = Victim::start(&["threads", "1"]);
    let folder = folder();
    let core = core_of_gdb(&victim, folder.path());
    let mut bytes = fs::read(&core).expect("a core");
    // The first NT_PRSTATUS: si_signo, and pr_cursig behind si_code and si_errno. gdb took the core of a process without one.
    let head = [5u32, 336, 1].map(u32::to_le_bytes).concat();
    let at = bytes
        .windows(12)
        .position(|part| part == head)
        .expect("a thread")
        + 20;
    bytes[at..at + 4].copy_from_slice(&11u32.to_le_bytes());
    bytes[at + 12..at + 14].copy_from_slice(&11u16.to_le_bytes());
    fs::write(&core, bytes).expect("a core");
    /// `NT_SIGINFO`.
    const NT_SIGINFO: u32 = 0x5349_4749;
    without_notes(&core, NT_SIGINFO);
    let fault = &seen(&core)["fault"];
    assert_eq!(fault["name"], "SIGSEGV", "{fault}");
    assert_eq!(
        (&fault["flags"], &fault["address"]),
        (&Value::Null, &Value::Null)
    );
    for sections in [&[][..], &["all"]] {
        let told = Firstchance::new(&["inspect"])
            .arg(&core)
            .args(sections)
            .run_well();
        told.assert_says("Fault        SIGSEGV\n");
        assert!(!told.stdout.contains("SI_USER"), "{}", told.stdout);
    }
}
