//! The Windows program on Windows victims, under Wine, judged by minidump-stackwalk, by lldb, by
//! Wine's own debugger and by firstchance itself on Linux.
//!
//! `cargo xtask test --only wine` runs them. The names of tests begin with the row of the torture
//! table that they stand for. What Wine does not have is not run here: docs/windows.md lists it.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod aedebug;
mod dumps;
mod events;
mod killed;
mod machine;
mod others;
mod postmortem;
mod procdump;
mod refusals;
mod registry;
mod targets;
mod watching;
