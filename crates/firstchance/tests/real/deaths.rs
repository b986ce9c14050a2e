//! What is in the dump of a process that died without being traced: everything that it had at its death.
//!
//! The names of tests begin with the number of the fault that each of them found.

use crate::support::{
    Child, Core, Firstchance, Program, Running, compile, files_in, folder, slow_tests,
};

const MAPS_LATE: Program = Program::c("maps_late.c");

/// What the program writes into memory that is not to be in a dump: at its beginning, and just before it crashes.
const EARLY_SECRET: u8 = 0xA7;
const LATE_SECRET: u8 = 0xB7;

fn has_secret(dump: &[u8], byte: u8) -> bool {
    let secret = [byte; 256];
    dump.windows(secret.len()).any(|part| part == secret)
}

fn rounds() -> usize {
    if slow_tests() { 50 } else { 8 }
}

/// Its stack, its memory, its library and its thread's name are of the last moment.
fn assert_has_what_came_late(core: &std::path::Path, late: &str) {
    let exe = compile(&MAPS_LATE);
    let seen =
        Core::new(core, &exe).gdb(&["backtrace", &format!("x/s {late}"), "info proc mappings"]);
    assert!(seen.contains("late_fault ("), "{seen}");
    assert!(seen.contains("work ("), "{seen}");
    assert!(seen.contains("\"LATE-DATA\""), "{seen}");
    assert!(seen.contains("/libz.so.1"), "{seen}");
    let told = Firstchance::new(&["inspect", "--json"])
        .arg(core)
        .run_well();
    assert!(told.stdout.contains("\"late-worker\""), "{told:#?}");
}

/// Watches a process for its crash, of which a full dump is taken.
fn watch(child: &Child, folder: &std::path::Path) -> Running {
    Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do", "full dump", "-o"])
        .arg(folder)
        .spawn()
        .until_it_says("\"event\":\"armed\"")
}

#[test]
fn n10_what_was_mapped_just_before_a_crash_is_in_the_dump() {
    for round in 0..rounds() {
        let folder = folder();
        // Its parent waits for it at once, or only when the dump is taken.
        let waits_at_once = round % 2 == 0;
        let mut child = Child::that_crashes(compile(&MAPS_LATE), &[]);
        assert_eq!(child.line(), "ready");
        let running = watch(&child, folder.path());
        child.tell("go");
        let late = child.line();
        if waits_at_once {
            child.wait();
        }
        let run = running.finish();
        run.assert_code(0);
        let warned = run.stdout.contains("could not be read at the death");
        assert!(!warned, "{run:#?}");
        let dump = std::fs::read(&files_in(folder.path())[0]).expect("a dump");
        assert!(!has_secret(&dump, EARLY_SECRET), "{run:#?}");
        // Where its parent was faster, that is said.
        let is_said = run.stdout.contains("did not want in a dump");
        assert!(is_said || !has_secret(&dump, LATE_SECRET), "{run:#?}");
        assert!(waits_at_once || !is_said, "{run:#?}");
        assert_has_what_came_late(&files_in(folder.path())[0], &late);
    }
}

/// The first thread of the process has ended, and another one crashes: all that lived are there.
#[test]
fn n21_a_process_without_its_first_thread_dies_with_all_its_threads() {
    for _ in 0..rounds() {
        let folder = folder();
        let code = "import threading,time,ctypes\n\
                    for i in range(12): threading.Thread(target=lambda: time.sleep(1000)).start()\n\
                    threading.Thread(target=lambda: (input(), ctypes.string_at(8))).start()\n\
                    print('ready', flush=True)\n\
                    ctypes.CDLL(None).syscall(60, 0)\n";
        let mut child = Child::that_crashes("python3", &["-c", code]);
        assert_eq!(child.line(), "ready");
        let running = watch(&child, folder.path());
        child.tell("go");
        let run = running.finish();
        run.assert_code(0);
        let dump = &files_in(folder.path())[0];
        assert_eq!(Core::alone(dump).threads().len(), 13, "{run:#?}");
    }
}

