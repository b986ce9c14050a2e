//! The Windows program on Windows victims, under Wine, judged by minidump-stackwalk, by lldb, by
//! Wine's own debugger and by firstchance itself on Linux.
//!
//! `cargo xtask test --only wine` runs them. The name of a test begins with its row in the torture
//! table in docs/testing.md. docs/windows.md lists what cannot be run under Wine.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod aedebug;
mod chosen;
mod compressed;
mod contents;
mod dumps;
mod events;
mod killed;
mod lacking;
mod launches;
mod lines;
mod locks;
mod machine;
mod names;
mod others;
mod postmortem;
mod procdump;
mod refusals;
mod registry;
mod store;
mod targets;
mod watching;
mod wide;
