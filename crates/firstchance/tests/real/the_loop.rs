//! What the loop of a watch owes: it ends when it has nothing left to do, goes on where it can, and
//! costs next to nothing while nothing happens.
//!
//! The names of tests begin with the number of the fault that each of them found.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::dump_refuse::{NOBODY, folder_of_nobody, public_copy, public_folder};
use crate::support::{
    Child, Firstchance, Run, Running, Victim, file_in, files_in, folder, state_of, threads_of,
    victim_exe, wait_until,
};

const FIRSTCHANCE: &str = env!("CARGO_BIN_EXE_firstchance");

/// Conditions for which a process is followed, each by other means.
const FOLLOWED: [&str; 4] = ["exit", "signal SIGUSR1", "exception", "unhandled exception"];

/// Far more than a watch takes to end on a slow machine.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

fn watch(target: &str, conditions: &[&str], to: &Path) -> Firstchance {
    let command = Firstchance::new(&["watch", target, "-o"]).arg(to);
    when(command.deadline(ENDS_WITHIN), conditions)
}

fn when(command: Firstchance, conditions: &[&str]) -> Firstchance {
    conditions.iter().fold(command, |command, condition| {
        command.args(&["--when", condition])
    })
}

/// A copy of the victim under a name that no other process has.
fn named(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    // The kernel's short names have 15 letters.
    let name = format!("{name}{}", std::process::id());
    let program = file_in(folder, &name);
    std::fs::copy(victim_exe(), &program).expect("a copy");
    (program, name)
}

/// As many dumps were taken or failed as were ordered.
fn assert_each_order_is_answered(run: &Run) {
    let count = |words: &str| {
        run.stdout
            .lines()
            .filter(|line| line.contains(words))
            .count()
    };
    let dumps = (1..=count("Trigger:")).collect::<Vec<_>>();
    let told = |what: &str| -> usize {
        dumps
            .iter()
            .map(|n| count(&format!("Dump {n} {what}")))
            .sum()
    };
    assert_eq!(told("complete") + told("error"), dumps.len(), "{run:#?}");
}

#[test]
fn n19_a_watch_ends_when_its_process_is_killed_among_its_dumps() {
    for round in 0..24 {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let conditions = ["threads > 0", FOLLOWED[round % FOLLOWED.len()]];
        let running = watch(&victim.pid_text(), &conditions, folder.path())
            .args(&["-n", "0", "--poll", "1ms", "--do", "triage dump"])
            .spawn()
            .until_it_says("Dump 2 ");
        victim.kill_without_waiting();
        let terminates = round % 3 == 2;
        if terminates {
            running.signal(libc::SIGTERM);
        }
        let run = running.finish();
        victim.wait();
        match terminates {
            true => assert!(matches!(run.code, Some(0 | 7)), "{run:#?}"),
            false => drop(run.assert_code(0)),
        }
        assert_each_order_is_answered(&run);
    }
}

/// The process dies before its dump has stopped it, and again before the next one has.
#[test]
fn n19_a_dump_of_a_process_that_has_just_died_fails_and_the_watch_ends() {
    for (condition, dumps) in FOLLOWED.into_iter().zip([0, 1].into_iter().cycle()) {
        let folder = folder();
        let mut victim = Victim::start(&["leak", "32"]);
        let conditions = ["rss > 48MiB", condition];
        let mut running = watch(&victim.pid_text(), &conditions, folder.path())
            .args(&["-n", "3", "--poll", "10ms"])
            .failpoint("before-stop:stop")
            .spawn()
            .until_it_says("Press Ctrl-C");
        victim.tell("more");
        for _ in 0..dumps {
            running.wait_until_stopped();
            running.go_on();
            running = running.until_it_says("Dump 1 complete");
        }
        running.wait_until_stopped();
        victim.kill_without_waiting();
        victim.wait_for_letters("tZX");
        let run = running.finish_through_stops();
        victim.wait();
        run.assert_code(5);
        assert_each_order_is_answered(&run);
    }
}

/// What belongs to root and what belongs to the user, by the same name.
struct RootsAndOwn {
    roots: [Victim; 2],
    own: Victim,
    name: String,
    folder: PathBuf,
    firstchance: PathBuf,
    _public: tempfile::TempDir,
}

