//! ELF cores (elf(5), core(5)) as the kernel's `fs/binfmt_elf.c` and gdb's `gcore` write them.
//!
//! What we write, in the order of the file:
//!
//! | part | what |
//! |---|---|
//! | `Ehdr`, `Phdr`s | one `PT_NOTE`, `PT_LOAD`s ascending, one [`PT_RECORD`] if there is a tail record; with 65,535 segments or more a section header holds their count (`PN_XNUM`) |
//! | notes | the kernel's order: first thread's `NT_PRSTATUS`, then what is of the process, then the first thread's other notes, then thread by thread; ours ([`OWNER`]) among and after them |
//! | memory | each run at a multiple of 4096 bytes, congruent with its address |
//! | tail record | the last bytes of the file |

mod file_notes;
mod head;
mod headers;
mod notes;
mod process_notes;
mod read;
mod rebuild;
mod segments;
mod thread_notes;
mod write;

pub use head::{CoreNotes, NoteReader};
pub(crate) use read::{read, record_parts};
pub(crate) use write::pieces;

/// Owner of the notes that are ours. Their types stay clear of the small numbers: gdb takes the
/// notes of owners that it does not know for the kernel's.
const OWNER: &str = "FIRSTCHANCE";
/// Note: the text of the record, padded with NUL.
const NT_RECORD: u32 = 0x4643_0001;
/// Note: the snapshot, as [`crate::metadata`] writes it.
const NT_SNAPSHOT: u32 = 0x4643_0002;
/// Segment, in the range for operating systems: the text of the record, again, at the end of the
/// file. Not a `PT_NOTE`, because lldb takes each of those for one thread more.
const PT_RECORD: u32 = 0x6000_4643;

/// Whether a note is the record at the head.
pub(crate) fn is_record(note: &crate::elf::Note<'_>) -> bool {
    note.owner == OWNER.as_bytes() && note.kind == NT_RECORD
}

/// What memory starts at a multiple of in the file, and segments are aligned to.
const PAGE: u64 = 4096;
