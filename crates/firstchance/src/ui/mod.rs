//! What every front end needs of the terminal: text and tables, exit codes, lines that never wait
//! for their reader, the debug log, and how values of options are written.
//!
//! The front ends use this module; it uses none of them.

pub(crate) mod console;
mod debug_log;
pub(crate) mod exit;
mod line_writer;
mod reporter;
mod typed;
pub(crate) mod values;
mod wording;

pub(crate) use debug_log::{LogArgs, TraceTo, trace};
pub(crate) use line_writer::LineWriter;
pub(crate) use reporter::{Output, Reporter};
pub(crate) use typed::{command_line, procdump_line};
pub(crate) use wording::{Weight, Wording};
