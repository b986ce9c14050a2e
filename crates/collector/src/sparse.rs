//! Streams with long runs of zeros, which become holes of a file.

use std::io::{self, Read};

/// The bytes that are read at once.
pub(crate) const CHUNK: usize = 1 << 20;
/// A block of this length, in bytes, is not written if it is all zeros: it becomes a hole.
pub(crate) const HOLE: usize = 64 << 10;

static ZEROS: [u8; HOLE] = [0; HOLE];

/// Whether all bytes are zeros.
pub(crate) fn is_hole(part: &[u8]) -> bool {
    // A comparison of slices is fast, also where our own code is not optimized.
    part.chunks(HOLE)
        .all(|block| *block == ZEROS[..block.len()])
}

/// The parts of a chunk between its holes, each with its offset in the chunk, in bytes.
pub(crate) fn stored_parts(chunk: &[u8]) -> Vec<(usize, &[u8])> {
    let mut parts: Vec<(usize, &[u8])> = Vec::new();
    for (at, block) in chunk
        .chunks(HOLE)
        .enumerate()
        .map(|(n, block)| (n * HOLE, block))
    {
        match parts.last_mut() {
            _ if is_hole(block) => {}
            Some((start, part)) if *start + part.len() == at => {
                *part = &chunk[*start..at + block.len()]
            }
            _ => parts.push((at, block)),
        }
    }
    parts
}

/// Reads until the buffer is full or the stream ends. Returns the number of bytes.
pub(crate) fn read_full(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match stream.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_between_holes_are_whole() {
        let mut chunk = vec![0; 5 * HOLE + 9];
        chunk[HOLE] = 1;
        chunk[3 * HOLE - 1] = 1;
        chunk[5 * HOLE] = 1;
        let parts = stored_parts(&chunk).into_iter();
        let places: Vec<_> = parts.map(|(at, part)| (at, part.len())).collect();
        assert_eq!(places, [(HOLE, 2 * HOLE), (5 * HOLE, 9)]);
    }
}