impl RootsAndOwn {
    fn start() -> Self {
        let public = public_folder();
        let (program, name) = named(&public, "owned");
        let start = |starter: &[&str]| {
            let mut words = starter.to_vec();
            let program = program.to_str().expect("plain text");
            words.extend([program, "exit"]);
            Victim::start_by(Command::new(words[0]).args(&words[1..]))
        };
        let roots = [start(&[]), start(&[])];
        Self {
            own: start(NOBODY),
            roots,
            name,
            folder: folder_of_nobody(&public),
            firstchance: public_copy(&public, Path::new(FIRSTCHANCE)),
            _public: public,
        }
    }

    fn watch(&self, target: &str, conditions: &[&str], number: &str) -> Firstchance {
        let command = Firstchance::copy_by(NOBODY, &self.firstchance)
            .args(&["watch", target, "-n", number, "-o"])
            .arg(&self.folder);
        when(command.deadline(ENDS_WITHIN), conditions)
    }
}

#[test]
fn n22_processes_that_may_not_be_touched_do_not_end_the_watch_of_the_others() {
    for (condition, number) in [
        ("now", "1"),
        ("threads > 0", "1"),
        ("exit", "1"),
        ("exit", "5"),
    ] {
        let mut ours = RootsAndOwn::start();
        let command = ours
            .watch(&ours.name, &[condition], number)
            .args(&["--each"]);
        let mut running = command.spawn();
        if condition == "exit" {
            running = running.until_it_says("Press Ctrl-C");
            ours.own.tell("end");
        }
        running = running.until_it_says(" complete: ");
        if number == "5" {
            running.signal(libc::SIGINT);
        }
        let run = running.finish();
        run.assert_code(if number == "5" { 7 } else { 0 });
        assert!(run.stdout.contains("not permitted"), "{run:#?}");
        assert_eq!(files_in(&ours.folder).len(), 1, "{run:#?}");
        ours.roots
            .iter_mut()
            .for_each(|victim| assert_ne!(victim.letter(), 'X'));
    }
}

/// With a number of dumps to reach, and without one.
#[test]
fn n22_a_watch_of_what_may_not_be_touched_ends_with_4_and_says_why() {
    let ours = RootsAndOwn::start();
    for (condition, number) in [("exit", "1"), ("exit", "0"), ("now", "1"), ("now", "0")] {
        let run = ours
            .watch(&ours.roots[0].pid_text(), &[condition], number)
            .run();
        run.assert_code(4).assert_says("Run firstchance as root");
    }
    assert!(files_in(&ours.folder).is_empty());
}

#[test]
fn n22_a_watch_of_what_another_debugger_holds_ends_with_4_and_names_it() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let mut tracer = Command::new("strace");
    tracer.args(["-o", "/dev/null", "-p", &victim.pid_text()]);
    let tracer = Child::start(tracer.stderr(Stdio::null()));
    let is_traced = || crate::support::proc_status(victim.pid(), "TracerPid");
    wait_until("strace holds it", || {
        is_traced().is_some_and(|pid| pid != "0")
    });
    for condition in ["exit", "signal SIGUSR1", "exception"] {
        for number in ["1", "0"] {
            let command = watch(&victim.pid_text(), &[condition], folder.path());
            let run = command.args(&["-n", number]).run();
            run.assert_code(4).assert_says("(strace)");
        }
    }
    tracer.signal(libc::SIGINT);
    drop(tracer);
    victim.assert_alive();
}

/// It is gone before it is looked for (3), before or after it is followed (5), or its end was seen
/// and dumped (0).
#[test]
fn n22_a_process_that_ends_while_its_watch_begins_is_not_waited_for() {
    let folder = folder();
    let dumps = file_in(&folder, "dumps");
    std::fs::create_dir(&dumps).expect("a folder");
    let name = format!("brief{}", std::process::id());
    let program = file_in(&folder, &name);
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    for round in 0..60 {
        let milliseconds = round * 7 % 60;
        let mut brief = Command::new(&program);
        let mut brief = brief
            .arg(format!("0.{milliseconds:03}"))
            .spawn()
            .expect("sleep");
        let target = [name.clone(), brief.id().to_string()][round % 2].clone();
        let condition = FOLLOWED[round % 3];
        let running = watch(&target, &[condition], &dumps).spawn();
        brief.wait().expect("our own child");
        let run = running.finish();
        let expected: &[i32] = match condition {
            "exit" => &[0, 3, 5],
            _ => &[3, 5],
        };
        assert!(
            run.code.is_some_and(|code| expected.contains(&code)),
            "{run:#?}"
        );
    }
}

