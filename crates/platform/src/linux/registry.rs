//! The registry of Windows, which Linux does not have: every function fails.

use crate::{Error, ErrorKind, RegistryValue, RegistryValues, Result};

fn unsupported(path: &str) -> Error {
    let what = format!("there is no {path}: Linux has no registry");
    Error::new(ErrorKind::Unsupported, what)
}

pub(crate) fn values(path: &str) -> Result<Option<RegistryValues>> {
    Err(unsupported(path))
}

pub(crate) fn keys(path: &str) -> Result<Vec<String>> {
    Err(unsupported(path))
}

pub(crate) fn make(path: &str) -> Result<()> {
    Err(unsupported(path))
}

pub(crate) fn set(path: &str, _name: &str, _value: &RegistryValue) -> Result<()> {
    Err(unsupported(path))
}

pub(crate) fn unset(path: &str, _name: &str) -> Result<()> {
    Err(unsupported(path))
}

pub(crate) fn remove(path: &str) -> Result<()> {
    Err(unsupported(path))
}
