//! Minidumps (Microsoft's `minidumpapiset.h`, Breakpad's `minidump_format.h`).
//!
//! Minidumps of firstchance consist of: header, stream directory, record, streams and the data that
//! they refer to, thread contexts, the lists of threads and of memory, the memory (at a multiple of
//! 4096 bytes, so that it can be written past the page cache), and at the end the record again.
//!
//! Beside Microsoft's and Breakpad's streams there are three of our own:
//!
//! | type | holds |
//! |---|---|
//! | [`STREAM_RECORD`] | the text of the record, padded with NUL |
//! | [`STREAM_SNAPSHOT`] | the snapshot, as [`crate::metadata`] writes it |
//! | [`STREAM_REGISTERS`] | the threads' extended registers, see [`registers_stream`] |
//! | [`STREAM_TAIL`] | offset (8 bytes) and size (4 bytes) of the record at the end of the file, which a directory entry cannot state beyond 4 GiB |

mod body;
mod comments;
mod context;
mod file;
mod flags;
mod foreign_context;
mod lists;
mod modules;
mod names;
mod offer;
mod process_streams;
mod processor;
mod read;
mod rebuild;
mod registers_stream;
mod streams;
mod system_info;
mod thread_streams;
mod windows_streams;
mod write;
mod xstate;

pub use offer::offer;
pub(crate) use read::{read, record_at_head, record_parts};
pub(crate) use write::pieces;

/// Types of our streams: "FC", in the range for users' streams.
const STREAM_RECORD: u32 = 0x4643_0001;
const STREAM_SNAPSHOT: u32 = 0x4643_0002;
const STREAM_TAIL: u32 = 0x4643_0003;
const STREAM_REGISTERS: u32 = 0x4643_0004;

/// Up to this many bytes of memory are described by a `MemoryList`, as in mini dumps; more by a
/// `Memory64List`, which can describe more than 4 GiB and needs no offset for each range.
const MOST_IN_MEMORY_LIST: u64 = 256 << 20;
/// The memory begins at a multiple of this in the file, in bytes.
const PAGE: u64 = 4096;
