//! Stored dumps: their records, lists of them, and the limits of their folders.

pub(crate) mod change;
pub(crate) mod content;
pub(crate) mod dump_file;
pub(crate) mod foreign;
pub(crate) mod keep;
pub(crate) mod readers;
pub(crate) mod record;
pub(crate) mod repeats;
