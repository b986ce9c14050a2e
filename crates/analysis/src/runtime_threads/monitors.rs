//! What threads of Java wait for: monitors, locks of `java.util.concurrent`, each other.

use crate::languages::{Blocked, Java};
use crate::stack::Stack;
use crate::waits::{Lock, LockKind, On, Wait};
use snapshot::Thread;
use std::collections::HashMap;

/// The method by which a thread waits for the end of another one.
const JOIN: &str = "java.lang.Thread.join";

/// The innermost methods of a thread, one of which that is.
const METHODS: usize = 4;

/// The waits of the threads of Java, by the threads of the system.
pub(super) fn waits(java: &Java, threads: &[(&Thread, Stack)]) -> HashMap<u32, Wait> {
    let stacks = threads.iter().map(|(thread, stack)| (thread.id, stack));
    let stacks: HashMap<u32, &Stack> = stacks.collect();
    let wait = |thread, blocked| Wait {
        thread,
        on: on(blocked, stacks.get(&thread).copied()),
        timeout: None,
    };
    let blocked = java.threads.iter();
    let blocked = blocked.filter_map(|known| Some((known.thread?, known.blocked.as_ref()?)));
    blocked
        .map(|(thread, blocked)| (thread, wait(thread, blocked)))
        .collect()
}

fn on(blocked: &Blocked, stack: Option<&Stack>) -> On {
    let lock = |kind, owner| {
        On::Lock(Lock {
            kind,
            address: blocked.object().address,
            owner,
        })
    };
    let address = blocked.object().address;
    match blocked {
        Blocked::Monitor { owner, .. } => lock(LockKind::Monitor, *owner),
        Blocked::Parked {
            owner: Some(owner), ..
        } => lock(LockKind::Synchronizer, Some(*owner)),
        Blocked::Parked { .. } => On::Object(address),
        Blocked::Notification {
            thread: Some(thread),
            ..
        } if stack.is_some_and(joins) => On::End { thread: *thread },
        Blocked::Notification { .. } => On::Notification(address),
    }
}

/// Whether a thread waits for the end of another one.
fn joins(stack: &Stack) -> bool {
    let methods = stack.frames.iter().flat_map(|frame| &frame.language);
    methods.take(METHODS).any(|method| method.function == JOIN)
}
