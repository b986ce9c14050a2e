//! What can be said about a process from a snapshot of it: its stacks with symbols, the name of its
//! exception, its memory by class, its language runtime. For a live process also: at which
//! addresses it throws exceptions, and which exception is thrown there.
//!
//! Nothing here calls the system or reads a clock: everything is computed from a
//! [`snapshot::Snapshot`], a [`snapshot::Memory`], and files that the caller opens ([`Files`]). So
//! a Linux core can be analysed on Windows, and a live process in the same way as its dump.
//!
//! Dumps and images may be damaged or made to do harm: walks are bounded, arithmetic wraps or is
//! checked, and an expression that does not end is stopped.

mod bytes;
pub mod cause;
pub mod compare;
mod demangle;
mod examine;
mod exception;
pub mod heap;
mod image;
mod languages;
mod lines;
mod memory;
pub mod places;
mod python_object;
mod runtime;
mod runtime_threads;
mod stack;
pub mod thrown;
mod unwind;
pub mod waits;

pub use demangle::demangle;
pub use examine::{Examined, examine, examine_rest};
pub use exception::{exception_detail, exception_name, name_exception, status_name};
pub use image::{Candidates, DebugFile, Files, NoFiles, OpenImages, Source, Symbol};
pub use languages::{Blocked, Gil, Java, JavaThread, LanguageFrame, Object, Python, PythonThread};
pub use lines::{Line, Lookup, Place, Trouble, breakpad_id, is_table_of};
pub use memory::{Class, ClassSize, memory_summary};
pub use runtime::{Runtime, runtime, runtime_of};
pub use runtime_threads::{Creator, Go, Goroutine, Languages, languages};
pub use snapshot::FileBytes;
pub use stack::{End, FRAME_LIMIT, Frame, How, LeftOut, Stack, Stacks};
