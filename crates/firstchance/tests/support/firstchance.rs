//! Runs the program as a user would.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{DEADLINE, happens_within, proc_status, state_of, wait_until};

/// A command line of the program, before it is started.
pub(crate) struct Firstchance {
    command: Command,
    deadline: Duration,
}

/// The running program. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    streams: Option<(Stream, Stream)>,
    started: Instant,
    deadline: Duration,
    is_over: bool,
}

/// What a program writes to a pipe, and the thread that reads it.
struct Stream {
    listener: JoinHandle<()>,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code, or `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it, if one did.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    /// The peak of its resident memory, in bytes.
    pub(crate) peak_memory: u64,
}

impl Firstchance {
    /// The command line `firstchance ARGS`.
    pub(crate) fn new(args: &[&str]) -> Firstchance {
        Firstchance::by(&[]).args(args)
    }

    /// The program, started by another one (`prlimit --nofile=64`) that executes it.
    pub(crate) fn by(starter: &[&str]) -> Firstchance {
        Firstchance::copy_by(starter, Path::new(env!("CARGO_BIN_EXE_firstchance")))
    }

    /// A copy of the program, started by another one that executes it.
    pub(crate) fn copy_by(starter: &[&str], program: &Path) -> Firstchance {
        let words: Vec<&OsStr> = starter
            .iter()
            .map(OsStr::new)
            .chain([program.as_os_str()])
            .collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_remove("FIRSTCHANCE_FAILPOINT");
        Firstchance {
            command,
            deadline: DEADLINE,
        }
    }

    /// The command line `firstchance dump --full PID -o FILE`.
    pub(crate) fn full_dump(pid: u32, file: &Path) -> Firstchance {
        Firstchance::dump(pid, &["--full"], file)
    }

    /// The command line `firstchance dump OPTIONS PID -o FILE`.
    pub(crate) fn dump(pid: u32, options: &[&str], file: &Path) -> Firstchance {
        Firstchance::new(&["dump"])
            .args(options)
            .args(&[&pid.to_string(), "-o"])
            .arg(file)
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Firstchance {
        self.command.args(args);
        self
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Firstchance {
        self.command.arg(arg);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Firstchance {
        self.command.env(name, value);
        self
    }

    /// Sets the folder that it runs in.
    pub(crate) fn current_dir(mut self, folder: &Path) -> Firstchance {
        self.command.current_dir(folder);
        self
    }

    /// Sets how long it may run before the test fails.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Firstchance {
        self.deadline = deadline;
        self
    }

    /// Sets fault points: `name:action`, or several, separated by commas.
    ///
    /// # Panics
    /// If the program was built without fault points.
    pub(crate) fn failpoint(self, points: &str) -> Firstchance {
        if !cfg!(feature = "failpoints") {
            panic!("fault points are not compiled in: run with --features firstchance/failpoints");
        }
        self.env("FIRSTCHANCE_FAILPOINT", points)
    }

    /// The command, to be started by other means.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Starts the program.
    pub(crate) fn spawn(mut self) -> Running {
        let piped = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped
            .spawn()
            .unwrap_or_else(|e| panic!("{:?}: {e}", self.command));
        let out = Stream::of(child.stdout.take().expect("piped"));
        let err = Stream::of(child.stderr.take().expect("piped"));
        let (started, deadline) = (Instant::now(), self.deadline);
        Running {
            child,
            streams: Some((out, err)),
            started,
            deadline,
            is_over: false,
        }
    }

    /// Runs the program until it ends.
    pub(crate) fn run(self) -> Run {
        self.spawn().finish()
    }

    /// Runs the program until it ends, and asserts that its exit code is 0.
    pub(crate) fn run_well(self) -> Run {
        let run = self.run();
        assert_eq!(run.code, Some(0), "{run:#?}");
        run
    }
}

impl Stream {
    fn of(mut pipe: impl std::io::Read + Send + 'static) -> Stream {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        let listener = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                all.lock().expect("no panic here").extend(&buffer[..count]);
            }
        });
        Stream { listener, heard }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no panic there")).into_owned()
    }

    fn all(self) -> String {
        let Stream { listener, heard } = self;
        listener.join().expect("no panic there");
        let heard = heard.lock().expect("no panic there");
        String::from_utf8_lossy(&heard).into_owned()
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved; the process is ours and not yet waited for.
        unsafe { libc::kill(self.pid() as i32, signal) };
    }

    /// Waits until its output contains these words.
    pub(crate) fn until_it_says(self, words: &str) -> Running {
        self.until_it_says_often(words, 1)
    }

    /// Waits until its output contains these words so often.
    pub(crate) fn until_it_says_often(self, words: &str, times: usize) -> Running {
        let says = happens_within(DEADLINE, || self.says(words) >= times);
        assert!(
            says,
            "it does not say {words:?} {times} times: {}",
            self.said()
        );
        self
    }

    /// Has something crash until one more dump has been written, and returns how many times that took. A death of a process
    /// that nobody could follow yet is missed where the machine gives us no processor in time; on a shared one that happens.
    pub(crate) fn until_it_dumps_another(&self, mut crash: impl FnMut()) -> usize {
        const DUMP: &str = "\"event\":\"dump\"";
        const TRIES: usize = 10;
        let more = self.says(DUMP) + 1;
        for tries in 1..=TRIES {
            crash();
            if happens_within(Duration::from_secs(10), || self.says(DUMP) >= more) {
                return tries;
            }
        }
        panic!("none of {TRIES} crashes was dumped: {}", self.said())
    }

    /// How often its output contains these words so far.
    pub(crate) fn says(&self, words: &str) -> usize {
        let (out, _) = self.streams.as_ref().expect("not waited for yet");
        out.so_far().matches(words).count()
    }

    /// All that it has written so far.
    pub(crate) fn said(&self) -> String {
        let (out, err) = self.streams.as_ref().expect("not waited for yet");
        format!("{}{}", out.so_far(), err.so_far())
    }

    /// Waits until it is stopped at a fault point with the action `stop`.
    pub(crate) fn wait_until_stopped(&mut self) {
        let pid = self.pid();
        let mut state = ' ';
        wait_until("the program stands at its fault point", || {
            state = state_of(pid);
            "TZX".contains(state)
        });
        assert_eq!(state, 'T', "it ended instead: {:#?}", self.wait_for_end());
    }

    /// Lets the program go on after [`Running::wait_until_stopped`].
    pub(crate) fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    /// A field of its `/proc/PID/status`, such as the number of its threads.
    pub(crate) fn status(&self, field: &str) -> Option<String> {
        proc_status(self.pid(), field)
    }

    /// Waits until it ends. Whenever it is stopped at a fault point, it is let go on.
    pub(crate) fn finish_through_stops(mut self) -> Run {
        let pid = self.pid();
        wait_until("the program ends", || {
            self.go_on();
            "ZX".contains(state_of(pid))
        });
        self.wait_for_end()
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// At its deadline. The program is killed then.
    pub(crate) fn finish(mut self) -> Run {
        self.wait_for_end()
    }

    fn wait_for_end(&mut self) -> Run {
        let (status, peak_memory) = self.wait4();
        let took = self.started.elapsed();
        let (out, err) = self.streams.take().expect("waited for once");
        let has_exited = libc::WIFEXITED(status);
        Run {
            code: has_exited.then(|| libc::WEXITSTATUS(status)),
            signal: (!has_exited).then(|| libc::WTERMSIG(status)),
            stdout: out.all(),
            stderr: err.all(),
            took,
            peak_memory,
        }
    }

    /// Waits until it ends. Returns its wait status, and the peak of its memory in bytes.
    fn wait4(&mut self) -> (i32, u64) {
        let (pid, since) = (self.pid() as i32, Instant::now());
        loop {
            let mut status = 0;
            // SAFETY: a structure of integers, for which zeros are values.
            let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
            // SAFETY: both places live during the call.
            match unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) } {
                0 if since.elapsed() > self.deadline => self.give_up(),
                0 => std::thread::sleep(Duration::from_millis(1)),
                _ => {
                    self.is_over = true;
                    return (status, usage.ru_maxrss as u64 * 1024);
                }
            }
        }
    }

    fn give_up(&mut self) -> ! {
        let state = state_of(self.pid());
        let stack = std::fs::read_to_string(format!("/proc/{}/stack", self.pid()));
        self.signal(libc::SIGKILL);
        panic!(
            "the program did not end within {:?}; state {state}, {stack:?}: {}",
            self.deadline,
            self.said()
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Run {
    /// The events with this name that it printed (`--json`).
    pub(crate) fn events(&self, kind: &str) -> Vec<serde_json::Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect(line))
            .filter(|event: &serde_json::Value| event["event"] == kind)
            .collect()
    }

    /// How often an exception came, as the table of exceptions at the end says.
    pub(crate) fn count_of(&self, exception: &str) -> u64 {
        let tables = self.events("exceptions");
        let mut rows = tables
            .iter()
            .flat_map(|table| table["table"].as_array().expect("rows"));
        let row = rows.find(|row| row["name"] == exception);
        row.map_or(0, |row| row["count"].as_u64().expect("a number"))
    }

    /// Asserts that it ended with this exit code.
    pub(crate) fn assert_code(&self, code: i32) -> &Run {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that it failed, and was not ended by a signal.
    pub(crate) fn assert_failed(&self) -> &Run {
        assert!(self.code.is_some_and(|code| code != 0), "{self:#?}");
        self
    }

    /// Asserts that its output contains these words.
    pub(crate) fn assert_says(&self, words: &str) -> &Run {
        let said = self.stdout.contains(words) || self.stderr.contains(words);
        assert!(said, "no word of {words:?} in {self:#?}");
        self
    }
}

/// The files in a folder, sorted.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// A dump that was taken successfully, in a folder of its own.
pub(crate) struct Dumped {
    pub(crate) run: Run,
    pub(crate) path: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Dumped {
    /// Takes a full dump of a process.
    pub(crate) fn full(pid: u32) -> Dumped {
        Dumped::with(pid, &["--full"])
    }

    /// Takes a dump of a process with these options.
    pub(crate) fn with(pid: u32, options: &[&str]) -> Dumped {
        let folder = super::folder();
        let path = folder.path().join("x.core");
        let run = Firstchance::dump(pid, options, &path).run_well();
        assert_eq!(files_in(folder.path()), [path.as_path()], "{run:#?}");
        Dumped { run, path, folder }
    }

    /// The core, with the program file of the victim.
    pub(crate) fn core(&self) -> super::Core {
        super::Core::new(&self.path, super::victim_exe())
    }
}
