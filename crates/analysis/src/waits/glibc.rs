//! Locks of glibc: what it has beside the word that a thread waits on. The layouts are part of its ABI, as programs are
//! compiled with them (sysdeps/nptl/bits/struct_mutex.h, struct_rwlock.h).

use super::{Lock, LockKind, On, call::Word};
use snapshot::Memory;

/// The owner of a mutex is so many bytes behind its word.
const OWNER: u64 = 8;
/// A lock for many readers has two words that are waited on, and the writer that has it, at these offsets.
const PHASE: u64 = 8;
const WRITERS: u64 = 12;
const WRITER: u64 = 24;
/// The bits of a word with an owner that are not the thread id: `FUTEX_WAITERS` and `FUTEX_OWNER_DIED`.
const NOT_OWNER: u32 = 0xC000_0000;

/// What a thread waits for whose innermost frames have these names.
pub(super) fn of(word: &Word, names: &[&str], memory: &dyn Memory) -> Option<On> {
    let is_in = |part: &str| names.iter().any(|name| name.contains(part));
    if is_in("pthread_cond_") {
        return Some(On::Condition(word.address));
    }
    if is_in("rwlock") {
        return Some(On::Lock(rwlock(word, is_in("_rdlock"), memory)));
    }
    if is_in("clockjoin") || is_in("pthread_join") || is_in("timedjoin") {
        let thread = word.expected;
        return Some(On::End { thread });
    }
    if is_in("sem_wait")
        || is_in("sem_timedwait")
        || is_in("new_sem_wait")
        || is_in("sem_clockwait")
    {
        return Some(On::Semaphore(word.address));
    }
    let is_mutex = is_in("mutex") || is_in("lll_lock_wait") || word.is_owned;
    is_mutex.then(|| On::Lock(mutex(word, memory)))
}

fn mutex(word: &Word, memory: &dyn Memory) -> Lock {
    let owner = match word.is_owned {
        true => memory
            .read_u32(word.address)
            .map(|value| value & !NOT_OWNER),
        false => memory.read_u32(word.address.wrapping_add(OWNER)),
    };
    Lock {
        kind: LockKind::Mutex,
        address: word.address,
        owner,
    }
}

/// Which of its two words it waits on is told by the writer behind it: the other reading would be in the middle of the lock.
fn rwlock(word: &Word, reads: bool, memory: &dyn Memory) -> Lock {
    let kind = match reads {
        true => LockKind::ToRead,
        false => LockKind::ToWrite,
    };
    // Locks are aligned to 8 bytes.
    let offset = match word.address % 8 {
        0 => PHASE,
        _ => WRITERS,
    };
    let address = word.address.wrapping_sub(offset);
    Lock {
        kind,
        address,
        owner: memory.read_u32(address.wrapping_add(WRITER)),
    }
}
