//! What crashes on this machine leaves a dump: settings, registration, and the program that the
//! kernel calls.

mod aedebug;
mod case;
mod forward;
mod handler;
mod install;
mod just_in_time;
mod local_dumps;
mod lost;
mod procdump;
mod repeats;
mod settings;
mod status;
mod takeover;
mod turn;
mod variables;
mod windows;

pub(crate) use handler::{HandlerArgs, handle};
pub(crate) use install::{EnableArgs, apply, disable, enable};
pub(crate) use just_in_time::just_in_time;
pub(crate) use local_dumps::is_windows;
pub(crate) use procdump::{install, uninstall};
use repeats::Repeats;
pub(crate) use settings::{Settings, ValueArgs, Values};
pub(crate) use status::status;
pub(crate) use variables::expand;
pub(crate) use windows::{make_folder, reporting, say_what_came_with_it};
