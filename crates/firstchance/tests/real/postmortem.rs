//! Programs that really crash, so that the kernel starts the handler of crashes.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::dump_refuse::NOBODY;
use crate::support::{Child, Core, Firstchance, Postmortem, Program, compile, wait_until};

#[test]
fn a_crash_leaves_a_dump_with_all_threads_that_gdb_opens() {
    let machine = Postmortem::enabled(&[]);
    let status = machine.crash(&["threads=3", "end=segv"]);
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    assert!(
        status.core_dumped(),
        "as with a handler that reads the core"
    );
    let dump = machine.only_dump();
    let core = Core::new(&dump, &machine.program);
    assert_eq!(core.threads().len(), 4);
    let told = core.gdb(&["bt", "print place"]);
    assert!(told.contains("signal SIGSEGV"), "{told}");
    assert!(
        told.contains("boom (place=") && told.contains("main ("),
        "{told}"
    );
    let record = machine.record(&dump);
    assert_eq!(record["reason"], "Unhandled exception: SIGSEGV.SEGV_MAPERR");
    assert_eq!(record["trigger"], "exception");
    assert_eq!(record["method"], "crash");
    assert_eq!(record["complete"], true);
}

#[test]
fn a_mini_dump_of_a_crash_has_the_stacks() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.crash(&["threads=2", "mib=64", "end=abort"]);
    let dump = machine.only_dump();
    assert!(dump.metadata().unwrap().len() < 4 << 20);
    let shown = Firstchance::new(&["dumps", "show"]).arg(&dump).run_well();
    shown.assert_says("SIGABRT");
    let walked = crate::support::stackwalk(&dump);
    assert_eq!(
        walked["crash_info"]["type"].as_str(),
        Some("SIGABRT / SI_TKILL")
    );
    assert_eq!(walked["threads"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_cxx_exception_is_the_reason_of_the_crash_it_ends_in() {
    let machine = Postmortem::enabled(&[]);
    let program = machine.program.with_extension("cxx");
    std::fs::copy(compile(&Program::cpp("throws.cpp")), &program).unwrap();
    machine.set(&program, &[]);
    let mut command = machine.command_of(&program, &["0", "1", "throw"]);
    let mut child = Child::start(&mut command);
    child.lines_until("ready");
    child.tell("go");
    let status = child.wait();
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{status:?}");
    let record = machine.record(&machine.only_dump());
    let reason = record["reason"].as_str().unwrap();
    let name = "Unhandled exception: CXX.std::runtime_error (\"nobody catches me\")";
    assert_eq!(reason, name);
}

/// The watch and the handler both take their dumps, and the program ends as it would without them.
#[test]
fn a_watch_and_the_handler_both_take_their_dump_of_a_crash() {
    let machine = Postmortem::enabled(&[]);
    let folder = crate::support::folder();
    let watched = folder.path().join("watched.core");
    let program = machine.program.with_extension("both");
    std::fs::copy(compile(&Program::cpp("throws.cpp")), &program).unwrap();
    machine.set(&program, &["--type", "full"]);
    let mut command = machine.command_of(&program, &["0", "1", "segv"]);
    let mut child = Child::start(&mut command);
    child.lines_until("ready");
    let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do", "full dump", "-o"])
        .arg(&watched)
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("go");
    let status = child.wait();
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    assert!(status.core_dumped());
    running.finish().assert_code(0);
    for dump in [watched, machine.only_dump()] {
        let told = Core::new(&dump, &program).gdb(&["bt"]);
        assert!(
            told.contains("signal SIGSEGV") && told.contains(" main ("),
            "{told}"
        );
    }
}

#[test]
fn a_crash_after_the_end_of_the_first_thread_leaves_a_dump() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["threads=1", "end-without-leader=segv"]);
    let dump = machine.only_dump();
    assert_eq!(machine.record(&dump)["method"], "crash");
    let told = Core::new(&dump, &machine.program).gdb(&["bt"]);
    assert!(told.contains("boom (place="), "{told}");
}

