//! The threads that a virtual machine knows (`runtime/javaThread.hpp`), and what they wait for (`runtime/objectMonitor.hpp`).

use super::list::List;
use super::view::View;
use super::{Blocked, JavaThread, Object};
use crate::languages::native::NativeThreads;
use crate::thrown::Thrown;
use std::cell::OnceCell;
use std::collections::HashMap;

/// The most objects that a thread has locked the fast way (`LockStack::CAPACITY` is 8).
const MOST_LOCKED: u64 = 64;

/// States of a thread (`JavaThreadStatus` of `classfile/javaClasses.hpp`, the same in all versions).
const STATES: [(u32, &str); 9] = [
    (0, "NEW"),
    (5, "RUNNABLE"),
    (225, "TIMED_WAITING (sleeping)"),
    (401, "WAITING (on object monitor)"),
    (417, "TIMED_WAITING (on object monitor)"),
    (PARKED, "WAITING (parking)"),
    (673, "TIMED_WAITING (parking)"),
    (1025, "BLOCKED (on object monitor)"),
    (2, "TERMINATED"),
];
const PARKED: u32 = 657;

/// The locks of `java.util.concurrent` that one thread has.
const OWNABLE: &str = "java.util.concurrent.locks.AbstractOwnableSynchronizer";

/// Since Java 24, the owner of a monitor is the number of a thread.
const OWNERS_ARE_NUMBERS: u32 = 24;
/// Since Java 16, a monitor refers to its object through a handle.
const OBJECTS_HAVE_HANDLES: u32 = 16;
/// The owner of a monitor who has locked the object the fast way, before somebody waited for it (`ANONYMOUS_OWNER`).
const ANONYMOUS: u64 = 1;

/// Reads the threads.
pub(super) struct Threads<'a> {
    view: View<'a>,
    list: &'a List,
    /// The thread of the system behind each.
    natives: HashMap<u64, Option<u32>>,
    /// Which one has a monitor, by what the monitor has of its owner, and which one an object that was locked the fast way.
    owners: OnceCell<HashMap<u64, u64>>,
    lockers: OnceCell<HashMap<u64, u64>>,
}

impl<'a> Threads<'a> {
    pub(super) fn new(view: View<'a>, list: &'a List, natives: &NativeThreads) -> Self {
        let native = |at: &u64| (*at, native(view, natives, *at));
        Self {
            view,
            list,
            natives: list.threads.iter().map(native).collect(),
            owners: OnceCell::new(),
            lockers: OnceCell::new(),
        }
    }

    pub(super) fn read(&self) -> Vec<JavaThread> {
        let threads = self.list.threads.iter();
        threads.map(|thread| self.thread(*thread)).collect()
    }

    fn thread(&self, at: u64) -> JavaThread {
        let object = self.view.object(at, "JavaThread._threadObj");
        let name = object.and_then(|object| {
            let name = self.view.object_field(object, "name")?;
            self.view.string(name)
        });
        let status = object.and_then(|object| self.status(object));
        let state = STATES.iter().find(|(number, _)| Some(*number) == status);
        JavaThread {
            thread: self.native(at),
            name,
            state: state.map(|(_, state)| *state),
            blocked: self.blocked(at, object, status),
            raises: self.raises(at),
        }
    }

    fn native(&self, at: u64) -> Option<u32> {
        self.natives.get(&at).copied()?
    }

    /// Since Java 19 it is in an object of its own.
    fn status(&self, object: u64) -> Option<u32> {
        let holder = self.view.object_field(object, "holder").unwrap_or(object);
        self.view.int_field(holder, "threadStatus")
    }

    fn blocked(&self, at: u64, object: Option<u64>, status: Option<u32>) -> Option<Blocked> {
        if let Some(monitor) = self.monitor(at, "_current_pending_monitor") {
            let object = self.object_of(monitor)?;
            let owner = self.owner(monitor, object.address);
            return Some(Blocked::Monitor { object, owner });
        }
        if let Some(monitor) = self.monitor(at, "_current_waiting_monitor") {
            let object = self.object_of(monitor)?;
            let thread = self.thread_of(object.address);
            return Some(Blocked::Notification { object, thread });
        }
        self.parked(object?, status)
    }

    fn monitor(&self, at: u64, field: &str) -> Option<u64> {
        let [own, of_base] = ["JavaThread", "Thread"].map(|owner| format!("{owner}.{field}"));
        let monitor = self.view.pointer_of(at, &[&own, &of_base]);
        monitor.filter(|monitor| *monitor != 0)
    }

