//! The just-in-time debugger (AeDebug): a real crash makes Wine start firstchance, which leaves a dump.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chosen::CHOOSES;
use crate::machine::{started, windows};
use crate::registry::{AEDEBUG, AEDEBUG_32, Place, Registry, WINES_DEBUGGER};
use crate::support::{
    Firstchance, Program, Run, Victim, compile, files_in, lldb, stackwalk, wait_until,
};

const CRASHES: Program = Program {
    source: "just_in_time.c",
    compiler: ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
    options: &["-O1", "-g", "-Wall", "-Werror"],
};

/// firstchance, installed as the just-in-time debugger for one test.
struct Debugger {
    registry: Registry,
    place: Place,
}

impl Debugger {
    /// Runs `procdump -i OPTIONS FOLDER`.
    fn installed(options: &[&str]) -> Debugger {
        let (registry, place) = (Registry::clean(), Place::new());
        std::fs::copy(compile(&CRASHES), place.path("crashes.exe")).expect("a copy");
        let folder = place.windows_path("dumps");
        let install = [&["procdump", "-i"], options, &[&folder]].concat();
        let run = place.firstchance(&install).run_well();
        run.assert_says(&format!("Before: Debugger, 64-bit: {WINES_DEBUGGER}"));
        run.assert_says("is the just-in-time (AeDebug) debugger");
        Debugger { registry, place }
    }

    /// Starts a program that crashes after a line. With `told`, it starts the debugger itself, with the values that
    /// Windows would pass.
    fn program(&self, words: &[&str]) -> Victim {
        started(&self.place.path("crashes.exe"), words)
    }

    /// The complete dumps of the program.
    fn dumps(&self) -> Vec<PathBuf> {
        let name = |file: &PathBuf| file.to_string_lossy().into_owned();
        let mut files = files_in(&self.place.path("dumps"));
        files.retain(|file| name(file).contains("crashes.exe") && name(file).ends_with(".dmp"));
        files
    }

    fn uninstall(&self) -> Run {
        self.place.firstchance(&["procdump", "-u"]).run()
    }
}

/// Asserts that the dump has the crashed thread, at the instruction that crashed.
fn assert_shows_the_crash(dump: &Path) {
    let walked = stackwalk(dump);
    let crash = &walked["crash_info"];
    assert_eq!(crash["type"], "EXCEPTION_ACCESS_VIOLATION_WRITE", "{crash}");
    assert_eq!(crash["address"], "0x0000000000000010");
    assert_eq!(crash["crashing_thread"], 0, "it comes first");
    let top = &walked["threads"][0]["frames"][0];
    assert_eq!(top["module"], "crashes.exe", "{top}");
    let seen = lldb(dump, None, &["thread list"]);
    assert!(seen.contains("0xc0000005"), "{seen}");
    let to = dump.to_str().expect("a plain path");
    let inspected = Firstchance::new(&["inspect", to]).run_well();
    inspected.assert_says("Unhandled exception: C0000005.ACCESS_VIOLATION");
    inspected.assert_says("just-in-time debugger");
}

#[test]
fn a_crash_starts_us_and_leaves_a_dump_of_the_thread_that_crashed() {
    let debugger = Debugger::installed(&["-mm", "-ma"]);
    let exe = debugger.place.windows_path("firstchance.exe");
    let folder = debugger.place.windows_path("dumps");
    let line = format!(r#""{exe}" procdump -accepteula -mm -ma -j "{folder}" %ld %ld %p"#);
    for key in [AEDEBUG, AEDEBUG_32] {
        let value = |name| debugger.registry.value(key, name);
        assert_eq!(value("Debugger"), Some(format!("REG_SZ {line}")), "{key}");
        assert_eq!(value("Auto").as_deref(), Some("REG_SZ 1"), "{key}");
    }
    let mut program = debugger.program(&[]);
    program.tell("crash");
    // Linux sees only the last byte of an exit code.
    assert_eq!(program.wait().code(), Some(5));
    let dumps = debugger.dumps();
    assert_eq!(dumps.len(), 2, "{dumps:?}");
    dumps.iter().for_each(|dump| assert_shows_the_crash(dump));
    debugger
        .uninstall()
        .assert_code(0)
        .assert_says(WINES_DEBUGGER);
    assert!(!debugger.registry.has(AEDEBUG_32));
    debugger.registry.assert_as_new();
    debugger
        .uninstall()
        .assert_failed()
        .assert_says("is not the just-in-time debugger");
}

/// Windows passes the address of the exception. firstchance waits for nothing and signals nothing, and Windows
/// goes on with its own reports.
#[test]
fn what_windows_tells_of_a_crash_is_in_the_dump() {
    let debugger = Debugger::installed(&["-ma"]);
    let mut program = debugger.program(&["told"]);
    program.tell("crash");
    assert_eq!(program.line(), "ended");
    assert_eq!(program.wait().code(), Some(5));
    let dumps = debugger.dumps();
    let [dump] = &dumps[..] else {
        panic!("{dumps:?}");
    };
    assert_shows_the_crash(dump);
}

#[test]
fn with_k_the_process_is_killed_when_its_dump_is_there() {
    let debugger = Debugger::installed(&["-k"]);
    let mut program = debugger.program(&["told"]);
    program.tell("crash");
    let status = program.wait();
    assert_ne!(
        status.code(),
        Some(5),
        "it has not ended by itself: {status:?}"
    );
    assert_eq!(debugger.dumps().len(), 1);
}

/// The process waits for the debugger, and must not do so for ever. (The test starts the debugger, because Wine does
/// not pass the environment on, which has the fault points.)
#[test]
fn e9_killed_at_every_point_the_process_ends_as_it_would_have() {
    let debugger = Debugger::installed(&["-ma"]);
    for point in ["attached", "all-stopped", "copy", "publish"] {
        let mut command = Command::new(std::env::var("FIRSTCHANCE_WINE").expect("a Wine"));
        command
            .arg(debugger.place.path("crashes.exe"))
            .arg("told")
            .env("FIRSTCHANCE_FAILPOINT", format!("{point}:kill9"));
        let mut program = Victim::start_by(&mut command).known_here_as_its_starter();
        program.tell("crash");
        assert_eq!(program.wait().code(), Some(5), "{point}");
        assert!(debugger.dumps().is_empty(), "{point}");
    }
}

#[test]
fn e9_killed_while_wine_waits_for_us_the_process_ends_as_it_would_have() {
    let debugger = Debugger::installed(&["-ma"]);
    let mut program = debugger.program(&[]);
    program.tell("crash");
    let folder = debugger.place.windows_path("dumps");
    let mut handler = None;
    wait_until("we are started", || {
        handler = pid_of(&["procdump", "-j", &folder]);
        handler.is_some()
    });
    let handler = handler.expect("it was found") as i32;
    // SAFETY: no memory is involved; the process was started by the program of this test.
    unsafe { libc::kill(handler, libc::SIGKILL) };
    assert_eq!(program.wait().code(), Some(5));
    assert!(debugger.dumps().is_empty());
}

/// The pid of the process that has these words in its command line.
fn pid_of(words: &[&str]) -> Option<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let given: Vec<&str> = line.split('\0').collect();
        words.iter().all(|word| given.contains(word))
    })
}

