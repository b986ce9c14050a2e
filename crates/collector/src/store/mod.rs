//! What a dump says of itself, and what stays of old dumps.

pub(crate) mod foreign;
pub(crate) mod keep;
pub(crate) mod readers;
pub(crate) mod record;
pub(crate) mod repeats;
