//! Windows has no log that takes plain lines.

use crate::{Error, ErrorKind, Result};

/// Never made.
#[derive(Debug)]
pub(crate) enum RawSyslog {}

impl RawSyslog {
    /// See [`Syslog::open`](crate::Syslog::open).
    pub(crate) fn open() -> Result<Self> {
        Err(Error::new(ErrorKind::Unsupported, "Windows has no syslog"))
    }

    /// See [`Syslog::debug`](crate::Syslog::debug).
    pub(crate) fn debug(&self, _text: &str) -> std::io::Result<()> {
        match *self {}
    }
}
