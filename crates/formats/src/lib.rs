//! Bytes ↔ snapshot, nothing else: ELF cores, minidumps, the identity of images.
//!
//! Writing is a pure function: [`plan()`] turns a snapshot and a selection of its memory into a
//! [`Plan`], a list of pieces whose sizes are all known before the first byte is written; the
//! memory itself is fetched by whoever carries the plan out.
//! Reading is the other way round: [`read`] turns the bytes of a file into a [`Dump`].
//!
//! No system call, no clock, no `cfg(target_os)`: a Linux core is read and written on Windows and
//! the other way round.

mod bytes;
mod core;
mod dump;
mod elf;
mod fxsave;
mod glance;
pub mod image;
mod lazy_registers;
mod memory;
mod metadata;
mod minidump;
mod plan;
mod stream;

pub use core::{CoreNotes, Keep, NoteReader};
pub use dump::{Dump, FileBytes, ReadError, read};
pub use glance::{record, record_places};
pub use lazy_registers::LazyRegisters;
pub use plan::{Piece, Plan, RecordSpace, plan};
pub use stream::{Extent, FIRST_LOOK, extent, trailer};
