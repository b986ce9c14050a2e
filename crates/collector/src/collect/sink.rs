//! What dumps are written to.

use platform::{OutFile, OutStream};
use std::sync::{Arc, Mutex};

/// What a dump is written to.
#[derive(Clone)]
pub(crate) enum Sink {
    /// A file, which can be written in any order.
    File(Arc<OutFile>),
    /// Standard output, which is written from begin to end.
    Stream(Arc<Mutex<OutStream>>),
}