#[test]
fn crashes_of_go_and_python_leave_dumps() {
    let machine = Postmortem::enabled(&[]);
    let go = machine.program.with_extension("go");
    std::fs::copy(compile(&Program::go("idle.go")), &go).unwrap();
    let python = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let python = String::from_utf8(python.unwrap().stdout).unwrap();
    let python = std::fs::canonicalize(python.trim()).unwrap();
    for program in [&go, &python] {
        machine.set(program, &["--type", "full"]);
    }
    let mut command = machine.command_of(&go, &[]);
    command.env("GOTRACEBACK", "crash").stderr(Stdio::null());
    let mut idle = Child::start(&mut command);
    idle.lines_until("ready");
    idle.signal(libc::SIGABRT);
    assert_eq!(idle.wait().signal(), Some(libc::SIGABRT));
    let told = Core::new(&machine.only_dump(), &go).gdb(&["info threads"]);
    assert!(told.contains("runtime."), "{told}");

    let code = ["-c", "import ctypes; ctypes.string_at(8)"];
    let status = machine.command_of(&python, &code).status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    let list = machine.list();
    let python = list
        .iter()
        .find(|dump| dump["program"].as_str().unwrap().contains("python"));
    assert_eq!(
        python.unwrap()["reason"],
        "Unhandled exception: SIGSEGV.SEGV_MAPERR"
    );
}

#[test]
fn e1_a_hostile_name_is_shown_and_not_obeyed() {
    let machine = Postmortem::enabled(&[]);
    let odd = machine.program.with_file_name("pm )\u{1b}[31m %p\n(x");
    std::fs::copy(&machine.program, &odd).unwrap();
    machine.set(&odd, &["--type", "full"]);
    let status = machine
        .command_of(&odd, &["name=a b/../%p\nx", "end=segv"])
        .status();
    assert_eq!(status.unwrap().signal(), Some(libc::SIGSEGV));
    let dump = machine.only_dump();
    let name = dump.file_name().unwrap().to_str().unwrap();
    assert!(!name.chars().any(char::is_control), "{name:?}");
    assert!(name.starts_with("pm )_[31m %p_(x_"), "{name:?}");
    let listed = Firstchance::new(&["dumps", "list", "--folder"])
        .arg(&machine.folder)
        .run_well();
    assert!(!listed.stdout.contains('\u{1b}'), "{listed:#?}");
}

#[test]
fn e5_a_pid_that_means_another_process_is_never_looked_at() {
    let mut machine = Postmortem::off();
    // The program of such a crash is unknown, so that the settings must be for all programs.
    machine.enable(&["--type", "full"]).assert_code(0);
    machine.failpoint("crash-begin:stop");
    let mut child = machine.command(&["mib=8", "end=segv"]).spawn().unwrap();
    let handler = machine.handler_of(child.id());
    wait_until("the handler stands", || {
        crate::support::state_of(handler) == 'T'
    });
    child.kill().unwrap();
    child.wait().unwrap();
    signal(handler, libc::SIGCONT);
    wait_until("the handler ends", || {
        "ZX".contains(crate::support::state_of(handler))
    });
    let dumps = machine.dumps();
    let ours = dumps.iter().map(|dump| machine.record(dump));
    let records: Vec<_> = ours.filter(|record| record["pid"] == child.id()).collect();
    assert_eq!(records.len(), 1, "{dumps:?}");
    assert_eq!(records[0]["process"], "unknown");
    assert_eq!(records[0]["complete"], false);
    assert!(
        records[0]["warnings"].to_string().contains("ended before"),
        "{}",
        records[0]
    );
    assert_eq!(records[0]["raced"], true);
}

