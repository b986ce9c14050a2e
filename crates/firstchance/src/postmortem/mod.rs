//! What crashes on this machine leaves a dump: settings, registration, and the program that the
//! kernel calls.

mod case;
mod forward;
mod handler;
mod handler_slots;
mod install;
mod lost;
mod procdump;
mod repeats;
mod settings;
mod status;
mod windows;

pub(crate) use handler::{HandlerArgs, handle};
pub(crate) use install::{EnableArgs, apply, disable, enable};
pub(crate) use procdump::{install, uninstall};
use repeats::Repeats;
pub(crate) use settings::{Settings, ValueArgs, Values};
pub(crate) use status::status;
pub(crate) use windows::{
    is_windows, just_in_time, make_folder, reporting, say_what_came_with_it, variables::expand,
};