#[test]
fn n22_a_dump_at_once_and_a_rule_about_events_do_not_fight_for_the_process() {
    for round in 0..20 {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let condition = FOLLOWED[round % FOLLOWED.len()];
        let one = watch(&victim.pid_text(), &["now", condition], folder.path());
        let run = one.run();
        run.assert_code(0);
        assert!(!run.stdout.contains("already traced"), "{run:#?}");
        victim.assert_alive();
    }
}

#[test]
fn n22_two_rules_of_a_file_about_one_process_do_not_fight_for_it() {
    for round in 0..20 {
        let folder = folder();
        let dumps = file_in(&folder, "dumps");
        std::fs::create_dir(&dumps).expect("a folder");
        let mut victim = Victim::start(&["exit"]);
        let rules = file_in(&folder, "rules.toml");
        let rule = |condition: &str| {
            let (pid, dumps) = (victim.pid(), dumps.display());
            format!(
                "[[rule]]\ntarget = \"{pid}\"\nfolder = \"{dumps}\"\nmax-dumps = 1\n\
                 [[rule.on]]\nwhen = \"{condition}\"\ndo = \"mini dump\"\n"
            )
        };
        let other = ["exit", "exit or exception"][round % 2];
        std::fs::write(&rules, rule("now") + &rule(other)).expect("a file");
        let running = Firstchance::new(&["watch", "--rules"])
            .arg(&rules)
            .deadline(ENDS_WITHIN)
            .spawn()
            .until_it_says(" complete: ");
        victim.tell("end");
        let run = running.finish();
        run.assert_code(0);
        assert!(!run.stdout.contains("already traced"), "{run:#?}");
        assert_eq!(files_in(&dumps).len(), 2, "{run:#?}");
        victim.wait();
    }
}

#[test]
fn n53_processes_that_are_not_meant_leave_no_memory_and_cost_one_look_each() {
    const STARTS: u64 = 5000;
    let folder = folder();
    let (program, name) = named(&folder, "meant");
    let command = watch(&name, &["core-cpu > 99% for 1h"], folder.path());
    let meant = || Victim::start_by(Command::new(&program).arg("idle"));
    let watches = |victim: &Victim| format!("\"event\":\"watching\",\"pid\":{}", victim.pid());
    let first = meant();
    let running = command
        .args(&["--each", "--json", "--poll", "1h"])
        .deadline(Duration::from_secs(120))
        .spawn()
        .until_it_says(&watches(&first));
    start_many(1000);
    // Whoever hears of this one has heard of all before it.
    let before_them = meant();
    let running = running.until_it_says(&watches(&before_them));
    let (memory, cpu) = (resident(running.pid()), cpu_time(running.pid()));
    start_many(STARTS);
    let after_them = meant();
    let running = running.until_it_says(&watches(&after_them));
    let grown = resident(running.pid()).saturating_sub(memory);
    let cost = cpu_time(running.pid()) - cpu;
    running.signal(libc::SIGINT);
    running.finish().assert_code(7);
    println!("grown by {grown} bytes, {cost:?} for {STARTS} starts");
    assert!(grown < 100 * STARTS, "{grown} bytes for {STARTS} starts");
    let look = time_of_looks(STARTS);
    println!("a plain look at each takes {look:?}");
    assert!(
        cost < 10 * look,
        "{cost:?}, a plain look at each takes {look:?}"
    );
}

fn start_many(count: u64) {
    for _ in 0..count {
        let started = Command::new("/bin/true").status().expect("true");
        assert!(started.success());
    }
}

fn resident(pid: u32) -> u64 {
    let text = crate::support::proc_status(pid, "VmRSS").expect("it lives");
    let number = text.split_whitespace().next().expect("a number");
    number.parse::<u64>().expect("a number") << 10
}

