//! Content that xz has compressed: one stream or several, with zeros between them (`xz-file-format.txt`, 2.2).

use std::io::{self, BufRead, ErrorKind, Read};
use xz4rust::{XzDecoder, XzError, XzNextBlockResult};

/// The largest dictionary, in bytes; `xz -9` needs 64 MiB.
const LARGEST: usize = 128 << 20;
/// The dictionary grows from this size on, as the file demands.
const FIRST: usize = 64 << 10;

/// Decompresses as it is read.
pub(super) struct Xz<R> {
    bytes: R,
    decoder: Box<XzDecoder<'static>>,
    /// Whether a stream has ended, and the next has not begun.
    is_between: bool,
}

impl<R: BufRead> Xz<R> {
    pub(super) fn new(bytes: R) -> Self {
        Self {
            bytes,
            decoder: XzDecoder::in_heap_with_alloc_dict_size(FIRST, LARGEST),
            is_between: false,
        }
    }

    /// Passes the zeros behind a stream. Returns whether another one follows.
    fn begin_next(&mut self) -> io::Result<bool> {
        loop {
            let there = self.bytes.fill_buf()?;
            let zeros = there.iter().take_while(|byte| **byte == 0).count();
            let is_end = there.is_empty();
            let is_all = zeros == there.len();
            self.bytes.consume(zeros);
            if is_end {
                return Ok(false);
            }
            if !is_all {
                self.decoder.reset();
                self.is_between = false;
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> Read for Xz<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() {
            if self.is_between && !self.begin_next()? {
                return Ok(0);
            }
            let there = self.bytes.fill_buf()?;
            if there.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let step = self.decoder.decode(there, buf).map_err(failed)?;
            self.bytes.consume(step.input_consumed());
            self.is_between = matches!(step, XzNextBlockResult::EndOfStream(..));
            if step.output_produced() > 0 {
                return Ok(step.output_produced());
            }
        }
        Ok(0)
    }
}

fn failed(error: XzError) -> io::Error {
    let what = match error {
        XzError::UnsupportedLzmaProperties(_) | XzError::DictionaryTooLarge(_) => {
            format!("its dictionary is larger than {} MiB", LARGEST >> 20)
        }
        other => format!("xz: {other}"),
    };
    io::Error::new(ErrorKind::InvalidData, what)
}
