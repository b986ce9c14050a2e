//! The kernel's core handler (core(5)): its setting, the process that crashed, and what the
//! handler's own process needs.

use super::{
    proc::{ProcDir, machine, status},
    sys::{handler, wake},
};
use crate::{CoreHandler, Error, ErrorKind, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{AtFlags, Mode, OFlags, statat},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use snapshot::ProcessKey;
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) use super::guarded_files::{expect_guarded, make_passage, make_store, replace_file};
pub(crate) use super::storage::expect_storage;

const PATTERN: &str = "/proc/sys/kernel/core_pattern";
const AT_ONCE: &str = "/proc/sys/kernel/core_pipe_limit";

/// See [`crate::core_handler`].
pub(crate) fn core_handler() -> Result<CoreHandler> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|e| Error::of_file(&format!("reading {path}"), &e))
    };
    Ok(CoreHandler {
        pattern: read(PATTERN)?.trim_end_matches('\n').to_owned(),
        at_once: read(AT_ONCE)?.trim().parse().unwrap_or(0),
    })
}

/// Sets what is to be changed, the limit first: without it the kernel does not wait for the program. So a limit of 0 comes
/// last.
pub(crate) fn set_core_handler(handler: &CoreHandler) -> Result<()> {
    let now = core_handler()?;
    let limit = (
        AT_ONCE,
        handler.at_once.to_string(),
        now.at_once != handler.at_once,
    );
    let pattern = (
        PATTERN,
        handler.pattern.clone(),
        now.pattern != handler.pattern,
    );
    let both = match handler.at_once {
        0 => [pattern, limit],
        _ => [limit, pattern],
    };
    for (path, text, _) in both.into_iter().filter(|(_, _, is_new)| *is_new) {
        fs::write(path, text).map_err(|e| {
            let kind = match e.kind() {
                io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
                _ => ErrorKind::Other,
            };
            Error::new(kind, format!("writing {path} failed: {e}"))
                .advise("Only root of the machine itself, not of a container, may do that.")
        })?;
    }
    Ok(())
}

/// The crashed process by its pidfd, which never stands for another process.
#[derive(Debug)]
pub(crate) struct RawCrashed {
    pidfd: OwnedFd,
}

impl RawCrashed {
    /// Returns whether the process still exists. A process whose core is being written has not
    /// ended.
    pub(crate) fn is_there(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    /// Returns a second handle of the same process.
    pub(crate) fn share(&self) -> io::Result<Self> {
        Ok(Self {
            pidfd: self.pidfd.try_clone()?,
        })
    }
}

/// See [`Crashed::identify`](crate::Crashed::identify).
pub(crate) fn identify(pid: u32, descriptor: Option<i32>) -> Result<(ProcessKey, RawCrashed)> {
    let gone = || {
        let what = format!("process {pid} ended before it could be looked at");
        Error::new(ErrorKind::TargetDied, what)
    };
    let pidfd = match descriptor {
        Some(number) => given_pidfd(pid, number)?,
        None => {
            let pid = Pid::from_raw(pid as i32).ok_or_else(gone)?;
            pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?
        }
    };
    let crashed = RawCrashed { pidfd };
    let proc = ProcDir::open_pid(pid)?;
    let key = proc.key;
    if descriptor.is_none() && !writes_core(&proc) {
        return Err(gone());
    }
    // Checked last: if it still exists now, the folder that was opened above is that of this
    // process.
    if !crashed.is_there() || described_pid(crashed.pidfd.as_fd()) != Some(i64::from(pid)) {
        return Err(gone());
    }
    Ok((key, crashed))
}

/// Returns whether the kernel is writing the core of this process, which it tells since Linux 4.15.
/// A pid alone may belong to another process by now.
fn writes_core(proc: &ProcDir) -> bool {
    let status = proc.read("status").unwrap_or_default();
    status::field(&status, "CoreDumping") != Some("0")
}

/// Takes the pidfd that the kernel gave us under this number, after checking that it stands for
/// this process.
fn given_pidfd(pid: u32, number: i32) -> Result<OwnedFd> {
    let refuse = |why: &str| {
        let what = format!("descriptor {number} {why}");
        Error::new(ErrorKind::NotPermitted, what)
    };
    match pid_of_descriptor(number) {
        Some(described) if described == i64::from(pid) => {
            handler::take_descriptor(number).ok_or_else(|| refuse("cannot be had"))
        }
        Some(-1) => Err(Error::new(
            ErrorKind::TargetDied,
            format!("process {pid} ended before it could be looked at"),
        )),
        _ => Err(refuse(&format!("does not stand for process {pid}"))),
    }
}

/// Returns the pid that a pidfd stands for: -1 if that process is gone.
fn described_pid(pidfd: impl AsFd) -> Option<i64> {
    use std::os::fd::AsRawFd as _;
    pid_of_descriptor(pidfd.as_fd().as_raw_fd())
}

/// As [`described_pid`], by the number of a descriptor: `None` also if that is no pidfd.
fn pid_of_descriptor(number: i32) -> Option<i64> {
    let text = fs::read(format!("/proc/self/fdinfo/{number}")).ok()?;
    status::field(&text, "Pid")?.parse().ok()
}

/// See [`Crashed::is_ourselves`](crate::Crashed::is_ourselves).
pub(crate) fn is_ourselves(key: ProcessKey) -> bool {
    let own = fs::metadata("/proc/self/exe");
    let theirs = fs::metadata(format!("/proc/{}/exe", key.pid));
    match (own, theirs) {
        (Ok(own), Ok(theirs)) => (own.dev(), own.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}

/// See [`Crashed::only_ids`](crate::Crashed::only_ids).
pub(crate) fn only_ids(key: ProcessKey) -> Option<(u32, u32)> {
    let proc = ProcDir::open(key).ok()?;
    let text = proc.read("status").ok()?;
    let may_nothing_more = ["CapPrm", "CapEff"]
        .iter()
        .all(|set| status::mask(&text, set) == Some(0));
    let ids = status::only_id(&text, "Uid").zip(status::only_id(&text, "Gid"));
    ids.filter(|ids| may_nothing_more && may_read_program(&proc, *ids))
}

/// Returns whether these ids may read the program. The kernel checks that for whoever started the
/// program, which may have been root on its way to being a user (setpriv, a service manager).
fn may_read_program(proc: &ProcDir, (uid, gid): (u32, u32)) -> bool {
    let found = statat(proc.fd(), "exe", AtFlags::empty());
    found.is_ok_and(|found| {
        let bit = match (found.st_uid == uid, found.st_gid == gid) {
            (true, _) => 0o400,
            (_, true) => 0o040,
            _ => 0o004,
        };
        found.st_mode & bit != 0
    })
}

pub(crate) fn own_user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// See [`crate::responsible_user`].
pub(crate) fn responsible_user(uid: u32) -> u32 {
    let lent = fs::read_to_string("/etc/subuid").unwrap_or_default();
    lender(&lent, &machine::users(), uid).unwrap_or(uid)
}

/// The user in the lines of subuid(5), `NAME:FIRST:COUNT`, who has lent this number.
fn lender(lent: &str, users: &HashMap<u32, String>, uid: u32) -> Option<u32> {
    let holder = lent.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (holder, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let skip = uid.checked_sub(first.parse().ok()?)?;
        (skip < count.trim().parse().ok()?).then_some(holder)
    })?;
    let by_name = || {
        users
            .iter()
            .find(|(_, name)| *name == holder)
            .map(|(uid, _)| *uid)
    };
    holder.parse().ok().or_else(by_name)
}

/// See [`crate::become_crash_handler`].
pub(crate) fn become_crash_handler() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        let what = "only the kernel calls the crash handler, as root";
        return Err(Error::new(ErrorKind::NotPermitted, what));
    }
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let failed = |e: io::Error| Error::of_file("preparing the crash handler", &e);
    handler::leave_no_core().map_err(failed)?;
    std::env::set_current_dir("/").map_err(failed)?;
    // With a larger pipe there are fewer switches between the kernel's writer and us.
    let _ = rustix::pipe::fcntl_setpipe_size(io::stdin(), 1 << 20);
    Ok(())
}