/// Processor time of a process so far, by the kernel's ticks of 10 ms.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// How long it takes to read four small files of /proc so often.
fn time_of_looks(count: u64) -> Duration {
    let own = PathBuf::from(format!("/proc/{}", std::process::id()));
    let start = cpu_time(std::process::id());
    for _ in 0..count {
        for file in ["stat", "cgroup", "cmdline"] {
            std::fs::read(own.join(file)).expect("our own");
        }
        std::fs::read_link(own.join("exe")).expect("our own");
    }
    cpu_time(std::process::id()) - start
}

/// A watch under strace, which notes what it opens of /proc.
struct Traced {
    running: Running,
    trace: PathBuf,
}

impl Traced {
    fn watch(pid: u32, folder: &tempfile::TempDir) -> Self {
        let trace = file_in(folder, "trace");
        let starter = [
            "strace",
            "-D",
            "-f",
            "-y",
            "-e",
            "trace=open,openat,readlink,readlinkat,write",
        ];
        let starter = starter.iter().copied();
        let starter: Vec<&str> = starter
            .chain(["-o", trace.to_str().expect("text")])
            .collect();
        let command = Firstchance::by(&starter).args(&["watch", &pid.to_string(), "-o"]);
        let command =
            when(command.arg(folder.path()), &["handles > 100000"]).args(&["--poll", "10ms"]);
        let running = command.spawn().until_it_says("Press Ctrl-C");
        Self { running, trace }
    }

    /// Ends it; the lines of the trace.
    fn end(self) -> Vec<String> {
        self.running.signal(libc::SIGINT);
        self.running.finish();
        let text = || std::fs::read_to_string(&self.trace).expect("the trace");
        wait_until("strace has written all", || text().contains("+++ exited"));
        text().lines().map(str::to_owned).collect()
    }
}

/// Of which processes but these a line of a trace tells.
fn others(line: &str, known: &[u32]) -> Vec<u32> {
    let pids = line.split("/proc/").skip(1);
    let number = |rest: &str| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    pids.filter_map(number)
        .filter(|pid| !known.contains(pid))
        .collect()
}

#[test]
fn n53_n54_a_watch_of_a_pid_looks_at_no_other_process_at_its_beginning_or_later() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let traced = Traced::watch(victim.pid(), &folder);
    let own = traced.running.pid();
    start_many(50);
    // What it did about those it did before it looks at the process once more.
    for _ in 0..3 {
        victim.ping();
    }
    let trace = traced.end();
    assert!(trace.iter().any(|line| line.contains(&victim.pid_text())));
    let foreign = |line: &&String| !others(line, &[victim.pid(), own]).is_empty();
    let seen: Vec<&String> = trace.iter().filter(foreign).collect();
    assert!(seen.is_empty(), "{} times, first {:?}", seen.len(), seen[0]);
}

/// Five processes of 60,000 mappings: to look at them takes seconds.
#[test]
fn n54_a_spike_right_after_the_first_words_is_seen_beside_sixty_thousand_mappings() {
    let folder = folder();
    let large = [(); 5].map(|()| Victim::start(&["maps", "60000"]));
    // Has many descriptors for as long as ten samples take, and never again.
    let script = "import os,sys,time\nprint('ready',flush=True)\nsys.stdin.readline()\n\
                  fds=[os.dup(0) for _ in range(200)]\ntime.sleep(0.5)\n\
                  [os.close(fd) for fd in fds]\nprint('over',flush=True)\nsys.stdin.readline()";
    let mut spike = Child::start(Command::new("python3").args(["-c", script]));
    assert_eq!(spike.line(), "ready");
    let running = watch(&spike.pid().to_string(), &["handles > 150"], folder.path());
    let running = running.args(&["--poll", "50ms"]).spawn();
    let running = running.until_it_says("Press Ctrl-C");
    spike.tell("begin");
    assert_eq!(spike.line(), "over");
    spike.tell("end");
    let run = running.finish();
    run.assert_code(0);
    drop(large);
}

/// Programs that do nothing; killed when dropped, and by the kernel when the test is.
struct Idle(Vec<std::process::Child>);

