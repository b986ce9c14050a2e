//! What only Windows does for dumps, which Linux cannot.

use crate::{Error, ErrorKind, Result};

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

pub(crate) fn kernel_dump(_threads: &[u32]) -> Result<(Vec<u8>, usize)> {
    Err(unsupported("Linux has no kernel dumps of some threads"))
}
