//! Minidumps (Microsoft's `minidumpapiset.h`, Breakpad's `minidump_format.h`).
//!
//! What we write, in the order of the file: header, stream directory, record, streams and what
//! they refer to, thread contexts, the lists of threads and of memory, the memory (at a multiple
//! of 4096, so that it can be written past the page cache), and at the very end the record again.
//!
//! Streams of our own, beside Microsoft's and Breakpad's:
//!
//! | type | holds |
//! |---|---|
//! | [`STREAM_RECORD`] | the text of the record, padded with NUL |
//! | [`STREAM_SNAPSHOT`] | the snapshot, as [`crate::metadata`] writes it |
//! | [`STREAM_TAIL`] | offset (8 bytes) and size (4 bytes) of the record at the end of the file, which a directory entry could not tell beyond 4 GiB |

mod body;
mod context;
mod file;
mod lists;
mod modules;
mod process_streams;
mod read;
mod rebuild;
mod streams;
mod windows_streams;
mod write;
mod xstate;

pub(crate) use read::{read, record_at_head, record_parts};
pub(crate) use write::pieces;

/// "FC", in the range for users' streams.
const STREAM_RECORD: u32 = 0x4643_0001;
const STREAM_SNAPSHOT: u32 = 0x4643_0002;
const STREAM_TAIL: u32 = 0x4643_0003;

/// Memory up to this many bytes goes into a `MemoryList`, as mini dumps have it, more into a
/// `Memory64List`, which alone can hold more than 4 GiB and needs no offset for each range.
const MOST_IN_MEMORY_LIST: u64 = 256 << 20;
/// What the memory starts at a multiple of in the file.
const PAGE: u64 = 4096;
