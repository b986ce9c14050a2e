//! Starting a program that waits before its first instruction until we are ready: the child of
//! fork(2) waits for a byte before it calls execve(2).

use super::{lent_terminal::LentTerminal, signals::restore_inherited};
use std::{
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command},
    thread::JoinHandle,
};

/// A child that has its pid and waits before execve(2).
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The pid of the child, which is also its process group.
    pub(crate) pid: u32,
    go: PipeWriter,
    spawned: JoinHandle<io::Result<Child>>,
}

/// Forks a child that waits before execve(2).
///
/// # Errors
/// If the child cannot be forked.
pub(crate) fn launch(mut command: Command) -> io::Result<Waiting> {
    let (mut pid_reader, pid_writer) = io::pipe()?;
    let (go_reader, go) = io::pipe()?;
    let closure = hold(
        Pipes {
            pid: pid_writer.as_raw_fd(),
            go: go_reader.as_raw_fd(),
            our_end: go.as_raw_fd(),
        },
        LentTerminal::is_there(),
    );
    // SAFETY: between fork and exec the closure only makes calls that are async-signal-safe
    // (getpid, setpgid, setsid, write, close, read, and those for signals; signal-safety(7)), on descriptors that stay open until the
    // thread below ends.
    unsafe { command.pre_exec(closure) };
    let spawned = std::thread::spawn(move || spawn(command, pid_writer, go_reader));
    let mut pid = [0; 4];
    match pid_reader.read_exact(&mut pid) {
        Ok(()) => Ok(Waiting {
            pid: u32::from_ne_bytes(pid),
            go,
            spawned,
        }),
        Err(error) => match spawned.join() {
            Ok(Err(reason)) => Err(reason),
            _ => Err(error),
        },
    }
}

/// Fails where execve(2) would find no such program, or might not run it. This is looked at before a child is made: who
/// follows it might wait for the end of the child that failed, which the standard library takes for impossible.
pub(crate) fn expect_executable(program: &Path) -> io::Result<()> {
    let is_path = program.as_os_str().as_encoded_bytes().contains(&b'/');
    let folders = std::env::var_os("PATH").filter(|_| !is_path);
    let Some(folders) = folders else {
        return if is_path {
            is_executable(program)
        } else {
            Ok(())
        };
    };
    let mut result = Err(io::Error::from_raw_os_error(libc::ENOENT));
    for folder in std::env::split_paths(&folders) {
        match is_executable(&folder.join(program)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => result = Err(error),
            Ok(()) => return Ok(()),
        }
    }
    result
}

fn is_executable(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path)?.is_dir() {
        true => Err(io::Error::from_raw_os_error(libc::EACCES)),
        false => Ok(rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?),
    }
}

/// Has a program find signals as we did.
pub(crate) fn with_inherited_signals(command: &mut Command) {
    let restore = || {
        restore_inherited();
        Ok(())
    };
    // SAFETY: it only makes calls that are safe between fork and exec.
    unsafe { command.pre_exec(restore) };
}

/// Starts the child and closes its ends of the pipes in this process; returns after execve(2).
fn spawn(mut command: Command, pid: PipeWriter, go: PipeReader) -> io::Result<Child> {
    let child = command.spawn();
    drop((pid, go));
    child
}

/// Descriptors that the child inherits.
struct Pipes {
    pid: i32,
    go: i32,
    our_end: i32,
}

/// Returns what the child does before execve(2): it makes a process group of its own, so that Ctrl-C in our terminal
/// is not for it, tells its pid and waits for a byte. If we are killed, the read ends and the program starts all the
/// same.
///
/// Without a terminal it makes a session of its own: when the parent of a group of the same session ends, the kernel sends
/// SIGHUP to the group if it is stopped (setpgid(2)), and a program that somebody had stopped died when we were killed.
fn hold(pipes: Pipes, has_terminal: bool) -> impl FnMut() -> io::Result<()> {
    move || {
        let pid = std::process::id().to_ne_bytes();
        let mut byte = 0u8;
        // SAFETY: the descriptors were inherited and are open in the child; the buffers are live
        // locals of the length that is passed.
        unsafe {
            match has_terminal {
                true => libc::setpgid(0, 0),
                false => libc::setsid(),
            };
            unless_interrupted(|| libc::write(pipes.pid, pid.as_ptr().cast(), pid.len()));
            // The inherited copy of our end would keep the pipe open when we are gone.
            libc::close(pipes.our_end);
            // A signal must not let the program begin before the watch stands.
            unless_interrupted(|| libc::read(pipes.go, (&raw mut byte).cast(), 1));
        }
        restore_inherited();
        Ok(())
    }
}

/// Repeats a system call as long as a signal interrupts it. Safe between fork(2) and execve(2): it does not allocate.
fn unless_interrupted(mut call: impl FnMut() -> isize) {
    while call() < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {}
}

impl Waiting {
    /// Lets the child call execve(2).
    pub(crate) fn go(&mut self) -> io::Result<()> {
        self.go.write_all(&[1])
    }

    /// Returns whether execve(2) has succeeded or failed by now.
    pub(crate) fn is_decided(&self) -> bool {
        self.spawned.is_finished()
    }

    /// Waits for the result of execve(2) and returns the running program.
    ///
    /// # Errors
    /// If it could not be executed.
    pub(crate) fn child(self) -> io::Result<Child> {
        self.spawned
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("starting it failed")))
    }
}
