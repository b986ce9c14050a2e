//! The Windows part: processes by their handles, events by a debugger, dumps from a copy-on-write
//! clone if possible. What Wine does differently is in [`wine`].

mod activation;
mod breakpoints;
pub(crate) mod callback;
mod capture;
mod clone;
pub(crate) mod command;
mod console;
mod context;
mod counters;
pub(crate) mod crash_folder;
pub(crate) mod crash_worker;
mod debug_event;
mod debug_loop;
mod debugger;
mod doctor;
mod error_report;
mod facts;
mod fault;
mod file_names;
mod files;
mod follow;
mod function_tables;
mod guard;
mod handles;
mod hang;
mod host;
mod image_files;
mod just_in_time;
mod kernel_dump;
mod launch;
mod list;
mod measure;
mod memory;
mod monitor;
pub(crate) mod only_windows;
mod output;
mod pdh;
mod peb;
pub(crate) mod postmortem;
mod process;
pub(crate) mod process_name;
mod regions;
mod register_store;
pub(crate) mod registry;
mod rights;
mod sample;
mod search;
mod security;
mod services;
mod state_change;
mod sys;
pub(crate) mod syslog;
mod system;
mod target;
#[cfg(test)]
mod test_memory;
mod threads;
mod trust;
mod unloaded;
mod watch;
mod wine;

pub(crate) use console::{
    has_terminal, init_process, on_interrupt, terminal_width, typed_arguments,
};
#[cfg(feature = "failpoints")]
pub(crate) use console::{kill_self, stop_self};
pub(crate) use doctor::doctor;
pub(crate) use files::{
    content_of, is_own, is_unchanged, made_content, on_disk, open_file, open_file_below, open_log,
    open_plain, open_unchanged, owner_of, patch_file, scratch_folder, space_at, unnamed_file,
};
pub(crate) use image_files::ImageFiles;
pub(crate) use launch::RawLaunched;
pub(crate) use monitor::{MonitorListener, cancel_monitors};
pub(crate) use output::{RawOutput, create_output, is_held, remove_left_over, remove_part};
pub use register_store::RegisterStore;
pub(crate) use system::system;
pub(crate) use trust::read_trusted;

/// Returns this machine.
pub(crate) fn host() -> Box<dyn crate::Host> {
    Box::new(host::WindowsHost::new())
}

/// See [`crate::give_memory_back`]. The heap of Windows does so by itself (`HeapFree` decommits large free ranges).
pub(crate) fn give_memory_back() {}

/// See [`crate::memory_left`]. Limits of jobs are not looked at.
pub(crate) fn memory_left() -> Option<u64> {
    None
}

/// See [`crate::run_last`]. A snapshot is copied as fast as anything else.
pub(crate) fn run_last() {}

/// See [`crate::give_way`].
pub(crate) fn give_way() {}
