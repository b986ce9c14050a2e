//! CPython 3.8 and later on 64-bit systems: the functions that its threads run, with file and line, the exceptions that they raise or
//! handle, and who has the lock of the interpreter (GIL).

mod frames;
mod layout;
mod lines;

use super::LanguageFrame;
use super::native::NativeThreads;
use crate::thrown::{Thrown, python as thrown};
use frames::Frames;
use layout::{Exceptions, GilPlace, Layout};
use snapshot::{Memory, Snapshot};
use std::collections::HashSet;

/// The most threads, and the most interpreters, that are read.
const MOST_THREADS: usize = 1 << 16;
const MOST_INTERPRETERS: usize = 1 << 10;

/// The type of `None`.
const NO_EXCEPTION: &str = "NoneType";

/// The most frames of all threads together.
const MOST_FRAMES: usize = 1 << 20;

/// Where the head of a GIL ends, in bytes: its locks and condition variables are in it (`pycore_gil.h`).
const GIL_BYTES: u64 = 216;

/// What the interpreters of a process run.
#[derive(Clone, Debug, Default)]
pub struct Python {
    /// `3.11`.
    pub version: String,
    /// The threads that the interpreters know.
    pub threads: Vec<PythonThread>,
    /// Their locks, one for each interpreter that has one of its own.
    pub gils: Vec<Gil>,
    /// What could not be had, in sentences.
    pub notes: Vec<String>,
}

/// A thread of an interpreter.
#[derive(Clone, Debug, Default)]
pub struct PythonThread {
    /// The thread of the system; `None` if it is not in the dump.
    pub thread: Option<u32>,
    /// Its functions, innermost first, in the parts that one call of the interpreter's loop (`_PyEval_EvalFrameDefault`) runs each.
    pub parts: Vec<Vec<LanguageFrame>>,
    /// The exception that it raises: no handler has it yet.
    pub raises: Option<Thrown>,
    /// The exception that it handles: it is in an `except` or `finally`.
    pub handles: Option<Thrown>,
}

/// The lock of an interpreter: who has it may run Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gil {
    /// Its address.
    pub address: u64,
    /// The thread that has it; `None` if no thread of the dump has.
    pub owner: Option<u32>,
}

impl Gil {
    /// Whether a wait at `address` is for this lock.
    pub fn holds(&self, address: u64) -> bool {
        (self.address..self.address.wrapping_add(GIL_BYTES)).contains(&address)
    }
}

/// Where an interpreter is, and what tells its version.
pub(crate) struct Found {
    /// Address of `_PyRuntime`.
    pub(crate) runtime: u64,
    /// The version by the file names of modules: `(3, 11)`.
    pub(crate) named: Option<(u8, u8)>,
    /// Address of `Py_Version`, since 3.11.
    pub(crate) version: Option<u64>,
}

/// All threads of an interpreter. The error is a sentence.
pub(crate) fn read(
    found: &Found,
    snapshot: &Snapshot,
    memory: &dyn Memory,
) -> Result<Python, String> {
    let layout = layout::of(found, memory)?;
    let reader = Reader {
        layout: &layout,
        natives: NativeThreads::of(snapshot),
        memory,
    };
    let mut python = Python {
        version: format!("{}.{}", layout.version.0, layout.version.1),
        ..Python::default()
    };
    let head = memory.read_u64(found.runtime.wrapping_add(layout.interpreters));
    let Some(head) = head.filter(|head| *head != 0) else {
        return Err("the state of Python's interpreter is not in the dump".to_owned());
    };
    let mut budget = MOST_FRAMES;
    for interpreter in reader.chain(head, layout.next_interpreter, MOST_INTERPRETERS) {
        reader.add(&mut python, found.runtime, interpreter, &mut budget);
    }
    if python.threads.is_empty() {
        python
            .notes
            .push("the threads of Python's interpreter are not in the dump".to_owned());
    }
    python.notes.extend(lacking(&python.threads));
    Ok(python)
}

/// A sentence about what cannot be read of these threads; `None` if all can.
fn lacking(threads: &[PythonThread]) -> Option<String> {
    let empty = threads.iter().filter(|thread| thread.parts.is_empty());
    let frames = || {
        threads
            .iter()
            .flat_map(|thread| thread.parts.iter().flatten())
    };
    let unnamed = frames().filter(|frame| frame.function == frames::UNREADABLE);
    let without_line = frames().filter(|frame| frame.line.is_none());
    let lacking = [
        (empty.count(), "the Python functions of {} threads"),
        (unnamed.count(), "the names of {} Python functions"),
        (without_line.count(), "the lines of {} Python functions"),
    ];
    let told = lacking.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, what)| what.replace("{}", &count.to_string()))
        .collect();
    (!told.is_empty()).then(|| format!("not in the dump: {}", told.join(", ")))
}