impl Idle {
    fn start(program: &Path, count: usize) -> Self {
        let mut sleeping = Command::new(program);
        sleeping
            .arg("1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: prctl(2) is a system call, which a child may make before it executes.
        unsafe {
            sleeping.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        Self(
            (0..count)
                .map(|_| sleeping.spawn().expect("a program"))
                .collect(),
        )
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often a second the threads of a process wake up, by what the kernel counts of each, and how
/// many processes and threads a second started on this machine meanwhile.
fn wakes_and_starts_a_second(pid: u32, during: Duration) -> (f64, f64) {
    let start = Instant::now();
    let before = (switches(pid), starts_of_machine());
    std::thread::sleep(during);
    let now = (switches(pid), starts_of_machine());
    let a_second = |count: u64| count as f64 / start.elapsed().as_secs_f64();
    (a_second(now.0 - before.0), a_second(now.1 - before.1))
}

fn starts_of_machine() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").expect("the machine's counts");
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("processes "));
    count.expect("a count").parse().expect("a number")
}

fn switches(pid: u32) -> u64 {
    let of = |tid: u32, field: &str| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status"));
        let text = text.unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(field));
        lines
            .next()
            .map_or(0, |value| value.trim().parse().expect("a number"))
    };
    let both =
        |tid: u32| of(tid, "voluntary_ctxt_switches:") + of(tid, "nonvoluntary_ctxt_switches:");
    threads_of(pid).into_iter().map(both).sum()
}

#[test]
fn n57_an_idle_watch_of_five_hundred_processes_hardly_ever_wakes_up() {
    let folder = folder();
    let name = |kind: &str| format!("{kind}{}", std::process::id());
    let program = |kind: &str| {
        let program = file_in(&folder, &name(kind));
        std::fs::copy("/bin/sleep", &program).expect("a copy");
        program
    };
    let _many = Idle::start(&program("many"), 480);
    let armed = Idle::start(&program("armed"), 20);
    let rules = file_in(&folder, "rules.toml");
    let rule = |kind: &str, when: &str| {
        let (name, folder) = (name(kind), folder.path().display());
        format!(
            "[[rule]]\ntarget = \"name:{name}\"\nfollow = \"each\"\nfolder = \"{folder}\"\n\
             max-dumps = 1\n[[rule.on]]\nwhen = \"{when}\"\ndo = \"mini dump\"\n"
        )
    };
    let level = "core-cpu > 99% for 1h";
    let text = rule("many", level)
        + &rule(
            "armed",
            &format!("{level} or exit or exception or unhandled exception"),
        );
    std::fs::write(&rules, text).expect("a file");
    let command = Firstchance::new(&["watch", "--rules"])
        .arg(&rules)
        .args(&["--json"]);
    let running = command.deadline(Duration::from_secs(120)).spawn();
    let running = armed.0.iter().fold(running, |running, armed| {
        running.until_it_says(&format!("\"event\":\"armed\",\"pid\":{}", armed.id()))
    });
    let during = Duration::from_secs(10);
    let (wakes, starts) = wakes_and_starts_a_second(running.pid(), during);
    running.signal(libc::SIGINT);
    running.finish().assert_code(7);
    println!("{wakes:.1} wake-ups and {starts:.1} starts a second");
    // A rule about a name looks at each process that starts, and at each that executes: two threads
    // wake up for each of the two.
    assert!(
        wakes < 50.0 + 4.0 * starts,
        "{wakes} wake-ups, {starts} starts a second"
    );
}

#[test]
fn n57_a_followed_process_that_idles_costs_no_wakes() {
    let folder = folder();
    for condition in FOLLOWED {
        let mut victim = Victim::start(&["idle"]);
        let command = watch(&victim.pid_text(), &[condition], folder.path());
        let running = command
            .args(&["--json"])
            .spawn()
            .until_it_says("\"event\":\"armed\"");
        let (wakes, _) = wakes_and_starts_a_second(running.pid(), Duration::from_secs(2));
        println!("{condition}: {wakes:.1} wake-ups a second");
        assert!(wakes < 10.0, "{condition}: {wakes} wake-ups a second");
        running.signal(libc::SIGINT);
        running.finish().assert_code(7);
        victim.assert_alive();
        assert_ne!(state_of(victim.pid()), 'T');
    }
}