    fn parked(&self, object: u64, status: Option<u32>) -> Option<Blocked> {
        let blocker = self.view.object_field(object, "parkBlocker")?;
        let is_lock = self.view.is_a(blocker, OWNABLE);
        // One that waits for some time only goes on also if it does not get the lock.
        let owner = (is_lock && status == Some(PARKED)).then(|| self.exclusive_owner(blocker));
        Some(Blocked::Parked {
            object: self.named(blocker)?,
            owner: owner.flatten(),
        })
    }

    /// The exception that no handler has yet.
    fn raises(&self, at: u64) -> Option<Thrown> {
        let object = self.view.pointer(at, "ThreadShadow._pending_exception");
        let object = object.filter(|object| *object != 0)?;
        let class = self.view.class_name_of(object)?;
        let message = self.view.object_field(object, "detailMessage");
        let message = message.and_then(|message| self.view.string(message));
        let name = format!("JAVA.{class}");
        Some(Thrown::of(&name, message.unwrap_or_default()))
    }

    fn named(&self, object: u64) -> Option<Object> {
        Some(Object {
            address: object,
            class: self.view.class_name_of(object)?,
        })
    }

    /// The object of a monitor.
    fn object_of(&self, monitor: u64) -> Option<Object> {
        let at = self.view.address(monitor, "ObjectMonitor._object")?;
        let object = match self.view.layout.version >= OBJECTS_HAVE_HANDLES {
            true => self.view.object_at(self.view.word(at)?)?,
            false => self.view.word(at)?,
        };
        self.named(object)
    }

    /// The thread that has a monitor.
    fn owner(&self, monitor: u64, object: u64) -> Option<u32> {
        let owner = self
            .view
            .pointer(monitor, "ObjectMonitor._owner")
            .filter(|owner| *owner != 0)?;
        let thread = match (owner, self.view.layout.version >= OWNERS_ARE_NUMBERS) {
            (ANONYMOUS, _) => self.lockers().get(&object).copied().or_else(|| {
                let on_stack = self.view.pointer(monitor, "ObjectMonitor._stack_locker");
                self.list.with_stack_at(on_stack?)
            }),
            (_, true) => self.owners().get(&owner).copied(),
            (_, false) if self.natives.contains_key(&owner) => Some(owner),
            // Up to Java 21 it may be what the thread has on its stack for the lock.
            (_, false) => self.list.with_stack_at(owner),
        };
        self.native(thread?)
    }

    /// The threads by their numbers as owners.
    fn owners(&self) -> &HashMap<u64, u64> {
        let number = |at: &u64| {
            let number = self.view.pointer(*at, "JavaThread._monitor_owner_id")?;
            Some((number, *at))
        };
        self.owners
            .get_or_init(|| self.list.threads.iter().filter_map(number).collect())
    }

    /// The threads by the objects that they have locked the fast way.
    fn lockers(&self) -> &HashMap<u64, u64> {
        let locked = |at: &u64| {
            let objects = locked(self.view, *at).unwrap_or_default();
            objects.into_iter().zip(std::iter::repeat(*at))
        };
        self.lockers
            .get_or_init(|| self.list.threads.iter().flat_map(locked).collect())
    }

    /// The thread that has a lock of `java.util.concurrent`.
    fn exclusive_owner(&self, lock: u64) -> Option<u32> {
        self.thread_of(self.view.object_field(lock, "exclusiveOwnerThread")?)
    }

    /// The thread of the system behind an object of `java.lang.Thread`.
    fn thread_of(&self, object: u64) -> Option<u32> {
        self.native(self.view.long_field(object, "eetop")?)
    }
}

/// The thread of the system behind one of Java.
fn native(view: View, natives: &NativeThreads, at: u64) -> Option<u32> {
    let system = view.pointer_of(at, &["JavaThread._osthread", "Thread._osthread"])?;
    let number = view.number(system, "OSThread._thread_id");
    let pthread = view.pointer(system, "OSThread._pthread_id");
    natives.find(pthread, number.map(|number| number as u64))
}

/// The objects that a thread has locked the fast way (`runtime/lockStack.hpp`).
fn locked(view: View, thread: u64) -> Option<Vec<u64>> {
    let stack = view.address(thread, "JavaThread._lock_stack")?;
    let first = view.address(stack, "LockStack._base[0]")?;
    // The top is an offset in the thread.
    let top = view.number(stack, "LockStack._top")? as u64;
    let count = thread.wrapping_add(top).checked_sub(first)? / 8;
    let places = (0..count.min(MOST_LOCKED)).map(|number| first.wrapping_add(8 * number));
    Some(places.filter_map(|at| view.word(at)).collect())
}