#[test]
fn d7_a_program_that_others_can_change_is_not_registered() {
    let (registry, place) = (Registry::clean(), Place::new());
    for name in ["", "firstchance.exe"] {
        place.open_to_all(name, true);
        let install = ["procdump", "-i", &place.windows_path("dumps")];
        let run = place.firstchance(&install).run();
        run.assert_code(4).assert_says("can be changed by others");
        place.open_to_all(name, false);
        registry.assert_as_new();
    }
}

/// The DLL of `-md` runs with the rights of whoever crashes. What it chooses is what the crash leaves.
#[test]
fn n49_a_dll_chooses_what_a_crash_leaves_if_nobody_else_can_change_it() {
    let (registry, place) = (Registry::clean(), Place::new());
    std::fs::copy(compile(&CRASHES), place.path("crashes.exe")).expect("a copy");
    std::fs::copy(compile(&CHOOSES), place.path("chooses.dll")).expect("a copy");
    let (dll, folder) = (
        place.windows_path("chooses.dll"),
        place.windows_path("dumps"),
    );
    let install = ["procdump", "-i", "-md", &dll, "-64", &folder];
    place.open_to_all("chooses.dll", true);
    let refused = place.firstchance(&install).run();
    refused
        .assert_code(4)
        .assert_says("can be changed by others");
    registry.assert_as_new();
    place.open_to_all("chooses.dll", false);
    place.firstchance(&install).run_well();
    let debugger = Debugger { registry, place };
    let mut program = debugger.program(&[]);
    program.tell("crash");
    assert_eq!(program.wait().code(), Some(5));
    let dumps = debugger.dumps();
    let [dump] = &dumps[..] else {
        panic!("{dumps:?}");
    };
    assert_shows_the_crash(dump);
    let path = dump.to_str().expect("a plain path");
    let record = Firstchance::new(&["inspect", path]).run_well();
    record.assert_says("callback dump");
    let modules = stackwalk(dump)["modules"].to_string();
    assert!(modules.contains("crashes.exe") && !modules.contains("msvcrt.dll"));

    // A crash comes once: without the DLL there is a dump all the same.
    std::fs::remove_file(dump).expect("removed");
    std::fs::remove_file(debugger.place.path("chooses.dll")).expect("removed");
    let mut program = debugger.program(&[]);
    program.tell("crash");
    assert_eq!(program.wait().code(), Some(5));
    let dumps = debugger.dumps();
    assert_shows_the_crash(&dumps[0]);
    let path = dumps[0].to_str().expect("a plain path");
    let record = Firstchance::new(&["inspect", path]).run_well();
    record.assert_says("the memory of a mini dump was taken: ");
}

#[test]
fn e15_somebody_who_takes_over_keeps_it() {
    let debugger = Debugger::installed(&[]);
    let registry = &debugger.registry;
    registry.set(AEDEBUG, "Debugger", "REG_SZ", "theirs.exe");
    let status = debugger.place.firstchance(&["postmortem", "status"]).run();
    status.assert_code(1).assert_says("somebody took over");
    debugger.uninstall().assert_code(0).assert_says("keeps it");
    let theirs = registry.value(AEDEBUG, "Debugger");
    assert_eq!(theirs.as_deref(), Some("REG_SZ theirs.exe"));
}

#[test]
fn the_link_called_procdump_is_called_so_by_windows_too() {
    let (registry, place) = (Registry::clean(), Place::new());
    std::fs::copy(place.path("firstchance.exe"), place.path("procdump.exe")).expect("a copy");
    let install = ["-i", "-ma", &place.windows_path("dumps")];
    windows(&place.path("procdump.exe"), &install).run_well();
    let line = registry.value(AEDEBUG, "Debugger").expect("a value");
    assert!(
        line.contains(r#"procdump.exe" -accepteula -ma -j"#),
        "{line}"
    );
}
