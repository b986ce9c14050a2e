//! What a watch costs while nothing happens to what it watches: memory, time, wake-ups, and looks at
//! processes that it is not about.
//!
//! The names of tests begin with the number of the fault that each of them found.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    Child, Firstchance, Running, Victim, file_in, folder, proc_status, threads_of, wait_until,
};
use crate::the_loop::{FOLLOWED, named, watch, when};

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
    let forks = forks_of_the_machine();
    start_many(STARTS);
    let after_them = meant();
    let running = running.until_it_says(&watches(&after_them));
    let grown = resident(running.pid()).saturating_sub(memory);
    let cost = cpu_time(running.pid()) - cpu;
    // Those that other tests have started were looked at, too.
    let starts = forks_of_the_machine() - forks;
    running.signal(libc::SIGINT);
    running.finish().assert_code(7);
    println!("grown by {grown} bytes, {cost:?} for {starts} starts");
    assert!(grown < 100 * starts, "{grown} bytes for {starts} starts");
    let look = time_of_looks(starts);
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

/// How many processes and threads have been started since the machine was (proc_stat(5), `processes`).
fn forks_of_the_machine() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("it is there");
    let mut lines = stat.lines();
    let forks = lines.find_map(|line| line.strip_prefix("processes "));
    forks
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

fn resident(pid: u32) -> u64 {
    let text = proc_status(pid, "VmRSS").expect("it lives");
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

/// How long it takes to be woken, to read four small files of /proc, and to tell another thread, so often. On a virtual
/// machine, to be woken may take longer than all else.
fn time_of_looks(count: u64) -> Duration {
    let start = cpu_time(std::process::id());
    let (mut woken, mut wake) = std::io::pipe().expect("a pipe");
    let (tell, told) = std::sync::mpsc::channel();
    let looker = std::thread::spawn(move || {
        let own = PathBuf::from(format!("/proc/{}", std::process::id()));
        while woken.read_exact(&mut [0]).is_ok() {
            look_at(&own);
            tell.send(()).expect("it is waited for");
        }
    });
    for _ in 0..count {
        wake.write_all(b"x").expect("it is read");
        told.recv().expect("it looks");
    }
    drop(wake);
    looker.join().expect("it has ended");
    cpu_time(std::process::id()) - start
}

fn look_at(process: &Path) {
    for file in ["stat", "cgroup", "cmdline"] {
        std::fs::read(process.join(file)).expect("our own");
    }
    std::fs::read_link(process.join("exe")).expect("our own");
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
    }
}

/// Children that come and go are followed each. Their ends must not be waited for one after the other.
#[test]
fn n56_a_watch_of_many_short_processes_does_not_grow_and_ends_at_once() {
    for condition in ["unhandled exception", "exit"] {
        let folder = folder();
        let script = "echo ready; read line; while :; do /bin/true; done";
        let mut child = Child::start(Command::new("sh").args(["-c", script]));
        assert_eq!(child.line(), "ready");
        let command = watch(&child.pid().to_string(), &[condition], folder.path());
        let options = ["--children", "--json", "-n", "0", "--do", "none"];
        let running = command
            .args(&options)
            .deadline(Duration::from_secs(120))
            .spawn();
        let running = running.until_it_says("\"event\":\"effective\"");
        child.tell("go");
        let running = running.until_it_says_often("\"event\":\"exited\"", 300);
        let threads = threads_of(running.pid()).len();
        let files = std::fs::read_dir(format!("/proc/{}/fd", running.pid()));
        let files = files.expect("it lives").count();
        // A few processes are followed at the same time.
        assert!(
            threads < 60 && files < 600,
            "{threads} threads, {files} descriptors"
        );
        assert!(resident(running.pid()) < 64 << 20);
        let asked = Instant::now();
        running.signal(libc::SIGINT);
        running.finish().assert_code(7);
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

/// A server may have hundreds of processes that wait for work.
#[test]
fn n56_a_followed_process_that_idles_takes_little_memory() {
    let (folder, many) = (folder(), 100);
    let name = format!("many{}", std::process::id());
    let program = file_in(&folder, &name);
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    let idle = Idle::start(&program, many);
    let command = watch(&name, &["unhandled exception"], folder.path());
    let running = command
        .args(&["--all", "--json"])
        .deadline(Duration::from_secs(120))
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    let resident = resident(running.pid());
    drop(idle);
    running.signal(libc::SIGINT);
    running.finish();
    let each = resident.saturating_sub(16 << 20) / many as u64;
    assert!(each < 350 << 10, "{each} bytes for each, {resident} in all");
}
