//! What only Windows does for dumps, which Linux cannot.

use crate::{Error, ErrorKind, Result};
use std::path::Path;

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

pub(crate) fn activate(_application: &str, _arguments: &[String]) -> Result<u32> {
    Err(unsupported("Linux has no Store applications"))
}

pub(crate) fn queue_report(
    _dump: &Path,
    _is_large: bool,
    _application: &str,
    _reason: &str,
) -> Result<()> {
    Err(unsupported("Linux has no Windows Error Reporting"))
}

pub(crate) fn kernel_dump(_threads: &[u32]) -> Result<(Vec<u8>, usize)> {
    Err(unsupported("Linux has no kernel dumps of some threads"))
}
