//! Postmortem dumps: on Windows they are the system's own (LocalDumps), not yet managed from here.

use crate::{CoreHandler, Error, ErrorKind, Guard, Result, Use};
use snapshot::ProcessKey;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

fn unsupported() -> Error {
    let what = "postmortem dumps are not managed on Windows yet";
    Error::new(ErrorKind::Unsupported, what)
        .advise("Set the values of LocalDumps in the registry by hand.")
}

pub(crate) fn core_handler() -> Result<CoreHandler> {
    Err(unsupported())
}

pub(crate) fn set_core_handler(_handler: &CoreHandler) -> Result<()> {
    Err(unsupported())
}

pub(crate) fn expect_guarded(_path: &Path, _guard: Guard) -> Result<()> {
    Err(unsupported())
}

pub(crate) fn replace_file(_path: &Path, _bytes: &[u8], _usage: Use) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn make_store(_folder: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is none.
#[derive(Debug)]
pub(crate) struct RawCrashed;

impl RawCrashed {
    pub(crate) fn is_there(&self) -> bool {
        false
    }
}

pub(crate) fn identify(_pid: u32, _descriptor: Option<i32>) -> Result<(ProcessKey, RawCrashed)> {
    Err(unsupported())
}

pub(crate) fn is_ourselves(_key: ProcessKey) -> bool {
    false
}

pub(crate) fn become_crash_handler() -> Result<()> {
    Err(unsupported())
}

pub(crate) fn system_log(_text: &str) {}

pub(crate) fn drain_input(_limit: Duration) -> u64 {
    0
}

pub(crate) fn become_program(_program: &Path, _arguments: &[Vec<u8>]) -> Error {
    unsupported()
}

pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}
