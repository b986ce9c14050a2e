//! Dumps of programs that were not written for these tests, and tools that read dumps.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{firstchance, started, victim, windows, windows_path};
use crate::support::{
    Dumped, Firstchance, Program, Victim, compile, files_in, folder, lldb, stackwalk,
};

pub(crate) const WIDE: (&str, &str) = ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64");
const NARROW: (&str, &str) = ("i686-w64-mingw32-gcc", "gcc-mingw-w64-i686");

/// The options of gcc for a DLL.
pub(crate) const DLL: &[&str] = &["-O1", "-Wall", "-Werror", "-shared", "-static"];

pub(crate) const fn mingw(compiler: (&'static str, &'static str), source: &'static str) -> Program {
    Program {
        source,
        compiler,
        options: &["-O1", "-g", "-Wall", "-Werror", "-static"],
    }
}

/// Compiles a program of `tests/programs` to `NAME.exe` in `folder`.
pub(crate) fn program(folder: &tempfile::TempDir, source: &'static str) -> PathBuf {
    let exe = folder.path().join(source).with_extension("exe");
    std::fs::copy(compile(&mingw(WIDE, source)), &exe).expect("a copy");
    exe
}

fn full_dump(pid: &str, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{pid}.dmp"));
    let to = windows_path(&path);
    firstchance(&["dump", "--full", "--comment", "a comment", pid, "-o", &to]).run_well();
    path
}

fn inspected(dump: &Path, section: &[&str]) -> String {
    let path = dump.to_str().expect("a plain path");
    let inspect = Firstchance::new(&["inspect", path]);
    inspect.args(section).run_well().stdout
}

fn a_program(folder: &tempfile::TempDir) -> Victim {
    started(&program(folder, "windows.c"), &[])
}

