//! Go: functions, lines and sizes of frames by the table that every program carries (`runtime.pclntab`), and where its variables are.

mod line_table;
mod module;
mod step;

pub(crate) use module::{Module, Parts, Place, search_in};
pub(crate) use step::{is_switch, step};

#[cfg(test)]
mod tests;
