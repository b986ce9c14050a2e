//! Lines for the log of the system (syslog).

use crate::{Result, os};

/// The log of the system, where a daemon keeps it.
#[derive(Debug)]
pub struct Syslog(os::syslog::RawSyslog);

impl Syslog {
    /// Opens the log.
    ///
    /// # Errors
    /// If no daemon takes lines, or on Windows.
    pub fn open() -> Result<Self> {
        os::syslog::RawSyslog::open().map(Self)
    }

    /// Hands over a line that only matters for tracing.
    pub fn debug(&self, text: &str) -> std::io::Result<()> {
        self.0.debug(text)
    }
}
