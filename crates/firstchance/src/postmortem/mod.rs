//! Dumps of every crash on this machine.
//!
//! Settings (`settings`, `values`, kept by `settings_file`) mean rules (`lower`). `install` registers
//! firstchance with the kernel, which then starts it for each crash (`supervisor`, whose worker is `handler`): the rule about the
//! crashed program says what is dumped, and `case` stores it. On Windows the system does this itself
//! (`windows`).

mod before;
mod call;
mod case;
mod changes;
mod enable_args;
mod forward;
mod handler;
mod handler_slots;
mod install;
mod lost;
mod lower;
mod past_folders;
mod procdump;
mod repeats;
mod settings;
mod settings_file;
mod status;
mod supervisor;
mod values;
mod variables;
mod windows;

pub(crate) use enable_args::EnableArgs;
pub(crate) use handler::{HandlerArgs, work};
pub(crate) use install::{apply, disable, enable, expect_root};
pub(crate) use lower::CrashRule;
pub(crate) use past_folders::all_folders;
pub(crate) use procdump::{install, uninstall};
pub(crate) use settings::Settings;
pub(crate) use status::status;
pub(crate) use supervisor::handle;
pub(crate) use values::{ValueArgs, Values};
pub(crate) use variables::expand;
pub(crate) use windows::{just_in_time, make_folder, reporting, say_what_came_with_it};

/// Whether this is Windows.
pub(crate) fn is_windows() -> bool {
    platform::OS == snapshot::OperatingSystem::Windows
}
