//! The log of the system: a socket that a daemon listens at (syslog(3)).

use crate::{Error, Result};
use std::{io, os::unix::net::UnixDatagram};

/// Where the daemon listens.
const DOOR: &str = "/dev/log";
/// Facility "user" and severity "debug" (RFC 3164, section 4.1.1).
const USER_DEBUG: u32 = 1 << 3 | 7;

/// A socket that is connected to the daemon.
#[derive(Debug)]
pub(crate) struct RawSyslog(UnixDatagram);

impl RawSyslog {
    /// See [`Syslog::open`](crate::Syslog::open).
    pub(crate) fn open() -> Result<Self> {
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(DOOR)?;
            // A daemon that hangs must not hold us.
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let failed = |e: io::Error| Error::of_file(&format!("opening the system log {DOOR}"), &e);
        connect().map(Self).map_err(failed)
    }

    /// See [`Syslog::debug`](crate::Syslog::debug).
    pub(crate) fn debug(&self, text: &str) -> io::Result<()> {
        let pid = std::process::id();
        let line = format!("<{USER_DEBUG}>procdump[{pid}]: {text}");
        self.0.send(line.as_bytes()).map(drop)
    }
}
