//! Locks of musl: the word that a thread waits on may have the owner (src/thread/pthread_mutex_timedlock.c).

use super::{Lock, LockKind, On, call::Word};
use snapshot::Memory;

/// The bits of the word that are not the thread id: that somebody waits, and that an owner has died.
const NOT_OWNER: u32 = 0xC000_0000;
/// The bits of a mutex's type: recursive, or one that checks for errors.
const TYPE: u32 = 3;
/// The word of a mutex is so many bytes behind its start.
const LOCK: u64 = 4;
/// All that waits goes through one of these functions.
const WAITS: [&str; 2] = ["__timedwait", "__timedwait_cp"];

/// What a thread waits for whose innermost frames have these names. Returns `None` if they are not those of musl.
pub(super) fn of(word: &Word, names: &[&str], memory: &dyn Memory) -> Option<On> {
    let is_in = |part: &str| names.iter().any(|name| name.contains(part));
    if !names.iter().any(|name| WAITS.contains(name)) {
        return None;
    }
    let lock = |kind| Lock {
        kind,
        address: word.address,
        owner: None,
    };
    Some(if is_in("mutex") {
        On::Lock(mutex(word.address.wrapping_sub(LOCK), memory))
    } else if is_in("rdlock") {
        On::Lock(lock(LockKind::ToRead))
    } else if is_in("wrlock") {
        On::Lock(lock(LockKind::ToWrite))
    } else if is_in("sem_") {
        On::Semaphore(word.address)
    } else {
        On::Futex(word.address)
    })
}

/// One of the usual type has no owner: its word only says that it is taken (`EBUSY`).
fn mutex(address: u64, memory: &dyn Memory) -> Lock {
    let kind = memory.read_u32(address);
    let has_owner = kind.is_some_and(|kind| kind & TYPE != 0);
    let word = memory.read_u32(address.wrapping_add(LOCK));
    Lock {
        kind: LockKind::Mutex,
        address,
        owner: word.filter(|_| has_owner).map(|word| word & !NOT_OWNER),
    }
}
