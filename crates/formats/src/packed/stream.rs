//! Compressed files that are read from their beginning.

use super::{Packing, packing, xz::Xz};
use crate::FileBytes;
use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use std::io::{self, BufRead, BufReader, Read};
use zstd::stream::read::Decoder;

/// The bytes that are read at once. A [`FileBytes`] gives them without keeping them.
const READ: usize = 256 << 10;

/// The content of a compressed file, from its beginning on. Content that needs a window of more than 128 MiB
/// (`zstd --long=28`, `xz --lzma2=dict=256MiB`) is refused, as zstd itself does.
///
/// # Errors
/// If there is no memory for it. Reading fails where the file is damaged or ends too early.
pub fn unpacked(file: &FileBytes, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    decoder(
        BufReader::with_capacity(READ, Bytes(file.clone(), 0)),
        packing,
    )
}

fn decoder<'b>(
    bytes: impl BufRead + Send + 'b,
    packing: Packing,
) -> io::Result<Box<dyn Read + Send + 'b>> {
    Ok(match packing {
        Packing::Zstd => Box::new(Decoder::with_buffer(bytes)?),
        Packing::Gzip => Box::new(MultiGzDecoder::new(bytes)),
        Packing::Xz => Box::new(Xz::new(bytes)),
        Packing::Lz4 => Box::new(FrameDecoder::new(bytes)),
    })
}

/// The first bytes of the content of a compressed file, `most` at most, and as far as `bytes`, the first ones of the file,
/// tell them. `None` if the file is not compressed.
pub fn head(bytes: &[u8], most: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let read = decoder(bytes, packing(bytes)?);
    // What was read before it failed is there: the bytes may end in the middle.
    let _ = read.and_then(|read| read.take(most).read_to_end(&mut content));
    Some(content)
}

/// A file, and the offset that is read next.
struct Bytes(FileBytes, u64);

impl Read for Bytes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.0.read_at(self.1, buf);
        self.1 += got as u64;
        Ok(got)
    }
}
