//! Dump files: from a snapshot to the bytes of an ELF core or a minidump, and back; and the
//! identity of images (build-id, PDB).
//!
//! To write a dump, [`plan()`] turns a snapshot and a selection of its memory into a [`Plan`]: a
//! list of pieces whose sizes are all known before the first byte is written. The caller reads the
//! memory and writes the file. To read one, [`read()`] turns the bytes of a file into a [`Dump`].
//!
//! Nothing here calls the system or reads a clock. Cores of Linux can be read and written on
//! Windows, and minidumps of Windows on Linux.

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
mod other;
pub mod packed;
mod pieces;
mod plan;
mod read;
mod registers;
mod stream;

pub use core::{CoreNotes, Keep, NoteReader};
pub use dump::{Comment, Dump, ReadError};
pub use glance::{record, record_places};
pub use lazy_registers::LazyRegisters;
pub use minidump::offer;
pub use pieces::{Piece, RecordSpace, ShownAgain};
pub use plan::{HOLE, Plan, plan};
pub use read::{may_be_dump, read};
pub use snapshot::FileBytes;
pub use stream::{Extent, FIRST_LOOK, extent, trailer};
