//! Running other programs, and the folders of the workspace.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Cargo's folder for everything that is built.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Whether this runs on a CI server.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false")
}

/// A command that runs in the workspace's folder and also finds the tools under `target/tools`.
pub(crate) struct Cmd {
    inner: Command,
    shown: String,
}

impl Cmd {
    /// A command by a line, which is split at blanks: the program and its first arguments.
    pub(crate) fn new(line: &str) -> Cmd {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a program");
        words.fold(Cmd::of(program), |command, word| command.arg(word))
    }

    /// A command by the path of its program, which may contain blanks.
    pub(crate) fn of(program: impl AsRef<OsStr>) -> Cmd {
        let mut inner = Command::new(program.as_ref());
        inner.current_dir(root()).env("PATH", search_path());
        Cmd {
            inner,
            shown: program.as_ref().to_string_lossy().into_owned(),
        }
    }

    /// A command of the cargo that runs this program.
    pub(crate) fn cargo(line: &str) -> Cmd {
        Cmd::new(&format!("cargo {line}"))
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Cmd {
        self.inner.arg(arg.as_ref());
        self.shown = format!("{} {}", self.shown, arg.as_ref().to_string_lossy());
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Cmd {
        self.inner.env(name, value);
        self
    }

    /// Removes a variable of the environment.
    pub(crate) fn env_remove(mut self, name: &str) -> Cmd {
        self.inner.env_remove(name);
        self
    }

    /// Runs it; shows the command and all its output.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {}", self.shown);
        let status = self.inner.stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start `{}`", self.shown))?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown);
        }
        Ok(())
    }

    /// Runs it. Shows its output only if it fails, otherwise only the lines that begin with
    /// `shown`. For programs that print thousands of lines.
    ///
    /// # Errors
    /// As [`Cmd::run`]; contains the last lines of its standard error.
    pub(crate) fn run_quietly(mut self, shown: &str) -> Result<()> {
        println!("$ {}", self.shown);
        let output = self.inner.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start `{}`", self.shown))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let last: Vec<&str> = said.lines().rev().take(60).collect();
            last.iter().rev().for_each(|line| println!("{line}"));
            bail!("`{}` failed: {}", self.shown, output.status);
        }
        let kept = said.lines().filter(|line| line.starts_with(shown));
        kept.for_each(|line| println!("{line}"));
        Ok(())
    }

    /// Runs it without showing anything.
    ///
    /// # Errors
    /// As [`Cmd::run`]; contains its standard error.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.inner.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start `{}`", self.shown))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed: {}\n{said}", self.shown, output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts it and waits for the first line that begins with `start`. Its input stays open.
    ///
    /// # Errors
    /// If it cannot be started, or ends without such a line.
    pub(crate) fn start_until(mut self, start: &str) -> Result<Started> {
        let piped = self.inner.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = piped.stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start `{}`", self.shown))?;
        let mut started = Started(child);
        let output = started.0.stdout.take().expect("piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        if !lines.any(|line| line.starts_with(start)) {
            bail!("`{}` did not say `{start}`", self.shown);
        }
        Ok(started)
    }

    /// Runs it without showing anything; returns whether it succeeded.
    pub(crate) fn succeeds(mut self) -> bool {
        self.inner
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.inner.status().is_ok_and(|s| s.success())
    }
}

/// A running program; it is killed when this is dropped.
pub(crate) struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder of the tools that are installed for this workspace.
pub(crate) fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// The path of `program` by the search path; `None` if it is not there.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = search_path();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| file.is_file())
}

/// The search path: first the workspace's own tools, last the folders of system programs, which are
/// not on every user's path.
fn search_path() -> std::ffi::OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let ours = std::iter::once(tools_dir().join("bin"));
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let all = ours.chain(std::env::split_paths(&old)).chain(system);
    std::env::join_paths(all).unwrap_or(old)
}
