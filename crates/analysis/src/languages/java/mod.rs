//! Java on HotSpot, 11 and later on 64-bit systems: methods and lines in frames of the interpreter and of compiled code, the threads with
//! their names, and the monitors and locks that they wait for.
//!
//! All offsets are those of the tables that HotSpot has of itself ([`tables`]). What these do not tell stands here with its source: where
//! a frame of the interpreter has its method ([`place`]), how fields are listed ([`objects`]).

mod code;
mod compressed;
mod counted;
mod list;
mod methods;
mod objects;
mod place;
mod remembered;
mod step;
mod tables;
mod threads;
mod view;
mod vm;

use super::LONGEST_NAME;
use super::LanguageFrame;
use super::native::NativeThreads;
use crate::thrown::Thrown;
use snapshot::{Memory, Snapshot};

pub(crate) use step::step;
pub(crate) use vm::Vm;

/// The library of HotSpot, on Linux and Windows.
pub(crate) const LIBRARIES: [&str; 2] = ["libjvm.so", "jvm.dll"];

/// The variable by which HotSpot's tables are found.
pub(crate) const TABLES: &str = "gHotSpotVMStructs";

/// What a virtual machine tells of its threads.
#[derive(Clone, Debug, Default)]
pub struct Java {
    /// The version: 17; 0 if it is not known.
    pub version: u32,
    /// The threads that it knows.
    pub threads: Vec<JavaThread>,
    /// What could not be had, in sentences.
    pub notes: Vec<String>,
}

/// A thread of Java.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JavaThread {
    /// The thread of the system; `None` if it is not in the dump.
    pub thread: Option<u32>,
    /// Its name in Java.
    pub name: Option<String>,
    /// Its state, as `jstack` has it: "BLOCKED (on object monitor)".
    pub state: Option<&'static str>,
    /// What it waits for.
    pub blocked: Option<Blocked>,
    /// The exception that it raises: no handler has it yet.
    pub raises: Option<Thrown>,
}

/// What a thread of Java waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// To enter a `synchronized` part.
    Monitor {
        /// The object.
        object: Object,
        /// The thread that is in one with this object.
        owner: Option<u32>,
    },
    /// In `Object.wait`.
    Notification {
        /// The object.
        object: Object,
        /// If the object is a thread: which one.
        thread: Option<u32>,
    },
    /// In `LockSupport.park`.
    Parked {
        /// The object that it named.
        object: Object,
        /// If that is a lock that one thread has: which one. Not known where it waits for some time only.
        owner: Option<u32>,
    },
}

/// An object of Java.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its address.
    pub address: u64,
    /// The name of its class.
    pub class: String,
}

impl Blocked {
    /// The object.
    pub fn object(&self) -> &Object {
        let (Self::Monitor { object, .. }
        | Self::Notification { object, .. }
        | Self::Parked { object, .. }) = self;
        object
    }
}

/// The threads of a virtual machine.
pub(crate) fn read(vm: &Vm, snapshot: &Snapshot, memory: &dyn Memory) -> Java {
    let natives = NativeThreads::of(snapshot);
    let threads = threads::Threads::new(vm.view(memory), vm.threads(memory), &natives).read();
    let notes = lacking(&threads);
    Java {
        version: vm.layout.version,
        threads,
        notes: notes.into_iter().collect(),
    }
}

/// What is told of a virtual machine without its tables.
pub(crate) fn unreadable() -> Java {
    let note = "the tables that Java's virtual machine has of itself are not in the dump, so that its methods have no names";
    Java {
        notes: vec![note.to_owned()],
        ..Java::default()
    }
}

/// A sentence about what cannot be read of these threads.
fn lacking(threads: &[JavaThread]) -> Option<String> {
    let unnamed = threads.iter().filter(|thread| thread.name.is_none());
    match (threads.len(), unnamed.count()) {
        (0, _) => Some("the threads of Java's virtual machine are not in the dump".to_owned()),
        (_, 0) => None,
        (_, count) => Some(format!(
            "not in the dump: the names of {count} threads of Java"
        )),
    }
}

#[cfg(test)]
use super::made_up;
#[cfg(test)]
mod made_up_machine;
#[cfg(test)]
mod made_up_tables;
#[cfg(test)]
mod tests;
