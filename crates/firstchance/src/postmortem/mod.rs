//! What crashes on this machine leaves a dump: settings, registration, and the program that the
//! kernel calls.

mod forward;
mod handler;
mod install;
mod repeats;
mod settings;
mod status;

pub(crate) use handler::{HandlerArgs, handle};
pub(crate) use install::{EnableArgs, apply, disable, enable};
pub(crate) use repeats::Repeats;
pub(crate) use settings::{Settings, ValueArgs, Values};
pub(crate) use status::status;