/// The version in the name of a program or library: `(3, 11)` for `libpython3.11.so.1.0` and `_json.cpython-311-x86_64-linux-gnu.so`.
pub(crate) fn named_version(file: &str) -> Option<(u8, u8)> {
    let number = |text: &str| -> Option<u8> {
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        text[..digits].parse().ok()
    };
    let minor = ["libpython3.", "python3.", ".cpython-3"]
        .iter()
        .find_map(|mark| number(file.split_once(mark)?.1));
    Some((3, minor?))
}

struct Reader<'a> {
    layout: &'a Layout,
    natives: NativeThreads,
    memory: &'a dyn Memory,
}

impl Reader<'_> {
    fn word(&self, at: u64, offset: u64) -> Option<u64> {
        self.memory.read_u64(at.wrapping_add(offset))
    }

    /// The elements of a linked list, each once.
    fn chain(&self, first: u64, next: u64, most: usize) -> Vec<u64> {
        let mut seen = HashSet::new();
        let follow = |at: &u64| self.word(*at, next);
        std::iter::successors(Some(first), follow)
            .take_while(|at| *at != 0 && seen.insert(*at))
            .take(most)
            .collect()
    }

    fn add(&self, python: &mut Python, runtime: u64, interpreter: u64, budget: &mut usize) {
        let first = self.word(interpreter, self.layout.threads).unwrap_or(0);
        let left = MOST_THREADS.saturating_sub(python.threads.len());
        for state in self.chain(first, self.layout.next_thread, left) {
            python.threads.push(self.thread(state, budget));
        }
        let gil = self.gil(runtime, interpreter);
        let is_new = |gil: &Gil| python.gils.iter().all(|known| known.address != gil.address);
        python.gils.extend(gil.filter(is_new));
    }

    fn thread(&self, state: u64, budget: &mut usize) -> PythonThread {
        let frames = Frames {
            layout: self.layout,
            memory: self.memory,
        };
        let parts = frames.of(state, budget);
        let (raises, handles) = self.exceptions(state);
        PythonThread {
            thread: self.native(state),
            parts,
            raises,
            handles,
        }
    }

    /// The exceptions that it raises and handles.
    fn exceptions(&self, state: u64) -> (Option<Thrown>, Option<Thrown>) {
        let word = |at: u64| self.word(state, at).filter(|value| *value != 0);
        let (raised, item) = match self.layout.exceptions {
            Exceptions::Unknown => return (None, None),
            Exceptions::Old { value, item } => {
                let type_ = word(value - 8);
                let raised =
                    type_.and_then(|type_| thrown::raised(type_, word(value)?, self.memory));
                (raised, item)
            }
            Exceptions::New { value, item } => (
                word(value).and_then(|value| thrown::uncaught(value, self.memory)),
                item,
            ),
        };
        // The value follows the type in the stack of handled exceptions up to 3.10, and stands alone in it since.
        let skip = if self.layout.version < (3, 11) { 8 } else { 0 };
        let handled = word(item).and_then(|item| self.word(item, skip));
        let handled = handled.and_then(|value| thrown::uncaught(value, self.memory));
        // Where none is handled, 3.11 has None there.
        (
            raised,
            handled.filter(|handled| !handled.name.ends_with(NO_EXCEPTION)),
        )
    }

    /// The thread of the system.
    fn native(&self, state: u64) -> Option<u32> {
        let pthread = self.word(state, self.layout.pthread)?;
        let number = self.layout.native.and_then(|at| self.word(state, at));
        self.natives.find(Some(pthread), number)
    }

    fn gil(&self, runtime: u64, interpreter: u64) -> Option<Gil> {
        let address = match self.layout.gil {
            GilPlace::Runtime(at) => runtime.wrapping_add(at),
            GilPlace::Interpreter(at) => self.word(interpreter, at).filter(|at| *at != 0)?,
        };
        let holder = self.word(address, self.layout.gil_holder)?;
        let is_locked = self
            .memory
            .read_u32(address.wrapping_add(self.layout.gil_locked))?
            == 1;
        let owner = (is_locked && holder != 0)
            .then(|| self.native(holder))
            .flatten();
        Some(Gil { address, owner })
    }
}

#[cfg(test)]
mod tests;
