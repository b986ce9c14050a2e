//! What threads wait for, and who holds it.
//!
//! A thread that is blocked has told the kernel what it waits for: the arguments of its system call are in its registers. For
//! a lock, the C library has the owner beside the word that is waited on (`glibc.rs`, `musl.rs`). On Windows, the lock is found by
//! its address on the stack (`windows.rs`).

mod call;
mod cycles;
mod glibc;
mod musl;
mod windows;

use crate::stack::Stack;
use call::Call;
use snapshot::{Memory, Snapshot, Thread};
use std::fmt;

pub use cycles::{Cycle, cycles};

/// What one thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The thread that waits.
    pub thread: u32,
    /// What for.
    pub on: On,
    /// The longest that it waits, in nanoseconds, if it does not wait for ever and that is known.
    pub timeout: Option<u64>,
}

impl Wait {
    /// The address of what it waits for, if it is in memory.
    pub fn address(&self) -> Option<u64> {
        match self.on {
            On::Lock(lock) => Some(lock.address),
            On::Condition(address)
            | On::Semaphore(address)
            | On::Futex(address)
            | On::Notification(address)
            | On::Object(address) => Some(address),
            _ => None,
        }
    }

    /// The thread that has it, or whose end it is.
    pub fn owner(&self) -> Option<u32> {
        match self.on {
            On::Lock(lock) => lock.owner,
            On::End { thread } => Some(thread),
            _ => None,
        }
    }
}

/// What a thread may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A lock.
    Lock(Lock),
    /// The end of another thread.
    End {
        /// That thread.
        thread: u32,
    },
    /// A condition variable at this address.
    Condition(u64),
    /// A semaphore at this address.
    Semaphore(u64),
    /// To be notified of an object at this address (`Object.wait` of Java).
    Notification(u64),
    /// An object at this address, whose use is not known.
    Object(u64),
    /// A word at this address that is used in a way which is not known.
    Futex(u64),
    /// An open file, a pipe or a socket.
    Descriptor {
        /// The number of the descriptor.
        number: u32,
        /// What is done with it: "read from", "write to", "accept a connection of".
        what: &'static str,
    },
    /// One of several files, pipes or sockets, or what only the call of this name tells.
    Several(&'static str),
    /// A child, by a call of this name.
    Child,
    /// Time to pass.
    Sleep,
    /// A signal.
    Signal,
}

/// A lock that a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Which kind.
    pub kind: LockKind,
    /// Its address.
    pub address: u64,
    /// The thread that has it; `None` if that is not known, as the readers of a lock for many readers are not. It is one of the
    /// process's.
    pub owner: Option<u32>,
}

/// The kinds of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// One thread has it.
    Mutex,
    /// Many readers or one writer; the thread waits to read.
    ToRead,
    /// The same; it waits to write.
    ToWrite,
    /// One thread has it; that of Windows.
    CriticalSection,
    /// The lock of Python's interpreter: who has it may run Python.
    Gil,
    /// That of an object of Java (`synchronized`).
    Monitor,
    /// A lock of Java that one thread has (`java.util.concurrent.locks`).
    Synchronizer,
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mutex => "mutex",
            Self::ToRead => "read lock",
            Self::ToWrite => "write lock",
            Self::CriticalSection => "critical section",
            Self::Gil => "GIL",
            Self::Monitor => "monitor",
            Self::Synchronizer => "lock",
        })
    }
}

/// What a thread waits for, if it is blocked in a system call that tells, or on Windows in a critical section. `stack` is its stack.
pub fn wait(
    snapshot: &Snapshot,
    thread: &Thread,
    stack: &Stack,
    memory: &dyn Memory,
) -> Option<Wait> {
    if let Some(on) = windows::of(snapshot, thread, stack, memory) {
        return Some(Wait {
            thread: thread.id,
            on,
            timeout: None,
        });
    }
    let call = Call::of(snapshot, thread)?;
    let on = call.waits_for().or_else(|| {
        let word = call.futex()?;
        let names = names(stack);
        let is_thread = |id: u32| snapshot.threads.iter().any(|thread| thread.id == id);
        let known = musl::of(&word, &names, memory).or_else(|| glibc::of(&word, &names, memory));
        let unknown = On::Futex(word.address);
        Some(known.map_or(unknown, |on| checked(on, unknown, is_thread)))
    })?;
    Some(Wait {
        thread: thread.id,
        on,
        timeout: call.timeout(memory),
    })
}

/// The wait for a lock that is taken again and again for a few milliseconds, as the one of an interpreter is: who waits for it runs for
/// a moment now and then, and was perhaps seen running. `gil` tells whether an address is in such a lock, and which it is.
pub(crate) fn wait_for_gil(
    snapshot: &Snapshot,
    thread: &Thread,
    gil: impl Fn(u64) -> Option<Lock>,
) -> Option<Wait> {
    let word = Call::made(snapshot, thread)?.futex()?;
    let lock = gil(word.address)?;
    Some(Wait {
        thread: thread.id,
        on: On::Lock(Lock {
            owner: lock.owner.filter(|owner| *owner != thread.id),
            ..lock
        }),
        timeout: None,
    })
}

/// A lock's owner is one of the threads, or not known: what lies at that place may be something else. Without a thread whose end it
/// is, it is `unknown`.
fn checked(on: On, unknown: On, is_thread: impl Fn(u32) -> bool) -> On {
    match on {
        On::Lock(lock) => On::Lock(Lock {
            owner: lock.owner.filter(|owner| is_thread(*owner)),
            ..lock
        }),
        On::End { thread } if !is_thread(thread) => unknown,
        other => other,
    }
}

/// The innermost frames that a C library needs to wait.
const FRAMES: usize = 8;

fn names(stack: &Stack) -> Vec<&str> {
    let frames = stack.frames.iter().take(FRAMES);
    let symbols = frames.filter_map(|frame| frame.symbol.as_ref());
    symbols.map(|symbol| &symbol.name[..]).collect()
}
