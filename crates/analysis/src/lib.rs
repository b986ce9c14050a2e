//! What a snapshot shows a person: stacks with names, the name of a fault, memory by class, the
//! language runtime; and, for who watches a live process, where it throws and what.
//!
//! No system call, no clock, no `cfg(target_os)`: everything is computed from a
//! [`snapshot::Snapshot`], a [`snapshot::Memory`], and files that the caller opens ([`Files`]).
//! So a Linux core is explained on Windows, and a live process just like its dump.
//!
//! Dumps and the files beside them may be broken or made to hurt: walks are bounded, arithmetic
//! wraps or is checked, and an expression that runs for ever is stopped.

mod arch;
mod demangle;
mod exception;
mod image;
mod memory;
pub mod places;
mod runtime;
mod stack;
pub mod thrown;

pub use demangle::demangle;
pub use exception::{exception_detail, exception_name, name_exception, signal_name, status_name};
pub use image::{DebugFile, FileBytes, Files, Source};
pub use memory::{Class, ClassSize, memory_summary};
pub use runtime::{Runtime, runtime, runtime_of};
pub use stack::{End, FRAME_LIMIT, Frame, How, Stack, Stacks, Symbol};
