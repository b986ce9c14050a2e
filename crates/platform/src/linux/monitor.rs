//! How `firstchance cancel` reaches the monitors: each listens on a Unix socket in the abstract
//! namespace (unix(7)), which needs no folder and vanishes with its owner.

use crate::{Error, ErrorKind, Result, monitor::Shared};
use std::{
    io::{self, BufRead, BufReader, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    time::Duration,
};

const PREFIX: &str = "firstchance/monitor/";
/// How long to wait for one who connects and then says nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The listening socket of a monitor. It is closed when the program ends.
#[derive(Debug)]
pub(crate) struct MonitorListener;

impl MonitorListener {
    /// Begins to listen, in a thread of its own.
    pub(crate) fn open(shared: Shared) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(
                ErrorKind::Other,
                format!("listening for `firstchance cancel` failed: {e}"),
            )
        };
        let listener = address(std::process::id()).and_then(|a| UnixListener::bind_addr(&a));
        let listener = listener.map_err(failed)?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(&stream, &shared);
            }
        });
        Ok(Self)
    }
}

fn address(pid: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("{PREFIX}{pid}"))
}

/// Reads `PID\n` and answers `yes\n` or `no\n`. Only root and the monitor's own user may ask.
fn answer(stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let asker = rustix::net::sockopt::socket_peercred(stream)?.uid;
    if !asker.is_root() && asker != rustix::process::geteuid() {
        return Ok(());
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let pid = line.trim().parse::<u32>().ok();
    let meant = pid.is_some_and(|pid| shared.ask(pid));
    let mut stream = stream;
    stream.write_all(if meant { b"yes\n" } else { b"no\n" })
}

/// Asks every monitor on this machine, and returns how many monitored the process.
pub(crate) fn cancel_monitors(pid: u32) -> Result<u32> {
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let name = |line: &str| {
        let path = line.split_ascii_whitespace().last()?;
        path.strip_prefix('@')?
            .strip_prefix(PREFIX)?
            .parse::<u32>()
            .ok()
    };
    let mut monitors: Vec<u32> = sockets.lines().filter_map(name).collect();
    monitors.sort_unstable();
    monitors.dedup();
    Ok(monitors
        .into_iter()
        .filter(|monitor| ask(*monitor, pid).unwrap_or(false))
        .count() as u32)
}

fn ask(monitor: u32, pid: u32) -> io::Result<bool> {
    let mut stream = UnixStream::connect_addr(&address(monitor)?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{pid}\n").as_bytes())?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply)?;
    Ok(reply.trim() == "yes")
}
