//! BPF programs that report what a process does, without attaching to it.
//!
//! [`ThreadHolds`] are uprobes that hold a thread at a place in the code. The probe runs a small
//! program in the kernel, in the thread that came there. The program checks whether this hit is
//! wanted, reports it, and keeps the thread there until we have asked it to stop by ptrace, or for
//! at most 100 ms (20 before Linux 6.0): it ends by itself, whatever happens to us. Between hits nothing is attached, and
//! nothing of the target is changed but one byte of code, which the kernel restores when the
//! probe's descriptor is closed. An unwanted hit costs half a microsecond.
//!
//! [`Deaths`], [`Executions`], [`ExecutedNames`], [`SignalSenders`] and [`StderrWrites`] are programs at tracepoints of the
//! kernel, which hold no thread; with [`Catching`], those that die while nobody waits for it are held.

mod death_holds;
mod death_program;
mod deaths;
mod executed_names;
mod executions;
mod held_deaths;
mod instructions;
mod pids;
mod probe_program;
mod probe_report;
mod ring;
mod room;
mod signal_senders;
mod stderr_writes;
mod thread_holds;
mod verdicts;

pub(crate) use death_program::Death;
pub(crate) use deaths::{Catching, Caught, Deaths, HeldThread, Others};
pub(crate) use executed_names::ExecutedNames;
pub(crate) use executions::{Executed, Executions};
pub(crate) use held_deaths::{Held, HeldDeaths};
pub(crate) use probe_report::{HoldId, Report};
pub(crate) use signal_senders::SignalSenders;
pub(crate) use stderr_writes::StderrWrites;
pub(crate) use thread_holds::{PlaceAt, ThreadHolds};

use super::pid_namespace::expect_pids_of_the_machine;
