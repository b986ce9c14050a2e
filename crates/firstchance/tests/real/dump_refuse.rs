//! Rows B7 to B9, B20 and B21: dumps that are refused, and the messages that say why.

use std::path::Path;
use std::process::Command;

use crate::support::{
    Child, Core, Firstchance, Program, Run, Victim, compile, files_in, folder, proc_status,
    victim_exe, wait_until,
};

/// A user without any rights.
pub(crate) const NOBODY: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];

/// Asserts that no file was left, not even a partial one.
pub(crate) fn assert_empty(folder: &Path) {
    assert_eq!(files_in(folder), Vec::<std::path::PathBuf>::new());
}

#[test]
fn b7_a_pid_that_belongs_to_another_now_is_refused() {
    const AS_PID: Program = Program::c("as_pid.c");
    let folder = folder();
    let path = folder.path().join("x.core");
    let mut victim = Victim::start(&["idle"]);
    let pid = victim.pid();
    let mut running = Firstchance::full_dump(pid, &path)
        .failpoint("before-stop:stop")
        .spawn();
    running.wait_until_stopped();
    victim.kill();
    let mut other = Command::new(compile(&AS_PID));
    let other = Child::start(other.arg(pid.to_string()));
    assert_eq!(other.line(), format!("ready {pid}"));
    running.go_on();
    let run = running.finish();
    assert!(matches!(run.code, Some(3 | 5)), "{run:#?}");
    assert_empty(folder.path());
    assert_eq!(proc_status(pid, "TracerPid").as_deref(), Some("0"));
}

#[test]
fn b8_targets_that_are_none_have_errors_of_their_own() {
    let folder = folder();
    let run = |target: &str| {
        let run = Firstchance::new(&["dump", "--full", target])
            .current_dir(folder.path())
            .run();
        assert_empty(folder.path());
        println!("{target}: {:?} {}", run.code, run.stderr.trim());
        run
    };
    let mut gone = Victim::start(&["idle"]);
    gone.kill();
    run(&gone.pid_text())
        .assert_code(3)
        .assert_says(&gone.pid_text());
    run("99999999").assert_code(3);
    run("no-such-program-anywhere")
        .assert_code(3)
        .assert_says("no-such-program-anywhere");
    for wrong in ["0", "-1", "4294967297", ""] {
        assert!(matches!(run(wrong).code, Some(2 | 3)), "{wrong:?}");
    }
}

#[test]
fn b8_the_program_itself_is_refused() {
    let folder = folder();
    let exe = env!("CARGO_BIN_EXE_firstchance");
    let line = format!("exec '{exe}' dump --full $$");
    let output = Command::new("sh")
        .args(["-c", &line])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("itself"),
        "{output:?}"
    );
    assert_empty(folder.path());
}

#[test]
fn b8_n44_a_thread_of_the_kernel_is_refused() {
    if proc_status(2, "Name").as_deref() != Some("kthreadd") {
        println!("no threads of the kernel are to be seen here (a pid namespace)");
        return;
    }
    let folder = folder();
    let run = Firstchance::full_dump(2, &folder.path().join("x.core")).run();
    run.assert_code(4).assert_says("kernel");
    // It would be watched for ever.
    for words in [
        &["watch", "2", "--when", "cpu > 99%", "-o"][..],
        &["procdump", "-c", "99", "2"],
    ] {
        let run = Firstchance::new(words).arg(folder.path()).run();
        run.assert_code(4).assert_says("thread of the kernel");
    }
    assert_empty(folder.path());
}

/// In a pid namespace, so that it is not the pid 1 of this machine.
#[test]
fn b8_the_first_process_is_dumped_as_any_other() {
    let folder = folder();
    let path = folder.path().join("x.core");
    let mut starter = Command::new("unshare");
    starter
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(victim_exe());
    let victim = Victim::start_by(starter.arg("idle"));
    assert_eq!(victim.pid(), 1);
    let outer = victim.only_child_of_starter().to_string();
    let enter = ["nsenter", "--target", &outer, "--pid", "--mount"];
    let dump = Firstchance::by(&enter)
        .args(&["dump", "--full", "1", "-o"])
        .arg(&path);
    dump.run_well();
    assert_eq!(Core::new(&path, victim_exe()).threads(), [1]);
}

