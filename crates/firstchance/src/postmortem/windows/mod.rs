//! `firstchance postmortem` on Windows, where the system itself writes the dumps: LocalDumps, the
//! just-in-time debugger (AeDebug) and Windows Error Reporting are set through the registry.

pub(crate) mod aedebug;
mod enable;
mod just_in_time;
pub(crate) mod local_dumps;
mod reporting;
mod status;
mod takeover;

pub(crate) use enable::{disable, enable, make_folder, say_what_came_with_it};
pub(crate) use just_in_time::just_in_time;
pub(crate) use reporting::reporting;
pub(crate) use status::status;
