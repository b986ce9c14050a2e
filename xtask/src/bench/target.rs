//! The target: a process with random memory that measures how long it did not run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::shell::Cmd;

/// A victim in its mode `pause`.
pub(crate) struct Target {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub(crate) ready: String,
}

impl Target {
    /// Starts it and waits until its memory is filled.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(victim: &Path, mebibytes: u64) -> Result<Target> {
        Target::in_mode(victim, &["pause", &mebibytes.to_string()])
    }

    /// Starts a victim in any mode and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn in_mode(victim: &Path, args: &[&str]) -> Result<Target> {
        let mut command = Command::new(victim);
        command.args(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut target = Target {
            child,
            output,
            ready: String::new(),
        };
        target.ready = target.line_after("ready ")?;
        Ok(target)
    }

    /// Ends it by SIGABRT and waits for its end.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub(crate) fn abort(mut self) -> Result<()> {
        Cmd::new("kill -ABRT").arg(self.pid()).read()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends it a line.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("a pipe")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Has it fork. Returns how long that took.
    ///
    /// # Errors
    /// If it does not report that.
    pub(crate) fn fork(&mut self) -> Result<Duration> {
        Cmd::new("kill -USR1").arg(self.pid()).read()?;
        let milliseconds: f64 = self.line_after("fork ")?.parse()?;
        Ok(Duration::try_from_secs_f64(milliseconds / 1e3)?)
    }

    /// Ends it; returns the longest time for which it did not run.
    ///
    /// # Errors
    /// If it does not report that.
    pub(crate) fn end(mut self) -> Result<Duration> {
        Cmd::new("kill -TERM").arg(self.pid()).read()?;
        let gap: f64 = self.line_after("gap ")?.parse()?;
        Ok(Duration::from_secs_f64(gap / 1e3))
    }

    /// Waits for the first line that begins with `start`; returns the rest of that line.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn line_after(&mut self, start: &str) -> Result<String> {
        loop {
            let mut line = String::new();
            let got = self.output.read_line(&mut line)?;
            anyhow::ensure!(got > 0, "the victim has ended");
            if let Some(rest) = line.strip_prefix(start) {
                return Ok(rest.trim().to_owned());
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running program that ends when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits until it has written these words. What it writes later is read and dropped: it would
    /// stand still at a full pipe.
    ///
    /// # Errors
    /// If it ends before.
    pub(crate) fn wait_for(&mut self, words: &str) -> Result<()> {
        let mut output = BufReader::new(self.0.stdout.take().context("a pipe")?);
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            anyhow::ensure!(output.read_line(&mut line)? > 0, "it ended before {words}");
        }
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Errors
/// If there is none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
