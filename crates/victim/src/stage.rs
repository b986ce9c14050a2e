//! Where a mode performs: its arguments, its counters, and the lines between it and the test.

use std::error::Error;
use std::fmt::Display;
use std::io::{BufRead as _, Write as _};
use std::str::FromStr;

use victim::State;

/// How a mode ends, if it does.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// What every mode is given.
pub(crate) struct Stage {
    args: Vec<String>,
    /// Its counters; in the file that the variable `VICTIM_STATE` names, if any.
    pub(crate) state: State,
}

impl Stage {
    /// Sees to it that the victim does not outlive the test.
    pub(crate) fn new(args: &[String]) -> Result<Stage, Box<dyn Error>> {
        die_with_parent();
        let state = match std::env::var_os("VICTIM_STATE") {
            Some(path) => State::open(path.as_ref())?,
            None => State::private(),
        };
        Ok(Stage {
            args: args.to_vec(),
            state,
        })
    }

    /// The argument at `at`, or `default`.
    pub(crate) fn arg<T: FromStr>(&self, at: usize, default: T) -> Result<T, Box<dyn Error>> {
        match self.args.get(at) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| format!("argument {text:?} is wrong").into()),
        }
    }

    /// The argument at `at`.
    #[cfg(target_os = "linux")]
    pub(crate) fn text(&self, at: usize) -> Result<&str, Box<dyn Error>> {
        let arg = self.args.get(at).map(String::as_str);
        arg.ok_or_else(|| format!("argument {} is missing", at + 1).into())
    }

    /// Tells the test something.
    pub(crate) fn fact(&self, name: &str, value: impl Display) {
        say(format_args!("fact {name} {value}"));
    }

    /// Tells the test an address.
    pub(crate) fn address(&self, name: &str, address: u64) {
        self.fact(name, format_args!("{address:#x}"));
    }

    /// Tells the test that all is set up.
    pub(crate) fn ready(&self) {
        say(format_args!("ready {}", std::process::id()));
    }

    /// Ready; then answers each line of input with `pong`, after `work`, for ever.
    pub(crate) fn serve(&self, mut work: impl FnMut(&str)) -> Outcome {
        self.fact("listens", "yes");
        self.ready();
        for line in std::io::stdin().lock().lines() {
            work(&line?);
            say(format_args!("pong"));
        }
        rest()
    }

    /// Ready; then waits for one line of input.
    pub(crate) fn ready_until_input(&self) -> Outcome {
        self.ready();
        std::io::stdin().lock().read_line(&mut String::new())?;
        Ok(())
    }
}

/// One line to the test, at once.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    // Nobody may be there to hear it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Does nothing, for ever.
pub(crate) fn rest() -> ! {
    loop {
        std::thread::park();
    }
}

/// A test that is killed takes its victims with it.
#[cfg(target_os = "linux")]
pub(crate) fn die_with_parent() {
    // SAFETY: sets a property of this process; no memory is involved. Any process of the same user
    // may trace it, whatever Yama says: that is what victims are for.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_parent() {}
