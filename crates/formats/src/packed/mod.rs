//! Compressed dumps. firstchance writes zstd's seekable format: frames that are compressed each for itself, and a table
//! of them at the end (`contrib/seekable_format` of zstd), so that one frame is read without the others. Whatever reads
//! zstd reads it. Those of others, compressed as a whole by zstd, gzip, xz or lz4, are read from their beginning.

mod frame;
mod seekable;
#[cfg(all(test, unix))]
mod strangers;
mod stream;
#[cfg(test)]
mod tests;
mod xz;

pub use frame::{FRAME, FrameWriter, SeekTable, stored};
pub use seekable::Seekable;
pub use stream::{head, unpacked};

/// What a file was compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// zstd, seekable or not.
    Zstd,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// lz4, its frame format.
    Lz4,
}

impl Packing {
    /// The endings that files have which are compressed, with their dots.
    pub const ENDINGS: [&str; 4] = [".zst", ".gz", ".xz", ".lz4"];
}

/// The first bytes of a frame of zstd (RFC 8878, 3.1.1), and of one that readers skip, without its last digit (3.1.2).
const ZSTD: u32 = 0xFD2F_B528;
const SKIPPED: u32 = 0x184D_2A50;
/// The first bytes of a frame of lz4 (`lz4_Frame_format.md`), and of a stream of xz (`xz-file-format.txt`, 2.1.1.1).
const LZ4: u32 = 0x184D_2204;
const XZ: &[u8; 6] = b"\xfd7zXZ\0";

/// What a file was compressed with, by its first bytes. `None` if it was not.
pub fn packing(bytes: &[u8]) -> Option<Packing> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Some(Packing::Gzip);
    }
    if bytes.starts_with(XZ) {
        return Some(Packing::Xz);
    }
    let magic = u32::from_le_bytes(*bytes.first_chunk()?);
    if magic == LZ4 {
        return Some(Packing::Lz4);
    }
    (magic == ZSTD || magic & !0xF == SKIPPED).then_some(Packing::Zstd)
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Packing::Zstd => "zstd",
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Lz4 => "lz4",
        })
    }
}