#[test]
fn n43_a_folder_that_a_user_may_not_write_to_comes_with_advice() {
    let public = public_folder();
    let exe = public_copy(&public, victim_exe());
    let program = public_copy(&public, Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let mut starter = Command::new(NOBODY[0]);
    let victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(&exe).arg("idle"));
    let dump = Firstchance::copy_by(NOBODY, &program).args(&["dump", &victim.pid_text()]);
    let run = dump.args(&["-o", "/usr/"]).run();
    run.assert_code(6)
        .assert_says("Name a folder that you may write to.");
}

/// The command line is the only place where the name of a script stands.
#[test]
fn n43_a_script_is_named_with_how_to_reach_it() {
    let place = folder();
    let script = place.path().join("n43-script.py");
    std::fs::write(
        &script,
        "import time\nprint('up', flush=True)\ntime.sleep(600)\n",
    )
    .expect("a file");
    let child = Child::start(Command::new("python3").arg(&script));
    child.line();
    let run = Firstchance::new(&["dump", "n43-script.py"]).run();
    run.assert_code(3)
        .assert_says(&format!("(pid {}) runs it", child.pid()))
        .assert_says("'cmdline:\"*n43-script.py*\"'");
}

/// A debugger that has the victim now.
pub(crate) fn traced_by_another(victim: &Victim, folder: &tempfile::TempDir) -> Child {
    let mut strace = Command::new("strace");
    let log = folder.path().join("log");
    let strace = Child::start(strace.args(["-p", &victim.pid_text(), "-o"]).arg(&log));
    let tracer = strace.pid().to_string();
    wait_until("strace has it", || {
        proc_status(victim.pid(), "TracerPid").as_ref() == Some(&tracer)
    });
    strace
}

#[test]
fn b9_a_target_of_another_tracer_is_named_and_can_be_had_without_a_stop() {
    let mut victim = Victim::start(&["idle"]);
    let folder = folder();
    let path = folder.path().join("x.core");
    let strace = traced_by_another(&victim, &folder);
    let tracer = strace.pid().to_string();
    let run = Firstchance::full_dump(victim.pid(), &path).run();
    run.assert_code(4).assert_says(&tracer);
    assert!(!path.exists());
    Firstchance::dump(victim.pid(), &["--full", "--no-stop"], &path).run_well();
    assert!(
        Core::new(&path, victim_exe())
            .gdb(&["info proc mappings"])
            .contains("victim")
    );
    drop(strace);
    victim.assert_alive();
}

/// Makes a copy of a program that every user may run.
pub(crate) fn public_copy(folder: &tempfile::TempDir, program: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let copy = folder.path().join(program.file_name().unwrap());
    std::fs::copy(program, &copy).unwrap();
    let open = || std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&copy, open()).unwrap();
    std::fs::set_permissions(folder.path(), open()).unwrap();
    copy
}

/// A folder that another user can reach, as those below Cargo's target folder may not be.
pub(crate) fn public_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("firstchance-test")
        .tempdir_in("/tmp")
        .unwrap()
}

/// A folder that belongs to `NOBODY`.
pub(crate) fn folder_of_nobody(parent: &tempfile::TempDir) -> std::path::PathBuf {
    let folder = parent.path().join("own");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(1000), Some(1000)).unwrap();
    folder
}

/// Tries to dump the victim as `NOBODY`, and asserts that no file is left.
fn refused_to_nobody(victim: &Victim, public: &tempfile::TempDir) -> Run {
    let program = public_copy(public, Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let own = folder_of_nobody(public);
    let dump = Firstchance::copy_by(NOBODY, &program).args(&["dump", "--full", &victim.pid_text()]);
    let run = dump.current_dir(&own).run();
    println!("{}", run.stderr.trim());
    run.assert_code(4);
    assert_empty(&own);
    run
}

#[test]
fn b20_another_users_process_is_refused_to_a_user() {
    let mut victim = Victim::start(&["idle"]);
    let public = public_folder();
    let run = refused_to_nobody(&victim, &public);
    assert!(
        !run.stderr.trim().ends_with("Operation not permitted"),
        "{run:#?}"
    );
    victim.assert_alive();
}

#[test]
fn b20_a_process_that_may_not_be_dumped_is_refused_to_its_own_user() {
    let public = public_folder();
    let exe = public_copy(&public, victim_exe());
    let mut starter = Command::new(NOBODY[0]);
    let mut victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(exe).arg("undumpable"));
    refused_to_nobody(&victim, &public).assert_says("DUMPABLE");
    victim.assert_alive();
}

