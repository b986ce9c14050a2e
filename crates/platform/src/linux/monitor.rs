//! How `firstchance cancel` reaches the monitors: each listens on a Unix socket (unix(7)) in a folder of its user's, which
//! nobody else can write to. A name in the abstract namespace could be taken by anybody before us.

use super::monitor_folder;
use crate::{Error, ErrorKind, Result, monitor::Shared};
use rustix::net::sockopt::socket_peercred;
use std::{
    fs, io,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::MetadataExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// How long to wait for one who connects and then says nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many bytes a question or an answer may have.
const LONGEST_LINE: u64 = 32;

/// The listening socket of a monitor. Its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct MonitorListener(PathBuf);

impl MonitorListener {
    /// Begins to listen, in a thread of its own.
    ///
    /// # Errors
    /// If there is no folder for it that belongs to us alone.
    pub(crate) fn open(shared: Shared) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(
                ErrorKind::Other,
                format!("listening for `firstchance cancel` failed: {e}"),
            )
        };
        let folder = monitor_folder::make().map_err(failed)?;
        let path = folder.join(std::process::id().to_string());
        // Left by one that was killed and had our pid.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(&stream, &shared);
            }
        });
        Ok(Self(path))
    }
}

impl Drop for MonitorListener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads `PID\n` and answers `yes\n` or `no\n`. Only root and the monitor's own user may ask.
fn answer(stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    let asker = socket_peercred(stream)?.uid;
    if !asker.is_root() && asker != rustix::process::geteuid() {
        return Ok(());
    }
    let pid = line(stream)?.parse::<u32>().ok();
    let meant = pid.is_some_and(|pid| shared.ask(pid));
    say(stream, if meant { "yes" } else { "no" })
}

/// Asks every monitor of ours, and as root every monitor on this machine. Returns how many monitored the process.
pub(crate) fn cancel_monitors(pid: u32) -> Result<u32> {
    let folders = monitor_folder::all();
    let monitors = folders
        .iter()
        .flat_map(|(folder, user)| sockets(folder).map(|path| (path, *user)));
    let asked = monitors.filter(|(path, user)| ask(path, *user, pid).unwrap_or(false));
    Ok(asked.count() as u32)
}

/// The sockets of a folder: files that are named by a pid.
fn sockets(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_pid = |name: &str| name.parse::<u32>().is_ok();
    files
        .filter(move |file| file.file_name().to_str().is_some_and(is_pid))
        .map(|file| file.path())
}

/// Asks one monitor, which has to be a program of the folder's user. What he says is believed only of a process that he
/// may monitor: his own, or any if he is root.
fn ask(monitor: &Path, user: u32, pid: u32) -> io::Result<bool> {
    let stream = match UnixStream::connect(monitor) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Left by a monitor that was killed. In the folder of another user, the path may lead anywhere by now.
            if user == rustix::process::geteuid().as_raw() {
                fs::remove_file(monitor)?;
            }
            return Ok(false);
        }
        other => other?,
    };
    let owner = fs::metadata(format!("/proc/{pid}")).map(|found| found.uid());
    let is_credible = user == 0 || owner.is_ok_and(|owner| owner == user);
    if socket_peercred(&stream)?.uid.as_raw() != user || !is_credible {
        return Ok(false);
    }
    say(&stream, &pid.to_string())?;
    Ok(line(&stream)? == "yes")
}

fn say(mut stream: &UnixStream, word: &str) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{word}\n").as_bytes())
}

/// Reads a line, without its end.
fn line(stream: &UnixStream) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