/// Writes to the kernel's log, where the kernel's own messages about cores are.
pub(crate) fn system_log(text: &str) {
    write_log(3, text);
}

/// See [`crate::system_note`].
pub(crate) fn system_note(text: &str) {
    write_log(6, text);
}

fn write_log(level: u32, text: &str) {
    let line = format!("<{level}>firstchance: {text}\n");
    let log = fs::OpenOptions::new().write(true).open("/dev/kmsg");
    let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
}

/// Reads the kernel's log. Each read returns one message, `6,339,5140900,-;text`, and lines with
/// facts about it (Documentation/ABI/testing/dev-kmsg).
pub(crate) fn kernel_log() -> io::Result<Vec<String>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let log = rustix::fs::open("/dev/kmsg", flags, Mode::empty())?;
    let mut lines = Vec::new();
    let mut message = [0; 8 << 10];
    loop {
        let got = match rustix::io::read(&log, &mut message) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(lines),
            Ok(got) => got,
            // EPIPE: messages were overwritten while we read.
            Err(Errno::PIPE | Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&message[..got]);
        let line = text.lines().next().and_then(|line| line.split_once(';'));
        lines.extend(line.map(|(_, text)| text.to_owned()));
    }
}

/// Reads from standard input, without a buffer in between.
pub(crate) fn read_input(buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(io::stdin(), buf)?)
}

/// Waits until standard input can be read or has ended; returns false if that did not happen in time.
pub(crate) fn wait_for_input(limit: Duration) -> bool {
    wake::wait_for(io::stdin().as_fd(), limit).unwrap_or(false)
}

/// Moves the input to `/dev/null` by splice(2), which copies nothing to us.
pub(crate) fn drain_input(limit: Duration) -> u64 {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let Ok(nowhere) = rustix::fs::open("/dev/null", flags, Mode::empty()) else {
        return 0;
    };
    let start = Instant::now();
    let mut drained = 0;
    while wait_for_input(limit.saturating_sub(start.elapsed())) {
        let flags = rustix::pipe::SpliceFlags::empty();
        match rustix::pipe::splice(io::stdin(), None, &nowhere, None, 1 << 20, flags) {
            Ok(0) | Err(_) => break,
            Ok(count) => drained += count as u64,
        }
    }
    drained
}

/// Calls execve(2), and returns only if it fails.
pub(crate) fn become_program(program: &Path, arguments: &[Vec<u8>]) -> Error {
    let mut command = std::process::Command::new(program);
    command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument)));
    let error = command.exec();
    let what = format!("starting {} failed: {error}", program.display());
    Error::new(ErrorKind::Other, what)
}

/// Returns a path by which our own program can be read, even if it was renamed or deleted.
pub(crate) fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}
