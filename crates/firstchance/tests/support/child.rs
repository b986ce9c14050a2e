//! A process that a test starts. It talks to the test by lines, and ends with the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{DEADLINE, wait_until};

/// A running process; killed by its pid when dropped.
pub(crate) struct Child {
    inner: std::process::Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    name: String,
}

impl Child {
    /// Starts a command, with its input and output connected to the test.
    pub(crate) fn start(command: &mut Command) -> Child {
        let name = format!("{command:?}");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut inner = piped
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (send, lines) = channel();
        let output = BufReader::new(inner.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            let lines = output.split(b'\n').map_while(Result::ok);
            let texts = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
            texts.into_iter().try_for_each(|line| send.send(line))
        });
        let input = inner.stdin.take();
        Child {
            inner,
            input,
            lines,
            name,
        }
    }

    /// Starts a program that will crash, without a core: the handler of crashes that another test has
    /// installed would hold the process. (With RLIMIT_CORE 1, no handler is called, see core(5).)
    pub(crate) fn that_crashes(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Child {
        let mut command = Command::new("prlimit");
        command.arg("--core=1").arg(program).args(arguments);
        // Its last words on standard error would only disturb the output of the tests.
        Child::start(command.stderr(Stdio::null()))
    }

    /// Waits for the next line that it prints, and returns it.
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(DEADLINE);
        line.unwrap_or_else(|error| panic!("{}: no line came: {error}", self.name))
    }

    /// Waits for a line that begins with `start`. Returns all lines up to this one.
    pub(crate) fn lines_until(&self, start: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.starts_with(start)) {
            lines.push(self.line());
        }
        lines
    }

    /// Kills it, and returns the lines that it had printed and that nobody has read.
    pub(crate) fn last_lines(mut self) -> Vec<String> {
        self.kill();
        self.lines.iter().collect()
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        // In one write: the program may end when it has read a part of the line.
        if let Err(error) = input.write_all(format!("{line}\n").as_bytes()) {
            panic!("{}: {error}; {:?}", self.name, self.inner.try_wait());
        }
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// The pid of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved; the process is ours and not yet waited for.
        let result = unsafe { libc::kill(self.pid() as i32, signal) };
        assert_eq!(
            result,
            0,
            "{}: {}",
            self.name,
            std::io::Error::last_os_error()
        );
    }

    /// Waits until the process ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until(&format!("{} ends", self.name), || {
            status = self.inner.try_wait().expect("our own child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Kills the process and waits until it is gone, but not for ever: a stopped tracer would hold it.
    pub(crate) fn kill(&mut self) {
        let _ = self.inner.kill();
        let deadline = Instant::now() + DEADLINE;
        while !matches!(self.inner.try_wait(), Ok(Some(_)) | Err(_)) {
            if Instant::now() > deadline {
                eprintln!("{} cannot be killed: something holds it", self.name);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The letter of a process's state (R, S, D, T, t, Z), or `X` if there is no such process.
pub(crate) fn state_of(pid: u32) -> char {
    proc_status(pid, "State")
        .and_then(|state| state.chars().next())
        .unwrap_or('X')
}

/// The CPU time that a process has used in its own code, in ticks of 10 ms (field 14 of proc_pid_stat(5)).
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    fields[11].parse().expect("a number")
}

/// A field of `/proc/PID/status`, or `None` if there is no such process or field.
pub(crate) fn proc_status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}

/// The ids of the threads that a process has now.
pub(crate) fn threads_of(pid: u32) -> Vec<u32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