#[test]
fn a_program_of_mingw_is_seen_by_every_reader() {
    let (programs, dumps) = (folder(), folder());
    let target = a_program(&programs);
    let dump = full_dump(&target.pid_text(), dumps.path());

    let walked = stackwalk(&dump);
    assert_eq!(walked["thread_count"], 4);
    let seen = lldb(&dump, None, &["thread list", "image list"]);
    assert_eq!(seen.matches("tid = ").count(), 4, "{seen}");

    let shown = inspected(&dump, &[]);
    for part in [
        "Threads      4",
        "DelayExecution+",
        "windows.exe+0x",
        "100 Events",
        "a comment",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    // If the file of the program exists, its functions have names.
    let there = firstchance(&["inspect", &windows_path(&dump)]).run_well();
    there.assert_says("windows.exe!main+");
    there.assert_says("windows.exe!waits+");
    let modules = inspected(&dump, &["modules"]);
    let unloaded = modules.split("Unloaded modules").nth(1);
    assert!(
        unloaded.is_some_and(|list| list.contains("hid.dll")),
        "{modules}"
    );
}

#[test]
fn a_32_bit_program_is_dumped_with_its_own_registers_and_modules() {
    if !has_32_bits() {
        println!("this Wine has no 32 bits");
        return;
    }
    let (programs, dumps) = (folder(), folder());
    let target = started_narrow(&programs);
    let walked = stackwalk(&full_dump(&target.pid_text(), dumps.path()));
    assert_eq!(walked["system_info"]["cpu_arch"], "x86");
    assert_eq!(walked["thread_count"], 4);
    let modules = names_of_modules(&walked).join(" ");
    assert!(modules.contains("narrow.exe") && modules.contains("kernel32.dll"));
    for thread in walked["threads"].as_array().expect("threads") {
        assert!(thread["frames"][0]["module"].is_string(), "{thread:#}");
    }
}

/// A 32-bit program that is called `narrow.exe`.
pub(crate) fn started_narrow(folder: &tempfile::TempDir) -> Victim {
    let exe = folder.path().join("narrow.exe");
    std::fs::copy(compile(&mingw(NARROW, "windows.c")), &exe).expect("a copy");
    started(&exe, &[])
}

/// Whether Wine's prefix has 32-bit libraries.
pub(crate) fn has_32_bits() -> bool {
    let prefix = std::env::var_os("WINEPREFIX").expect("a prefix");
    Path::new(&prefix)
        .join("drive_c/windows/syswow64/ntdll.dll")
        .is_file()
}

#[test]
fn wines_debugger_opens_a_dump_with_its_modules() {
    let (programs, dumps) = (folder(), folder());
    let target = a_program(&programs);
    let dump = full_dump(&target.pid_text(), dumps.path());
    let commands = dumps.path().join("commands");
    std::fs::write(&commands, "info share\nquit\n").expect("a file");
    let [commands, dump] = [&commands, &dump].map(|path| windows_path(path));
    let run = windows(Path::new("winedbg"), &["--file", &commands, &dump]).run();
    run.assert_says("minidump")
        .assert_says("windows.exe was running");
    for module in ["kernelbase", "kernel32", "windows", "ntdll", "msvcrt"] {
        run.assert_says(module);
    }
}

#[test]
fn programs_of_wine_itself_are_dumped() {
    for name in ["services.exe", "plugplay.exe", "winedevice.exe"] {
        let dumps = folder();
        let to = windows_path(&dumps.path().join("PID.dmp"));
        firstchance(&["dump", "--all", "--full", name, "-o", &to]).run_well();
        let files = files_in(dumps.path());
        assert!(!files.is_empty(), "{name}");
        for dump in files {
            let walked = stackwalk(&dump);
            let threads = walked["threads"].as_array().expect("threads");
            assert!(!threads.is_empty());
            for thread in threads {
                let top = &thread["frames"][0]["module"];
                assert!(top.is_string(), "{name}: {thread:#}");
            }
            assert!(inspected(&dump, &[]).contains(name));
        }
    }
}

/// Compares with the streams that MiniDumpWriteDump writes of the same process.
#[test]
fn the_systems_own_dump_of_the_same_process_has_nothing_that_ours_lacks() {
    let (programs, dumps) = (folder(), folder());
    let target = a_program(&programs);
    let ours = stackwalk(&full_dump(&target.pid_text(), dumps.path()));
    let theirs = dumps.path().join("theirs.dmp");
    written_by_windows(&target, "1826", &theirs);
    let theirs = stackwalk(&theirs);
    for same in ["thread_count", "pid"] {
        assert_eq!(ours[same], theirs[same], "{same}");
    }
    for same in ["os", "os_ver", "cpu_arch", "cpu_count", "cpu_info"] {
        let (ours, theirs) = (&ours["system_info"][same], &theirs["system_info"][same]);
        assert_eq!(ours, theirs, "{same}");
    }
    assert_eq!(names_of_modules(&ours), names_of_modules(&theirs));
    // Both have the same calls on the stack, in the same order.
    assert_eq!(frames(&ours), frames(&theirs));
}

/// Takes a dump of a process with MiniDumpWriteDump.
pub(crate) fn written_by_windows(target: &Victim, kind: &str, to: &Path) {
    let programs = folder();
    let writer = program(&programs, "minidump.c");
    windows(&writer, &[&target.pid_text(), &windows_path(to), kind]).run_well();
}

fn frames(dump: &serde_json::Value) -> Vec<String> {
    let threads = dump["threads"].as_array().expect("threads").iter();
    let frames = threads.flat_map(|thread| thread["frames"].as_array().expect("frames"));
    frames
        .map(|frame| format!("{} {}", frame["module"], frame["offset"]))
        .collect()
}

fn names_of_modules(dump: &serde_json::Value) -> Vec<String> {
    let modules = dump["modules"].as_array().expect("modules").iter();
    let what = |module: &serde_json::Value| {
        format!(
            "{} {} {}",
            module["filename"], module["base_addr"], module["end_addr"]
        )
    };
    let mut names: Vec<String> = modules.map(what).collect();
    names.sort();
    names
}

#[test]
fn each_system_reads_the_others_dumps() {
    let here = Victim::start(&["threads", "2"]);
    for format in ["core", "minidump"] {
        let dumped = Dumped::with(here.pid(), &["--full", "--format", format]);
        let there = firstchance(&["inspect", &windows_path(&dumped.path)]).run_well();
        let path = dumped.path.to_str().expect("a plain path");
        let own = Firstchance::new(&["inspect", path]).run_well();
        for part in ["Threads      3", "worker-0", "victim"] {
            assert!(there.stdout.contains(part), "{part}: {there:#?}");
            assert!(own.stdout.contains(part), "{part}: {own:#?}");
        }
    }
    let there = victim(&["threads", "2"]);
    let folder = folder();
    for kind in ["--mini", "--full"] {
        let path = folder.path().join(format!("x{kind}.dmp"));
        let to = windows_path(&path);
        firstchance(&["dump", kind, &there.pid_text(), "-o", &to]).run_well();
        for section in ["modules", "memory", "handles", "environment"] {
            let here = inspected(&path, &[section]);
            let own = firstchance(&["inspect", &to, section]).run_well().stdout;
            let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(lines(&here), lines(&own), "{kind} {section}");
        }
    }
}

#[test]
fn a_dump_in_the_format_of_linux_and_one_by_a_pipe() {
    let victim = victim(&["threads", "2"]);
    let folder = folder();
    let core = folder.path().join("x.core");
    let dump = firstchance(&["dump", "--full", "--format", "core", "-o"]);
    dump.args(&[&windows_path(&core), &victim.pid_text()])
        .run_well();
    assert!(inspected(&core, &[]).contains("Threads      3"));
    let piped = folder.path().join("piped.dmp");
    let to = std::fs::File::create(&piped).expect("a file");
    let mut command: Command = firstchance(&["dump", "--full", "-o", "-"])
        .args(&[&victim.pid_text()])
        .into_command();
    let status = command.stdout(to).status().expect("it starts");
    assert!(status.success());
    assert_eq!(stackwalk(&piped)["thread_count"], 3);
}
