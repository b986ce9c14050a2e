//! Users who attack root's `watch`, `dump` and crash handler while others' programs crash: nothing of theirs is lost or
//! kept waiting, nothing is left behind, and the attackers cost little.
//!
//! It runs for some seconds among the other tests, and for the minutes of `cargo xtask test --only attacks`.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    Child, Firstchance, Postmortem, Program, compile, file_in, folder, proc_status, wait_until,
};

/// Arguments of setpriv for the user who attacks, and for another one.
const MALLORY: [&str; 4] = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
const ALICE: [&str; 4] = ["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"];

/// The most memory that a process of firstchance takes, in kB.
const MOST_MEMORY: u64 = 64 << 10;
/// How long the crash of another user may take, under attack and on a loaded machine.
const LONGEST: Duration = Duration::from_secs(20);

fn seconds() -> u64 {
    let told = std::env::var("FIRSTCHANCE_ATTACK_SECONDS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(10)
}

/// Repeats something, in a thread of its own, until this is dropped.
struct Again {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Again {
    fn and_again(mut attack: impl FnMut() + Send + 'static) -> Again {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                attack();
            }
        });
        Again {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn by(user: &[&str], program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(user[0]);
    command
        .args(&user[1..])
        .arg(program)
        .args(words)
        .current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// What the attacker does, over and over.
fn attacks(crashes: &Path, maps: &Path, files: &Path) -> Vec<Again> {
    let crash = |words: &'static [&'static str]| {
        let crashes = crashes.to_owned();
        Again::and_again(move || {
            let _ = by(&MALLORY, &crashes, words).status();
        })
    };
    let fuse = compile(&Program::c("hung_fuse.c"));
    let at = files.to_owned();
    let on_hung_pages = Again::and_again(move || {
        // It mounts in a namespace of its own, as any user may where user namespaces are allowed.
        let mut hung = Command::new(&fuse);
        hung.arg(&at)
            .arg("stack")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _ = hung.status();
    });
    let (maps, deep) = (maps.to_owned(), tempfile::tempdir().expect("a folder"));
    let everybodys = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(deep.path(), everybodys).expect("our own");
    let with_many_mappings = Again::and_again(move || {
        let mut maps = by(&MALLORY, &maps, &["60000", "aborts"]);
        let _ = maps.current_dir(deep.path()).status();
    });
    vec![
        with_many_mappings,
        crash(&["mib=8", "end=segv"]),
        crash(&["threads=20", "end=abort"]),
        crash(&["auxv=odd", "mib=40", "end=segv"]),
        on_hung_pages,
    ]
}

/// Samples the memory of all processes of firstchance that run, in kB.
fn peak(program: &Path) -> u64 {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = pids.filter(|pid| {
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        exe == program || exe == Path::new("/usr/libexec/fc-test")
    });
    let field = |pid: u32, name: &str| {
        let told = proc_status(pid, name)?;
        told.trim_end_matches(" kB").trim().parse::<u64>().ok()
    };
    // Without the pages of the program's file, which is 50 MB in a debug build: they are nobody's memory but the cache's.
    let memory = |pid: u32| Some(field(pid, "VmHWM")?.saturating_sub(field(pid, "RssFile")?));
    ours.filter_map(memory).max().unwrap_or(0)
}

#[test]
fn n42_attackers_cost_others_nothing_loaded_machine() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let (files, watched, mount) = (folder(), folder(), folder());
    let hung = compile(&Program::c("hung_fuse.c"));
    let limits = ["--type", "mini", "--count", "60", "--max-bytes", "300MiB"];
    let attacker = machine.program.with_file_name("attacker");
    std::fs::copy(&machine.program, &attacker).expect("a copy");
    machine.set(&machine.program, &limits);
    machine.set(&attacker, &limits);
    let maps = machine.program.with_file_name("maps");
    std::fs::copy(compile(&Program::c("many_names.c")), &maps).expect("a copy");
    machine.set(&maps, &limits);
    // It is root who mounts here, and whose dumps would go for nobody's.
    let elsewhere = machine.folder.with_extension("hung");
    let elsewhere = elsewhere.to_str().expect("a plain path");
    machine.set(&hung, &["--type", "mini", "--folder", elsewhere]);
    let huge = by(
        &MALLORY,
        &compile(&Program::c("huge_command_line.c")),
        &["256"],
    )
    .spawn();
    let mut huge = huge.expect("setpriv");
    let truncates =
        Child::start(Command::new(compile(&Program::c("truncates.c"))).arg(files.path()));
    let idle = Child::start(Command::new(compile(&Program::c("idle.c"))).arg("x"));
    let victim = machine
        .program
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let watch = Firstchance::new(&["watch", "--json", "--wait", "--all", victim])
        .args(&["--when", "unhandled exception", "-n", "100000", "-o"])
        .arg(watched.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    let own = std::fs::read_link(format!("/proc/{}/exe", watch.pid())).expect("our program");
    let attacks = attacks(&attacker, &maps, mount.path());

    let end = Instant::now() + Duration::from_secs(seconds());
    let (mut crashed, mut most) = (Vec::new(), 0);
    while Instant::now() < end {
        let start = Instant::now();
        let mut child = by(&ALICE, &machine.program, &["threads=2", "end=segv"])
            .spawn()
            .expect("setpriv");
        crashed.push(child.id());
        child.wait().expect("its end");
        assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
        let to = file_in(&files, "x.core");
        let dump = Firstchance::dump(idle.pid(), &["--mini"], &to).run_well();
        assert!(dump.peak_memory < MOST_MEMORY << 10, "{dump:#?}");
        std::fs::remove_file(to).expect("the dump");
        assert!(start.elapsed() < 2 * LONGEST, "{:?}", start.elapsed());
        most = most.max(peak(&own));
    }
    drop(attacks);
    huge.kill().expect("to end it");
    huge.wait().expect("its end");
    drop(truncates);
    machine.assert_no_handler();
    assert!(most < MOST_MEMORY, "{most} kB");

    // The youngest of the other user's dumps are there, as far as the limits let anybody's be; none of the handlers
    // failed for them.
    let dumps = machine.list();
    let theirs = dumps
        .iter()
        .filter(|dump| dump["program"].as_str() == Some(victim))
        .count();
    assert!(
        theirs >= crashed.len().min(20),
        "{theirs} of {}",
        crashed.len()
    );
    watch.signal(libc::SIGINT);
    let run = watch.finish();
    let seen: Vec<u64> = run
        .events("dump")
        .iter()
        .filter_map(|dump| dump["pid"].as_u64())
        .collect();
    let lost: Vec<_> = crashed
        .iter()
        .filter(|pid| !seen.contains(&u64::from(**pid)))
        .collect();
    assert_eq!(
        lost,
        [&0; 0],
        "{} of {} were not seen by the watch",
        lost.len(),
        crashed.len()
    );
    wait_until("no partial file is left", || {
        machine
            .dumps()
            .iter()
            .all(|dump| dump.extension().is_some_and(|end| end != "partial"))
    });
}
