//! ELF cores (elf(5), core(5)) as the kernel's `fs/binfmt_elf.c` and gdb's `gcore` write them.
//!
//! Cores of firstchance consist of, in the order of the file:
//!
//! | part | what |
//! |---|---|
//! | `Ehdr`, `Phdr`s | one `PT_NOTE`, `PT_LOAD`s ascending, one [`PT_RECORD`] if there is a tail record; with 65,535 segments or more a section header holds their count (`PN_XNUM`) |
//! | notes | in the kernel's order: the `NT_PRSTATUS` of the first thread, the notes of the process, the other notes of the first thread, the notes of each other thread; our own ([`OWNER`]) among and after them |
//! | memory | each run at a multiple of 4096 bytes, congruent with its address; memory that is mapped several times is there once, and several `PT_LOAD`s refer to it |
//! | tail record | the last bytes of the file |

mod bsd;
mod extended_notes;
mod file_notes;
mod head;
mod headers;
mod notes;
mod process_notes;
mod read;
mod rebuild;
mod segments;
mod shown;
mod thread_notes;
mod write;

pub use head::{CoreNotes, Keep, NoteReader};
pub(crate) use read::{read, record_parts};
pub(crate) use write::pieces;

/// The owner of our own notes. Their types are large numbers: gdb takes notes of unknown owners for
/// the kernel's, whose types are small.
const OWNER: &str = "FIRSTCHANCE";
/// Type of the note with the text of the record, padded with NULs.
const NT_RECORD: u32 = 0x4643_0001;
/// Type of the note with the snapshot, as [`crate::metadata`] writes it.
const NT_SNAPSHOT: u32 = 0x4643_0002;
/// Type of a thread's note with the extended registers that have no place in the kernel's notes;
/// see [`mod@extended_notes`].
const NT_MORE_REGISTERS: u32 = 0x4643_0003;
/// Type of the segment with the text of the record at the end of the file; the number is in the
/// range for operating systems. It is not a `PT_NOTE`, because lldb takes each of those for a
/// thread.
const PT_RECORD: u32 = 0x6000_4643;

/// Whether a note is the record at the head.
pub(crate) fn is_record(note: &crate::elf::Note<'_>) -> bool {
    note.owner == OWNER.as_bytes() && note.kind == NT_RECORD
}

/// Memory begins at a multiple of this in the file, and segments are aligned to it; in bytes.
const PAGE: u64 = 4096;
