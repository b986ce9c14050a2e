//! The only crate with system calls, `unsafe` and `cfg(target_os)`.
//!
//! It tells plain facts ([`snapshot`]) and takes plain orders. Names of exceptions, build-ids,
//! percentages and decisions are made by the crates above it. The entrance is [`Host`], the
//! machine; it opens a [`Target`], a process of which dumps can be taken, or a [`Follow`], a
//! process whose events are waited for. A [`Capture`] is a process that is held still.
//!
//! `linux/` and `windows/` have the same modules where the systems allow it; `os` names the one
//! that is compiled. `sim` is a simulated machine for tests.

mod arming;
mod below;
mod callback;
mod cancel;
mod capture;
mod command;
mod crash_folder;
mod error;
mod failpoint;
mod files;
mod host;
pub mod http;
mod instance;
#[cfg(target_os = "linux")]
mod linux;
mod lock;
mod machine;
mod monitor;
mod only_windows;
mod peek;
mod postmortem;
mod process_name;
mod processor;
mod registry;
mod scratch;
#[cfg(feature = "sim")]
pub mod sim;
mod syslog;
mod target;
mod trust;
#[cfg(windows)]
mod windows;

pub use arming::{ArmedPlace, Arming, FAULT_BITS, FAULT_SIGNALS, HoldOptions, KindAt};
pub use below::{is_own, open_file_below};
pub use callback::DumpCallback;
pub use cancel::{Cancel, init, on_interrupt};
pub use capture::{Capture, CaptureOptions, Method, Released, Stop, Unbound};
pub use command::{command, end_status, expect_command};
pub use crash_folder::{CrashFolder, crash_folder, make_crash_folder};
pub use error::{Error, ErrorKind, Result};
pub use failpoint::failpoint;
pub use files::{
    Existing, OutFile, OutStream, Output, Space, expect_writable, is_being_written, is_unchanged,
    numbered, open_file, open_file_of, open_log, open_unchanged, owner_of, patch_file,
    remove_left_over, remove_part, space_at,
};
pub use host::{
    Adopted, CrashNotice, Detail, FileIdentity, Finding, Health, Host, HostEvent, HostSink,
    ImageFiles, Launched, ProcessEntry, doctor, give_memory_back, give_way, has_terminal,
    memory_left, run_last, system, terminal_width, this_machine, typed_arguments,
};

pub use lock::lock;
pub use machine::{ARCHITECTURE, OS};
pub use monitor::{Monitor, cancel_monitors};
pub use only_windows::{KernelDump, activate, kernel_dump, queue_report};
pub use os::RegisterStore;
pub use peek::Peek;
pub use postmortem::{
    CoreHandler, CoreInput, CrashWorker, Crashed, Guard, JustInTime, Use, WorkerEnd,
    become_crash_handler, become_program, core_handler, drain_input, expect_guarded,
    expect_storage, kernel_log, make_passage, make_store, own_program, own_user, read_guarded,
    responsible_user, set_core_handler, system_log, system_note, write_guarded,
};
pub use process_name::process_name;
pub use processor::xsave_layout;
pub use registry::{RegistryKey, RegistryValue, RegistryValues};
pub use scratch::{MakeContent, Scratch, made_content, scratch_folder};
pub use snapshot::FileBytes;
pub use syslog::Syslog;
pub use target::{Died, Facts, Follow, Happened, MappedFiles, Standing, Target, Waker};
pub use trust::{Trusted, read_trusted};

#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub use linux::fuzz;

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(windows)]
use windows as os;