/// Starts a process with this pid, which must be free.
fn process_with(machine: &Postmortem, pid: u32) -> std::process::Child {
    let mut found = None;
    wait_until("the pid comes again", || {
        // Another process may get the pid first.
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut child = machine.command(&["mib=2", "end=wait"]).spawn().unwrap();
        if child.id() == pid {
            found = Some(child);
            return true;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        false
    });
    found.unwrap()
}

#[test]
fn e5_whoever_has_the_pid_now_is_not_taken_for_the_one_that_crashed() {
    for is_told in [true, false] {
        let mut machine = Postmortem::off();
        machine.enable(&["--type", "full"]).assert_code(0);
        machine.failpoint("crash-begin:stop");
        if !is_told {
            // Like an older kernel, which passes no pidfd.
            let pattern = Postmortem::pattern();
            machine.write("core_pattern", pattern.strip_suffix(" %F").unwrap());
        }
        let mut crashed = machine.command(&["mib=8", "end=segv"]).spawn().unwrap();
        let handler = machine.handler_of(crashed.id());
        wait_until("the handler stands", || {
            crate::support::state_of(handler) == 'T'
        });
        crashed.kill().unwrap();
        crashed.wait().unwrap();
        let mut other = process_with(&machine, crashed.id());
        signal(handler, libc::SIGCONT);
        wait_until("the handler ends", || {
            "ZX".contains(crate::support::state_of(handler))
        });
        assert!(other.try_wait().unwrap().is_none(), "it lives on");
        other.kill().unwrap();
        other.wait().unwrap();
        let records: Vec<_> = machine
            .dumps()
            .iter()
            .map(|dump| machine.record(dump))
            .collect();
        let ours: Vec<_> = records
            .iter()
            .filter(|r| r["pid"] == crashed.id())
            .collect();
        assert!(
            ours.iter().all(|record| record["complete"] == false),
            "{ours:?}"
        );
        for record in &ours {
            assert_eq!(
                (&record["process"], &record["raced"]),
                (&"unknown".into(), &true.into())
            );
        }
        assert!(!is_told || ours.len() == 1, "{records:?}");
        for dump in machine.dumps() {
            assert_eq!(dump.metadata().unwrap().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn e10_a_watch_that_crashes_holds_nobody_and_its_crash_starts_no_other() {
    let machine = Postmortem::enabled(&[]);
    let ours = std::path::PathBuf::from(env!("CARGO_BIN_EXE_firstchance"));
    machine.set(&ours, &["--type", "mini"]);
    let idle = Child::start(&mut machine.command(&["end=wait"]));
    idle.lines_until("ready");
    let pid = idle.pid().to_string();
    let handlers_own = Path::new("/usr/libexec/fc-test");
    for (program, dumps) in [(&*ours, 1), (handlers_own, 0)] {
        let watch = Firstchance::copy_by(&[], program);
        let watch = watch.args(&["watch", &pid, "--when", "unhandled exception", "--json"]);
        let watch = watch.current_dir(machine.program.parent().unwrap());
        let running = watch.spawn().until_it_says("armed");
        // The first signal is caught by Rust's own handler, which expects the fault to happen again.
        wait_until("the watch ends", || {
            running.signal(libc::SIGSEGV);
            "ZX".contains(crate::support::state_of(running.pid()))
        });
        let run = running.finish();
        assert_eq!(run.signal, Some(libc::SIGSEGV), "{run:#?}");
        let list = machine.list();
        let of_it = list.iter().filter(|dump| dump["program"] == "firstchance");
        assert_eq!(of_it.count(), dumps, "{list:?}");
        let _ = std::fs::remove_dir_all(&machine.folder);
    }
    assert_eq!(
        crate::support::state_of(idle.pid()),
        'S',
        "what was watched lives"
    );
    machine.crash(&["end=segv"]);
    assert_eq!(
        machine.record(&machine.only_dump())["complete"],
        true,
        "and so do we"
    );
}

#[test]
fn e6_a_process_killed_while_its_dump_is_written_leaves_a_labelled_part() {
    let machine = Postmortem::enabled(&[]);
    kill_while_it_is_dumped(&machine);
    let dump = machine.only_dump();
    assert!(
        dump.extension().is_some_and(|ending| ending == "partial"),
        "{dump:?}"
    );
    let record = machine.record(&dump);
    assert_eq!(record["complete"], false);
    assert!(
        record["warnings"].to_string().contains("was killed"),
        "{record}"
    );
}

/// A process of 64 MiB crashes, and is killed while its dump is being written.
pub(crate) fn kill_while_it_is_dumped(machine: &Postmortem) {
    let pattern = Postmortem::pattern();
    machine.failpoint("copy:stop");
    let mut child = machine.command(&["mib=64", "end=segv"]).spawn().unwrap();
    let handler = machine.handler_of(child.id());
    wait_until("the handler stands", || {
        crate::support::state_of(handler) == 'T'
    });
    child.kill().unwrap();
    child.wait().unwrap();
    while !"ZX".contains(crate::support::state_of(handler)) {
        signal(handler, libc::SIGCONT);
    }
    machine.write("core_pattern", &pattern);
}

pub(crate) fn signal(pid: u32, signal: i32) {
    // SAFETY: no memory is involved; the process was started by the kernel for this test.
    unsafe { libc::kill(pid as i32, signal) };
}

#[test]
fn n38_a_handler_that_dies_leaves_a_line_and_the_kernels_core() {
    let machine = Postmortem::enabled(&[]);
    for point in ["crash-begin:abort", "crash-begin:kill9", "planned:abort"] {
        machine.failpoint(point);
        let status = machine.crash(&["end=segv"]);
        assert_eq!(status.signal(), Some(libc::SIGSEGV), "{point}");
        let status = Firstchance::new(&["postmortem", "status"]).run();
        status
            .assert_code(1)
            .assert_says("the crash handler was ended by SIG");
        machine.write("core_pattern", &registered());
        let list = machine.list();
        let cores: Vec<_> = list
            .iter()
            .filter(|dump| dump["kind"] == "kernel core")
            .collect();
        assert_eq!(cores.len(), 1, "{point}: {list:?}");
        let core = std::path::PathBuf::from(cores[0]["path"].as_str().unwrap());
        let told = Core::new(&core, &machine.program).gdb(&["bt"]);
        assert!(told.contains("boom (place="), "{point}: {told}");
        std::fs::remove_file(core).unwrap();
    }
    machine.crash(&["end=segv"]);
    assert!(
        machine.list().iter().any(|dump| dump["complete"] == true),
        "it goes on"
    );
}

#[test]
fn e9_a_panic_in_a_dump_leaves_the_kernels_core() {
    let machine = Postmortem::enabled(&[]);
    machine.failpoint("planned:panic");
    machine.crash(&["threads=2", "mib=8", "end=segv"]);
    let dump = machine.only_dump();
    let record = machine.record(&dump);
    assert_eq!(record["kind"], "kernel core", "{record}");
    let core = Core::new(&dump, &machine.program);
    assert_eq!(core.threads().len(), 3);
    let told = core.gdb(&["bt"]);
    assert!(told.contains("boom (place="), "{told}");
}

/// Somebody edits the settings and makes a mistake: crashes leave dumps as before, and the status says what is wrong.
#[test]
fn n38_with_a_mistake_in_the_settings_the_last_good_ones_stand() {
    let file = "/etc/firstchance/postmortem.toml";
    for mistake in ["type = 7 [", "[default]\ntype = \"huge\"\n"] {
        let machine = Postmortem::enabled(&[]);
        std::fs::write(file, mistake).unwrap();
        machine.crash(&["mib=8", "end=segv"]);
        let record = machine.record(&machine.only_dump());
        assert_eq!(record["kind"], "full", "{record}");
        let status = Firstchance::new(&["postmortem", "status"]).run();
        status.assert_code(1).assert_says("WRONG SETTINGS");
    }
}

/// The `core_pattern` that the settings require.
fn registered() -> String {
    let text = std::fs::read_to_string("/etc/firstchance/postmortem.toml").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("registered = "));
    line.unwrap().trim_matches('"').to_owned()
}

#[test]
fn e11_only_the_kernel_calls_the_handler() {
    let machine = Postmortem::enabled(&[]);
    let words = [
        "crash-handler",
        "1",
        "1",
        "11",
        "0",
        "0",
        "1",
        "0",
        "5",
        "3",
    ];
    Firstchance::by(NOBODY).args(&words).run().assert_code(4);
    for wrong in [
        &words[..5],
        &words[..1],
        &[&words[..], &["x", "y"]].concat(),
    ] {
        Firstchance::new(wrong).run().assert_code(2);
    }
    assert_eq!(machine.dumps().len(), 0);
    let pattern = registered();
    machine.write("core_pattern", pattern.strip_suffix(" %F").unwrap());
    machine.crash(&["end=segv"]);
    assert_eq!(
        machine.record(&machine.only_dump())["complete"],
        true,
        "also without a pidfd"
    );
}

#[test]
fn e13_what_is_no_core_is_refused() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let mut idle = machine.command(&["end=wait"]);
    let mut idle = idle.stdout(Stdio::piped()).spawn().unwrap();
    let pid = idle.id().to_string();
    let lying = [&b"\x7fELF\x02\x01\x01"[..], &[0xFF; 200]].concat();
    for (at, bytes) in [&b""[..], b"hello", &[0x7F; 4096], &lying]
        .into_iter()
        .enumerate()
    {
        let file = machine.program.with_extension(format!("in{at}"));
        std::fs::write(&file, bytes).unwrap();
        let words = ["crash-handler", &pid, &pid, "11", "0", "0", "1", "0", "5"];
        let mut command = Firstchance::new(&words).into_command();
        let input = std::fs::File::open(&file).unwrap();
        let output = command.stdin(input).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    assert_eq!(machine.dumps().len(), 0);
    idle.kill().unwrap();
    idle.wait().unwrap();
}

#[test]
fn e15_a_strangers_handler_is_left_alone_and_a_takeover_is_told() {
    let mut machine = Postmortem::off();
    machine.write("core_pattern", "|/bin/false theirs");
    let refused = machine.enable(&["--only-listed"]);
    refused.assert_code(4).assert_says("--force");
    assert_eq!(Postmortem::pattern(), "|/bin/false theirs");
    machine.enable(&["--only-listed", "--force"]).assert_code(0);
    Firstchance::new(&["postmortem", "status"])
        .run_well()
        .assert_says("/bin/false");
    Firstchance::new(&["postmortem", "disable"]).run_well();
    assert_eq!(Postmortem::pattern(), "|/bin/false theirs", "put back");

    machine.enable(&["--only-listed", "--force"]).assert_code(0);
    machine.write("core_pattern", "|/bin/true");
    let status = Firstchance::new(&["postmortem", "status"]).run();
    status.assert_code(1).assert_says("took over");
    Firstchance::new(&["postmortem", "disable"]).run_well();
    assert_eq!(Postmortem::pattern(), "|/bin/true", "not ours to put back");
}

#[test]
fn e15_crashes_that_are_not_wanted_go_to_the_handler_before() {
    let mut machine = Postmortem::off();
    let theirs = machine.folder.with_file_name("theirs");
    let script = theirs.with_extension("sh");
    std::fs::write(&script, "#!/bin/sh\necho \"$@\" > \"$1\"\ncat >> \"$1\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    // In a folder that only root can change, because whoever can change the folder can replace the program.
    let script = at_roots(&script);
    machine.write(
        "core_pattern",
        &format!("|{} {} %P %s", script.display(), theirs.display()),
    );
    machine
        .enable(&["--only-listed", "--forward", "--force"])
        .assert_code(0);
    let mut child = machine.command(&["end=segv"]).spawn().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&script).unwrap();
    let told = std::fs::read(&theirs).unwrap();
    let start = format!("{} {} 11\n\x7fELF", theirs.display(), child.id());
    assert!(
        told.starts_with(start.as_bytes()),
        "{:?}",
        String::from_utf8_lossy(&told[..200])
    );
    assert_eq!(machine.dumps().len(), 0);
}

fn at_roots(script: &Path) -> std::path::PathBuf {
    let path = Path::new("/usr/libexec").join(format!("fc-test-{}", std::process::id()));
    std::fs::copy(script, &path).unwrap();
    path
}

#[test]
fn e17_limits_and_properties_decide_as_the_kernel_has_it() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let dumps = |words: &[&str]| {
        let before = machine.dumps().len();
        let status = machine.command(words).status().unwrap();
        assert!(status.signal().is_some(), "{words:?}: {status:?}");
        machine.dumps().len() - before
    };
    assert_eq!(
        dumps(&["core=0", "end=segv"]),
        1,
        "a limit is for files of the kernel"
    );
    assert_eq!(
        dumps(&["core=1", "end=segv"]),
        0,
        "the kernel's guard against recursion"
    );
    assert_eq!(dumps(&["dumpable=0", "end=segv"]), 0);
    assert_eq!(dumps(&["end=xcpu"]), 1);
    assert_eq!(dumps(&["end=quit"]), 0, "somebody pressed Ctrl-\\");
}

#[test]
fn e17_sigquit_leaves_a_dump_where_that_was_asked_for() {
    let machine = Postmortem::enabled(&["--quit"]);
    machine.crash(&["end=quit"]);
    assert_eq!(machine.dumps().len(), 1);
}

/// Whom it talked to is seen while it stands in its death.
#[test]
fn the_sockets_of_a_crash_are_told_with_their_other_ends() {
    let machine = Postmortem::enabled(&[]);
    let program = machine.program.with_file_name("sockets");
    std::fs::copy(compile(&Program::c("sockets.c")), &program).unwrap();
    machine.set(&program, &["--type", "mini"]);
    let folder = crate::support::folder();
    let path = folder.path().join("socket");
    let words = [path.to_str().expect("text"), "abort"];
    let mut child = Child::start(&mut machine.command_of(&program, &words));
    let said = child.line();
    child.wait();
    crate::sockets::assert_told(&machine.only_dump(), &said, &path);
}