/// Children that die a moment after their fork are caught at their death, and their parent waits for them at once. Nothing is
/// missing in their dumps, and nothing is in them that does not belong there.
#[test]
fn n56_what_dies_just_after_its_fork_has_everything() {
    let folder = folder();
    let mut parent = Child::that_crashes(compile(&MAPS_LATE), &["forks"]);
    assert_eq!(parent.line(), "ready");
    let running = Firstchance::new(&["watch", "--json", "--children"])
        .args(&[&parent.pid().to_string(), "--when", "unhandled exception"])
        .args(&["--do", "full dump", "-n", "5", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    let mut places = Vec::new();
    for _ in 0..5 {
        running.until_it_dumps_another(|| {
            parent.tell("");
            places.push(parent.line());
        });
    }
    let run = running.finish();
    run.assert_code(0);
    for dump in run.events("dump") {
        assert_eq!(dump["gap-count"], 0, "{dump:#?}");
    }
    let dumps = files_in(folder.path());
    assert_eq!(dumps.len(), 5, "{run:#?}");
    for dump in dumps {
        // Forked children have the same addresses, but for what the kernel places at random.
        let late = places.iter().find(|late| has_late_data(&dump, late));
        assert_has_what_came_late(&dump, late.expect("one of them"));
        let bytes = std::fs::read(&dump).expect("a dump");
        assert!(!has_secret(&bytes, EARLY_SECRET));
        assert!(!has_secret(&bytes, LATE_SECRET));
    }
}

fn has_late_data(dump: &std::path::Path, late: &str) -> bool {
    let seen = Core::new(dump, &compile(&MAPS_LATE)).gdb(&[&format!("x/s {late}")]);
    seen.contains("\"LATE-DATA\"")
}

/// The handler of the fault runs on an alternate stack; the stack that crashed is another one.
#[test]
fn n13_the_stack_that_crashed_is_in_small_dumps_too() {
    let exe = compile(&Program::c("alternate_stack.c"));
    for how in ["wait", "abort", "again"] {
        for kind in ["mini dump", "triage dump"] {
            let folder = folder();
            let mut child = Child::that_crashes(&exe, &[how]);
            assert_eq!(child.line(), "ready");
            let when = if how == "wait" {
                "now"
            } else {
                "unhandled exception"
            };
            let watch = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
                .args(&["--when", when, "--do", kind, "--format", "core", "-o"])
                .arg(folder.path());
            let run = if how == "wait" {
                child.tell("go");
                assert_eq!(child.line(), "waits");
                watch.run()
            } else {
                let running = watch.spawn().until_it_says("\"event\":\"armed\"");
                child.tell("go");
                running.finish()
            };
            run.assert_code(0);
            let core = Core::new(&files_in(folder.path())[0], &exe);
            let seen = core.gdb(&["thread apply all backtrace"]);
            assert!(
                seen.contains("crashing_function ("),
                "{how}, {kind}: {seen}"
            );
        }
    }
}

/// A server changes its user and its title once it runs.
#[test]
fn n23_a_dump_tells_who_the_process_was_at_its_death() {
    const NOBODY: &str = "65534";
    for _ in 0..rounds() {
        let folder = folder();
        let exe = compile(&Program::c("changes_itself.c"));
        let mut child = Child::that_crashes(exe.clone(), &["first"]);
        assert_eq!(child.line(), "ready");
        let running = watch(&child, folder.path());
        child.tell("go");
        let run = running.finish();
        run.assert_code(0);
        let core = files_in(folder.path()).remove(0);
        let seen = Core::new(&core, &exe).gdb(&["info proc"]);
        assert!(seen.contains("served: a title ####"), "{seen}");
        let told = Firstchance::new(&["inspect", "--json"])
            .arg(&core)
            .run_well();
        assert!(told.stdout.contains(NOBODY), "{told:#?}");
        assert!(told.stdout.contains("served: a title ####"), "{told:#?}");
    }
}
