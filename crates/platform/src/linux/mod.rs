//! The Linux part: processes by `/proc` and ptrace(2), probes by BPF, watching by pidfds and the
//! process connector.
//!
//! System calls that no safe library has are in [`sys`], files of `/proc/PID` in [`proc`], what
//! differs by processor in [`arch`].

mod acl;
mod arch;
mod available;
mod before_stop;
mod bpf_programs;
pub(crate) mod callback;
mod capture;
mod catch_budget;
mod cgroup;
mod checked_memory;
mod clone;
mod cloned;
pub(crate) mod command;
mod counter_files;
mod counter_list;
mod counters;
mod crash;
pub(crate) mod crash_folder;
pub(crate) mod crash_worker;
mod death_watch;
mod doctor;
mod dying;
mod end_status;
mod extended_registers;
mod facts;
mod facts_aside;
mod facts_at_death;
mod file_pages;
mod files;
mod follow;
mod forks;
mod frozen;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod glance;
mod guarded_files;
mod handles;
mod hardware_breakpoints;
mod held_clone;
mod held_files;
mod host;
mod huge_pages;
mod image_files;
mod kept_copy;
mod kept_layout;
mod kept_pages;
mod kept_place;
mod kept_space;
mod last_maps;
mod launched;
mod leftovers;
mod list;
mod mapped_files;
mod memory;
mod memory_left;
mod monitor;
mod monitor_folder;
mod namespace_init;
mod narrow;
mod object_holders;
mod object_views;
mod one_program;
pub(crate) mod only_windows;
mod open_mapped;
mod other_tracer;
mod own_memory;
mod own_texts_at_death;
mod pages;
mod pages_on_demand;
mod pauses;
mod pid_namespace;
mod polled_starts;
pub(crate) mod postmortem;
mod probe_patches;
mod proc;
pub(crate) mod process_name;
mod register_store;
pub(crate) mod registry;
mod regular_files;
mod renames;
mod rights;
mod sample;
mod shared_objects;
mod sharers;
mod sockets;
mod space;
mod stop;
mod stopped_threads;
mod storage;
mod sys;
pub(crate) mod syslog;
mod target;
mod terminal;
mod thread_end;
mod threads;
mod time_of_day;
mod traced_process;
mod unnamed_file;
mod watch;
mod windows_counters;
mod young;

pub(crate) use doctor::doctor;
pub(crate) use files::{
    RawOutput, content_of, create_output, is_own, is_unchanged, made_content, on_disk, open_file,
    open_file_below, open_plain, open_unchanged, owner_of, patch_file, read_trusted,
};
pub(crate) use held_files::{is_held, remove_left_over, remove_part};
pub(crate) use image_files::ImageFiles;
pub(crate) use launched::RawLaunched;
pub(crate) use memory_left::memory_left;
pub(crate) use monitor::{MonitorListener, cancel_monitors};
pub(crate) use proc::machine::system;
pub use register_store::RegisterStore;
pub(crate) use regular_files::open_log;
pub(crate) use space::at as space_at;
pub(crate) use sys::{
    allocator::give_memory_back,
    priority::{give_way, run_last},
    signals::on_interrupt,
};
pub(crate) use terminal::{has_terminal, terminal_width, typed_arguments};
pub(crate) use unnamed_file::{scratch_folder, unnamed_file};

use std::ops::ControlFlow;

/// Returns this machine.
pub(crate) fn host() -> Box<dyn crate::Host> {
    Box::new(host::LinuxHost::new())
}

/// See [`crate::init`].
pub(crate) fn init_process() -> ControlFlow<()> {
    if sys::keeper::serve_if_started_so() || dying::catcher::serve_if_started_so() {
        return ControlFlow::Break(());
    }
    sys::allocator::give_large_buffers_back();
    sys::signals::catch_cancel();
    sys::signals::remember_inherited();
    sys::signals::ignore_write_signals();
    sys::signals::keep_child_signal();
    ControlFlow::Continue(())
}

/// Kills this process with SIGKILL.
#[cfg(feature = "failpoints")]
pub(crate) fn kill_self() {
    sys::signals::raise(libc::SIGKILL);
}

/// Stops this process until somebody sends SIGCONT.
#[cfg(feature = "failpoints")]
pub(crate) fn stop_self() {
    sys::signals::raise(libc::SIGSTOP);
}
