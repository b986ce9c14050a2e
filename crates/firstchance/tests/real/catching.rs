//! The processes of firstchance that catch others at their death (`catch-deaths`, `keep-memory`).

use crate::{
    short_lives::{DIES, crash, load, parent_of, unseen, watch_children},
    support::{Child, Core, Firstchance, compile, files_in, folder, threads_of, wait_until},
};
use std::{fs, path::Path};

/// How many die one after the other. Each dump takes longer than a death, so that most are kept at once.
const DEATHS: usize = 100;

/// What other users of a shared machine may cost: its processors are away for longer than a thread is held.
const LOST: usize = 3;

/// Nobody waits until a dump has been taken.
#[test]
fn n23_a_hundred_children_that_die_in_a_row_are_dumped_on_a_loaded_machine() {
    let folder = folder();
    let mut parent = parent_of(&["0"]);
    let running = watch_children(&parent, 2 * DEATHS, folder.path());
    let load = load();
    for _ in 0..DEATHS {
        crash(&mut parent);
    }
    drop(load);
    parent.kill();
    let run = running.finish();
    let dumps = files_in(folder.path()).len();
    assert_eq!(dumps as u64 + unseen(&run), DEATHS as u64, "{run:#?}");
    assert!(dumps >= DEATHS - LOST, "{dumps} of {DEATHS}: {run:#?}");
}

/// A parent may end at once, as in a service that forks twice: who it has forked belongs to the rule all the same.
#[test]
fn n23_children_that_die_while_their_parents_end_are_dumped_or_counted() {
    const CHILDREN: usize = 8;
    const PARENT: &str = "echo ready; read line
        for parent in 1 2; do (for child in 1 2 3 4; do (kill -SEGV $BASHPID) & done) & done";
    for _ in 0..5 {
        let folder = folder();
        let mut parent = Child::that_crashes("bash", &["-c", PARENT]);
        assert_eq!(parent.line(), "ready");
        let running = watch_children(&parent, 2 * CHILDREN, folder.path());
        parent.tell("");
        let run = running.finish();
        let dumps = files_in(folder.path()).len();
        assert_eq!(dumps as u64 + unseen(&run), CHILDREN as u64, "{run:#?}");
        assert!(dumps > 0, "{run:#?}");
    }
}

/// What is read of a process before all other threads has bounds: the rest is read after it.
#[test]
fn n23_a_child_with_twenty_thousand_mappings_that_dies_at_once_is_dumped() {
    let folder = folder();
    let mut parent = parent_of(&["0", "20000"]);
    let running = watch_children(&parent, 1, folder.path());
    running.until_it_dumps_another(|| crash(&mut parent));
    let run = running.finish();
    run.assert_code(0);
    let core = Core::new(&files_in(folder.path())[0], &compile(&DIES));
    let seen = core.gdb(&["backtrace", "frame function dies_in_child", "print text"]);
    assert!(seen.contains("CHILD-DATA-"), "{seen} {run:#?}");
}

#[test]
fn n23_who_catches_is_started_again_when_it_was_killed() {
    let folder = folder();
    let mut parent = parent_of(&["0"]);
    let running = watch_children(&parent, 2, folder.path());
    running.until_it_dumps_another(|| crash(&mut parent));
    let catcher = helpers_of(running.pid(), "catch-deaths")[0];
    kill(catcher);
    wait_until("another one", || {
        let now = helpers_of(running.pid(), "catch-deaths").into_iter();
        let mut others = now.filter(|pid| *pid != catcher);
        others.any(|pid| threads_of(pid).len() > 2)
    });
    running.until_it_dumps_another(|| crash(&mut parent));
    let run = running.finish();
    run.assert_code(0);
    assert!(run.stdout.contains("was ended by somebody"), "{run:#?}");
    assert_eq!(files_in(folder.path()).len(), 2);
}

/// As by a kernel that has no memory left: those that waited to keep something were missed only when they were needed.
#[test]
fn n23_those_that_keep_memory_are_replaced_when_they_were_killed() {
    let folder = folder();
    let mut parent = parent_of(&["0"]);
    let running = watch_children(&parent, 2, folder.path());
    let catcher = helpers_of(running.pid(), "catch-deaths")[0];
    let keepers = || helpers_of(catcher, "keep-memory");
    running.until_it_dumps_another(|| crash(&mut parent));
    let before = keepers();
    before.iter().for_each(|pid| kill(*pid));
    wait_until("others", || {
        let now = keepers();
        now.len() >= before.len() && now.iter().all(|pid| !before.contains(pid))
    });
    running.until_it_dumps_another(|| crash(&mut parent));
    running.finish().assert_code(0);
    assert_eq!(files_in(folder.path()).len(), 2);
}

/// The first process of a container often does not wait for those that it is left.
#[test]
fn n23_no_process_of_ours_is_left_to_init_at_an_ordinary_end() {
    let folder = folder();
    let mut parent = parent_of(&["0"]);
    let running = watch_children(&parent, 1, folder.path());
    let catcher = helpers_of(running.pid(), "catch-deaths")[0];
    let mut all = helpers_of(catcher, "keep-memory");
    assert!(!all.is_empty());
    all.push(catcher);
    running.until_it_dumps_another(|| crash(&mut parent));
    running.finish().assert_code(0);
    let left = |pid: &&u32| Path::new(&format!("/proc/{pid}")).exists();
    assert_eq!(all.iter().find(left), None);
}

#[test]
fn n23_nobody_is_left_when_firstchance_is_killed() {
    let folder = folder();
    let parent = parent_of(&["0"]);
    let running = watch_children(&parent, 1, folder.path());
    let catcher = helpers_of(running.pid(), "catch-deaths")[0];
    let mut all = helpers_of(catcher, "keep-memory");
    assert!(!all.is_empty());
    all.push(catcher);
    running.signal(libc::SIGKILL);
    running.finish();
    wait_until("their end", || all.iter().all(|pid| !is_helper(*pid)));
}

/// More than the usual number of descriptors is for us alone.
#[test]
fn n23_a_launched_program_has_the_limit_of_descriptors_that_we_were_started_with() {
    let folder = folder();
    let file = folder.path().join("limit");
    let script = format!("ulimit -Sn > {}; kill -ABRT $$", file.display());
    let run = Firstchance::by(&["prlimit", "--nofile=321:4096"])
        .args(&["run", "--when", "unhandled exception", "-o"])
        .arg(folder.path())
        .args(&["--", "sh", "-c", &script])
        .run();
    let limit = fs::read_to_string(&file).expect("its limit");
    assert_eq!(limit.trim(), "321", "{run:#?}");
}

/// Returns the children of a process that have this first argument.
fn helpers_of(pid: u32, word: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let lists = tasks.flatten().map(|task| task.path().join("children"));
    let lists: Vec<String> = lists
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    let pids = pids.filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| has_word(*pid, word)).collect()
}

fn is_helper(pid: u32) -> bool {
    ["catch-deaths", "keep-memory"]
        .iter()
        .any(|word| has_word(pid, word))
}

fn has_word(pid: u32, word: &str) -> bool {
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split('\0').nth(1) == Some(word)
}

fn kill(pid: u32) {
    // SAFETY: kill(2) takes plain numbers.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}