#[test]
fn b20_a_setuid_program_is_refused_to_the_user_who_started_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let public = public_folder();
    let exe = public_copy(&public, victim_exe());
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let mut starter = Command::new(NOBODY[0]);
    let mut victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(&exe).arg("idle"));
    let uids = proc_status(victim.pid(), "Uid").unwrap();
    assert_eq!(
        uids.split_whitespace().collect::<Vec<_>>(),
        ["1000", "0", "0", "0"]
    );
    refused_to_nobody(&victim, &public);
    victim.assert_alive();
}

#[test]
fn a_user_dumps_what_is_their_own() {
    let public = public_folder();
    let exe = public_copy(&public, victim_exe());
    let program = public_copy(&public, Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let own = folder_of_nobody(&public);
    let mut starter = Command::new(NOBODY[0]);
    let mut victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(&exe).args(["threads", "2"]));
    let path = own.join("x.core");
    let dump = Firstchance::copy_by(NOBODY, &program).args(&["dump", "--full", &victim.pid_text()]);
    dump.arg("-o").arg(&path).run_well();
    victim.assert_alive();
    assert_eq!(Core::new(&path, &exe).threads().len(), 3);
}

#[test]
fn b21_without_the_capability_the_message_names_it() {
    let public = public_folder();
    let exe = public_copy(&public, victim_exe());
    let mut starter = Command::new(NOBODY[0]);
    let mut victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(&exe).arg("idle"));
    let without = [
        "setpriv",
        "--bounding-set=-sys_ptrace",
        "--inh-caps=-sys_ptrace",
    ];
    let dump = Firstchance::by(&without).args(&["dump", "--full", &victim.pid_text()]);
    let run = dump.current_dir(public.path()).run();
    run.assert_code(4).assert_says("CAP_SYS_PTRACE");
    victim.assert_alive();
}

#[test]
fn b21_behind_a_filter_of_system_calls_the_message_says_so() {
    const NO_PTRACE: Program = Program::c("no_ptrace.c");
    let mut victim = Victim::start(&["idle"]);
    let folder = folder();
    let filter = compile(&NO_PTRACE);
    let starter = [filter.to_str().unwrap()];
    let dump = Firstchance::by(&starter).args(&["dump", "--full", &victim.pid_text()]);
    let run = dump.current_dir(folder.path()).run();
    run.assert_code(4).assert_says("seccomp");
    assert_empty(folder.path());
    victim.assert_alive();
}

#[test]
fn b21_yama_is_named_where_it_forbids() {
    let scope = "/proc/sys/kernel/yama/ptrace_scope";
    if !Path::new(scope).exists() {
        println!("this kernel has no Yama");
        return;
    }
    let Some(_guard) = crate::support::Sysctl::at_least("kernel/yama/ptrace_scope", 2) else {
        println!("Yama's scope may not be changed here");
        return;
    };
    let public = public_folder();
    let exe = public_copy(&public, victim_exe());
    let mut starter = Command::new(NOBODY[0]);
    let victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(&exe).arg("idle"));
    refused_to_nobody(&victim, &public).assert_says("ptrace_scope");
}

/// A watch that would never see anything is an error at its start, not a note.
#[test]
fn n25_who_may_set_no_probes_is_told_at_once_where_nothing_else_is_watched() {
    let public = public_folder();
    let program = public_copy(&public, Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let exe = public_copy(&public, victim_exe());
    let own = folder_of_nobody(&public);
    let mut starter = Command::new(NOBODY[0]);
    let mut victim = Victim::start_by(starter.args(&NOBODY[1..]).arg(&exe).arg("idle"));
    for when in ["module load", "breakpoint libc!malloc"] {
        let watch = Firstchance::copy_by(NOBODY, &program).args(&["watch", "--when", when]);
        let run = watch.args(&[&victim.pid_text()]).current_dir(&own).run();
        run.assert_code(4)
            .assert_says("modules that are loaded are not seen");
    }
    victim.assert_alive();
}
