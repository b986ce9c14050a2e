//! What a mode is given to work with: its arguments, its counters, and the lines of text between it
//! and the test.

use std::error::Error;
use std::fmt::Display;
use std::io::{BufRead as _, Write as _};
use std::str::FromStr;

use victim::State;

/// What a mode returns if it ends: an error makes the victim exit with code 1.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// The arguments and counters of a mode, and its way to talk to the test.
pub(crate) struct Harness {
    args: Vec<String>,
    /// Its counters, in the file that the variable `VICTIM_STATE` names; private to this process if
    /// the variable is not set.
    pub(crate) state: State,
}

impl Harness {
    /// Opens the counters, and has the kernel kill this process when the test ends.
    ///
    /// # Errors
    /// If the file of counters cannot be made or mapped.
    pub(crate) fn new(args: &[String]) -> Result<Harness, Box<dyn Error>> {
        die_with_parent();
        let state = match std::env::var_os("VICTIM_STATE") {
            Some(path) => State::open(path.as_ref())?,
            None => State::private(),
        };
        Ok(Harness {
            args: args.to_vec(),
            state,
        })
    }

    /// Parses the argument at index `at`; `default` if there is none.
    ///
    /// # Errors
    /// If the argument cannot be parsed.
    pub(crate) fn arg<T: FromStr>(&self, at: usize, default: T) -> Result<T, Box<dyn Error>> {
        match self.args.get(at) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| format!("argument {text:?} is wrong").into()),
        }
    }

    /// Returns the argument at index `at`.
    ///
    /// # Errors
    /// If there is none.
    #[cfg(target_os = "linux")]
    pub(crate) fn text(&self, at: usize) -> Result<&str, Box<dyn Error>> {
        let arg = self.args.get(at).map(String::as_str);
        arg.ok_or_else(|| format!("argument {} is missing", at + 1).into())
    }

    /// Tells the test a value: `fact NAME VALUE`.
    pub(crate) fn fact(&self, name: &str, value: impl Display) {
        say(format_args!("fact {name} {value}"));
    }

    /// Tells the test an address, in hexadecimal.
    pub(crate) fn address(&self, name: &str, address: u64) {
        self.fact(name, format_args!("{address:#x}"));
    }

    /// Tells the test that everything is set up: `ready PID`.
    pub(crate) fn ready(&self) {
        say(format_args!("ready {}", std::process::id()));
    }

    /// Says that it is ready, then calls `work` for each line of input and answers it with `pong`.
    /// Does not return when the input ends.
    pub(crate) fn serve(&self, mut work: impl FnMut(&str)) -> Outcome {
        self.fact("listens", "yes");
        self.ready();
        for line in std::io::stdin().lock().lines() {
            work(&line?);
            say(format_args!("pong"));
        }
        rest()
    }

    /// Says that it is ready, and returns when a line of input came or the input ended.
    pub(crate) fn ready_until_input(&self) -> Outcome {
        self.ready();
        std::io::stdin().lock().read_line(&mut String::new())?;
        Ok(())
    }
}

/// Writes one line to standard output and flushes it.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    // The test may have closed its end of the pipe.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Sleeps for ever.
pub(crate) fn rest() -> ! {
    loop {
        std::thread::park();
    }
}

/// Has the kernel kill this process when its parent ends, so that a test that is killed leaves no
/// victim behind (prctl(2), `PR_SET_PDEATHSIG`).
#[cfg(target_os = "linux")]
pub(crate) fn die_with_parent() {
    // SAFETY: both calls take plain numbers and change properties of this process only. Any process
    // of the same user may trace a victim, even where Yama restricts tracing.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_parent() {}
