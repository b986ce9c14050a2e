//! The real program on real processes, judged by gdb, lldb, readelf and minidump-stackwalk.
//!
//! The name of a test begins with its row in the torture table in docs/testing.md.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod bounds;
mod cancelling;
mod catching;
mod cause;
mod clones;
mod clones_at_events;
mod compared;
mod compressed;
mod core_notes;
mod deaths;
mod debug_log;
mod dump_killed;
mod dump_maps;
mod dump_memory;
mod dump_other;
mod dump_refuse;
mod dump_stop;
mod dump_threads;
mod ends;
mod events;
mod files;
mod foreign;
mod harness;
mod heaps;
mod html_pages;
mod hung_pages;
mod interrupted;
mod languages;
mod like_full;
mod limited_folders;
mod limits;
mod lines;
mod loop_costs;
mod mapped_files;
mod moments;
mod namespaces;
mod other_tracers;
mod postmortem;
mod postmortem_access;
mod postmortem_beside;
mod postmortem_containers;
mod postmortem_export;
mod postmortem_install;
mod postmortem_store;
mod procdump;
mod procdump_ends;
mod procdump_exceptions;
mod procdump_linux;
mod procdump_names;
mod procdump_scripts;
mod procdump_starts;
mod programs;
mod rules;
mod series;
mod shared_memory;
mod short_lives;
mod shown_text;
mod small_dumps;
mod sockets;
mod start_costs;
mod strangers;
mod terminal;
mod the_loop;
mod uncaught;
mod under_load;
mod victims;
mod waits;
mod watching;
mod watching_executions;
