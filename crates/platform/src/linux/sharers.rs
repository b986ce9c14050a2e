//! Other processes that run in the address space of a process: the child of vfork(2) or posix_spawn(3) until it has
//! executed a program, and that of clone(2) with `CLONE_VM`. They are not stopped with it, and live on when it dies: a
//! child of vfork even stands on a stack of its parent, who writes over it as soon as the child has died.

use super::{proc::ProcDir, sys::kcmp};
use snapshot::Warning;

/// How many threads are asked for their children, and of how many children it is asked whose memory they have. The
/// process may stand meanwhile.
const MOST_THREADS: usize = 32;
const MOST_CHILDREN: usize = 256;

/// Returns a warning if the parent of a process, or a child, shares its memory.
pub(super) fn warning(proc: &ProcDir) -> Option<Warning> {
    let sharers = of(proc);
    let (first, more) = sharers.split_first()?;
    let more = match more.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!(
        "process {first}{more} shares its memory and ran on, as after vfork: values and stacks may have changed while they were read"
    ))
}

/// Returns the pids of the parent and of children, if they share the memory of a process that has it still.
fn of(proc: &ProcDir) -> Vec<u32> {
    if proc.is_gone {
        return Vec::new();
    }
    let own = proc.living_tid();
    let parent = proc.stat().ok().map(|stat| stat.parent);
    let around = parent.into_iter().chain(children(proc));
    around
        .filter(|pid| *pid != 0 && kcmp::have_same_memory(own, *pid as i32))
        .collect()
}

fn children(proc: &ProcDir) -> Vec<u32> {
    let threads = proc.tasks().unwrap_or_default().into_iter();
    let lists = threads
        .take(MOST_THREADS)
        .filter_map(|tid| proc.read(&format!("task/{tid}/children")).ok());
    let pids = lists.flat_map(|list| {
        let list = String::from_utf8_lossy(&list).into_owned();
        let pids = list.split_ascii_whitespace();
        pids.filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
    });
    pids.take(MOST_CHILDREN).collect()
}
