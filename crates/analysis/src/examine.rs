//! Everything that is told of the threads of a process: what its dump is read for.

use crate::cause::{Cause, cause, last_error};
use crate::stack::{End, FRAME_LIMIT, Stack, Stacks};
use crate::waits::{self, Wait};
use crate::{Languages, exception_name, languages};
use snapshot::{Memory, Snapshot, Thread};
use std::collections::BTreeMap;

/// What threads do, what they wait for, and why the process died.
pub struct Examined<'a> {
    /// The threads with their stacks, in the order of the snapshot.
    pub threads: Vec<(&'a Thread, Stack)>,
    /// What walked them.
    pub stacks: Stacks<'a>,
    /// What the runtimes of languages tell.
    pub languages: Languages,
    /// What the threads wait for.
    pub waits: Vec<Wait>,
    /// The names of the variables that are waited on, and the classes of the objects, by their addresses.
    pub variables: BTreeMap<u64, String>,
    /// Why the process died, if the dump has an exception.
    pub cause: Option<Cause>,
}

/// Looks at all threads. `memory` is that of the process, which `stacks` reads, too.
///
/// Whoever passes memory that keeps account of what is read ([`Recording`](snapshot::Recording)) knows which part of it a dump must
/// have to tell the same.
pub fn examine<'a>(
    snapshot: &'a Snapshot,
    memory: &dyn Memory,
    stacks: Stacks<'a>,
) -> Examined<'a> {
    let mut threads = walk_all(&stacks, &snapshot.threads);
    let languages = languages(&stacks, &mut threads);
    let wait = |(thread, stack): &(&Thread, Stack)| waits::wait(snapshot, thread, stack, memory);
    let mut waits: Vec<Wait> = threads.iter().filter_map(wait).collect();
    languages.add_waits(snapshot, &threads, &mut waits);
    let mut variables = stacks.names(waits.iter().filter_map(Wait::address));
    variables.extend(languages.objects());
    let cause = cause_of(snapshot, &stacks, &threads);
    Examined {
        threads,
        stacks,
        languages,
        waits,
        variables,
        cause,
    }
}

/// Reads of `memory` what is told besides: the name of the exception, and the last error of each thread.
pub fn examine_rest(snapshot: &Snapshot, memory: &dyn Memory) {
    let system = &snapshot.system;
    if let Some(exception) = &snapshot.exception {
        let _ = exception_name(exception, system.os, system.architecture, memory);
    }
    for thread in &snapshot.threads {
        let _ = last_error(snapshot, thread, memory);
    }
}

/// The most frames that are walked of all threads together, beyond those of shallow stacks: enough for a full stack of 8 MiB, in less
/// than a second.
const DEEPEST: usize = 300_000;

/// The stacks of all threads, the first ones as deep as they are.
fn walk_all<'a>(stacks: &Stacks, threads: &'a [Thread]) -> Vec<(&'a Thread, Stack)> {
    let mut left = DEEPEST;
    let walk = |thread| {
        let stack = stacks.deep(thread, FRAME_LIMIT + left);
        left -= stack.depth().saturating_sub(FRAME_LIMIT).min(left);
        (thread, stack)
    };
    threads.iter().map(walk).collect()
}

/// Why the process died, by the stack of the thread with the exception.
fn cause_of(snapshot: &Snapshot, stacks: &Stacks, threads: &[(&Thread, Stack)]) -> Option<Cause> {
    let exception = snapshot.exception.as_ref()?;
    let own = threads
        .iter()
        .find(|(thread, _)| thread.id == exception.thread);
    let none = Stack::whole(vec![], End::NoRegisters);
    cause(snapshot, stacks, own.map_or(&none, |(_, stack)| stack))
}
