//! Errors of the simulated machine.

use crate::{Error, ErrorKind};

pub(super) fn gone(pid: u32) -> Error {
    let what = format!("there is no process {pid}");
    Error::new(ErrorKind::NoSuchProcess, what)
}

pub(super) fn unsupported(what: &str) -> Error {
    let what = format!("{what} is not simulated");
    Error::new(ErrorKind::Unsupported, what)
}
