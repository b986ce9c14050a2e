//! System calls that no safe library has. All `unsafe` code of the Linux part is here.

pub(crate) mod allocator;
pub(crate) mod bpf;
mod btf;
pub(crate) mod child_signals;
pub(crate) mod clock;
pub(crate) mod handler;
pub(crate) mod kcmp;
pub(crate) mod keeper;
pub(crate) mod keepers;
pub(crate) mod launch;
pub(crate) mod lazy_file;
mod lent_terminal;
pub(crate) mod memory;
pub(crate) mod netlink;
pub(crate) mod page_cache;
pub(crate) mod perf;
pub(crate) mod pidfd_info;
pub(crate) mod pin;
pub(crate) mod priority;
pub(crate) mod procmap;
pub(crate) mod ptrace;
pub(crate) mod seize_timer;
pub(crate) mod signals;
pub(crate) mod terminal_keeper;
pub(crate) mod tracefs;
pub(crate) mod userfault;
pub(crate) mod wake;
