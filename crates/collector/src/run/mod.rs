//! The one loop: what happens goes to the rules, and what they command is done.
//!
//! [`Runner`] blocks on one channel of one closed [`Event`](event::Event). The host, the threads
//! that follow processes, those that take dumps, and whoever gives orders from outside all send
//! there.

mod armed;
mod arms;
mod commands;
mod earlier;
mod event;
mod exits;
mod follower;
mod followers;
mod incoming;
mod jobs;
mod launch;
mod options;
mod order;
mod pending;
mod probe;
mod programs;
mod reach;
mod recent_times;
mod run_event;
mod runner;
mod rush;
mod schedule;
mod stacks;
mod starts;
#[cfg(test)]
mod tests;
mod turns;
mod unseen;

pub use options::{DumpOptions, Machine, Setup, prepare};
pub use run_event::{ExceptionRow, ProgramStep, RunEvent};
pub use runner::{Runner, RunnerHandle};

use platform::ProcessEntry;
use policy::Identity;

/// What rules match on, from an entry of the list of processes.
pub fn identity(entry: &ProcessEntry) -> Identity {
    Identity {
        key: entry.key,
        parent: entry.parent,
        ancestors: entry.ancestors.clone(),
        group: entry.group,
        name: entry.name.clone(),
        image: entry.image.clone(),
        comm: entry.comm.clone(),
        command_line: entry.command_line.clone(),
        service: entry.service.clone(),
        user_service: entry.user_service.clone(),
        container: entry.container.clone(),
        launched: false,
        system: platform::OS,
    }
}
