//! Frames as they are written, and the table of them.

use super::ZSTD;
use std::io::{self, Read};
use zstd::{
    bulk::Compressor,
    zstd_safe::{CParameter, compress_bound},
};

/// How much of a dump one frame has, in bytes. Smaller ones compress less, larger ones take more memory in each thread,
/// and more time for whoever reads a few bytes.
pub const FRAME: usize = 1 << 20;

/// Compresses one frame after the other.
pub struct FrameWriter {
    compressor: Compressor<'static>,
    /// Room for the largest frame, which is used again: the allocator would ask the system for each.
    room: Vec<u8>,
}

/// Levels from this one on look for matches in tables of tens of megabytes, which are more than our few threads may have.
const LARGE_TABLES: u8 = 6;
/// The size of each of two tables for these levels, as a power of two of entries with 4 bytes.
const TABLE: u32 = 19;

impl FrameWriter {
    /// Frames are compressed at this level of zstd.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(level: u8) -> io::Result<Self> {
        let mut compressor = Compressor::new(level.into())?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        if level >= LARGE_TABLES {
            compressor.set_parameter(CParameter::HashLog(TABLE))?;
            compressor.set_parameter(CParameter::ChainLog(TABLE))?;
        }
        Ok(Self {
            compressor,
            room: Vec::with_capacity(compress_bound(FRAME)),
        })
    }

    /// What one thread needs to make frames at this level, in bytes, the content and the frame included: as it was seen.
    pub fn memory(level: u8) -> usize {
        match level {
            0..LARGE_TABLES => 3 << 20,
            LARGE_TABLES..13 => 5 << 20,
            _ => 8 << 20,
        }
    }

    /// The frame of this content.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn frame(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        self.room.clear();
        self.room.reserve(compress_bound(content.len()));
        self.compressor
            .compress_to_buffer(content, &mut self.room)?;
        Ok(self.room.to_vec())
    }
}

/// The bytes before the content of a frame that is [`stored`].
pub(super) const STORED_HEAD: usize = 12;
/// The most that one block has (RFC 8878, 3.1.1.2.3).
const LARGEST_BLOCK: usize = 128 << 10;

/// A frame that has its content as it is, at its end, so that it can be changed in the file: one block that is "raw", and no
/// checksum (RFC 8878, 3.1.1). Also returns where in the frame the content is.
///
/// # Panics
/// If the content is longer than a block may be.
pub fn stored(content: &[u8]) -> (Vec<u8>, usize) {
    assert!(content.len() <= LARGEST_BLOCK, "one block");
    let mut frame = stored_head(content.len() as u32).to_vec();
    frame.extend_from_slice(content);
    (frame, STORED_HEAD)
}

/// The bytes before content of this length.
pub(super) fn stored_head(len: u32) -> [u8; STORED_HEAD] {
    /// The size of the content follows in four bytes, and is that of the window ("single segment").
    const DESCRIPTOR: u8 = 0b1010_0000;
    const LAST_BLOCK: u32 = 1;
    let mut head = [0; STORED_HEAD];
    head[..4].copy_from_slice(&ZSTD.to_le_bytes());
    head[4] = DESCRIPTOR;
    head[5..9].copy_from_slice(&len.to_le_bytes());
    head[9..].copy_from_slice(&(len << 3 | LAST_BLOCK).to_le_bytes()[..3]);
    head
}

/// The table of the frames of a file, which stands at its end.
#[derive(Debug, Default)]
pub struct SeekTable(zeekstd::SeekTable);

impl SeekTable {
    /// Adds the next frame: its length in the file, and that of its content.
    ///
    /// # Errors
    /// If there are too many frames for the format, 134 millions.
    pub fn add(&mut self, packed: usize, content: usize) -> io::Result<()> {
        self.0
            .log_frame(packed as u32, content as u32)
            .map_err(io::Error::other)
    }

    /// The bytes of the table.
    ///
    /// # Errors
    /// None that could be: it is written to memory.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.into_serializer().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
