//! Reading of single frames.

use super::frame::{STORED_HEAD, stored_head};
use crate::FileBytes;
use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, PoisonError},
};
use zeekstd::{OffsetFrom, SeekTable};
use zstd::bulk::Decompressor;

/// Files with larger frames are read from their beginning: so much memory is not taken for a few bytes.
const LARGEST_FRAME: u64 = 8 << 20;
/// The same for files with more frames, whose table would take as much.
const MOST_FRAMES: u32 = 1 << 20;
/// So many frames are kept, decompressed.
const KEPT: usize = 4;

/// A compressed file of which any part can be read.
pub struct Seekable {
    file: FileBytes,
    table: SeekTable,
    /// The frames that were read last, each with its number, the latest at the end.
    kept: Mutex<VecDeque<(u32, Vec<u8>)>>,
    trouble: Mutex<Option<String>>,
}

impl Seekable {
    /// Reads the table at the end of a file. Returns `None` if there is none, or the file is not as it says: such a file can
    /// still be read from its beginning.
    pub fn open(file: &FileBytes) -> Option<Self> {
        let len = (**file).as_ref().len() as u64;
        let frames = frames_in(file, len)?;
        let mut end = End { file, len, at: 0 };
        let table = SeekTable::from_seekable(&mut end).ok()?;
        let is_small = table.max_frame_size_decomp() <= LARGEST_FRAME
            && table.max_frame_size_comp() <= LARGEST_FRAME * 2;
        // The table is a frame that readers skip, of 17 bytes and 8 or 12 for each entry.
        let behind = len.checked_sub(table.size_comp())?.checked_sub(17)?;
        let is_all = [8, 12]
            .map(|entry| u64::from(frames) * entry)
            .contains(&behind);
        (is_small && is_all).then(|| Self {
            file: file.clone(),
            table,
            kept: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// The length of the content in bytes.
    pub fn len(&self) -> u64 {
        self.table.size_decomp()
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies content from the offset `at` on into `buf`. Returns how many bytes there were, from the start of `buf` on:
    /// fewer than its length if the content ends, or a frame is damaged.
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            match self.copy(at.saturating_add(done as u64), &mut buf[done..]) {
                0 => break,
                got => done += got,
            }
        }
        done
    }

    /// What was found damaged while it was read, as a sentence; `None` if nothing was.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Where in the file `len` bytes of content are that can be changed there: they are a frame of their own, which is stored
    /// as it is.
    pub fn stored_at(&self, at: u64, len: usize) -> Option<u64> {
        let frame = (at < self.len()).then(|| self.table.frame_index_decomp(at))?;
        let start = self.table.frame_start_comp(frame).ok()?;
        let mut head = [0; STORED_HEAD];
        let is_whole = self.table.frame_start_decomp(frame).ok()? == at
            && self.table.frame_size_decomp(frame).ok()? == len as u64
            && self.table.frame_size_comp(frame).ok()? == (STORED_HEAD + len) as u64
            && self.file.read_at(start, &mut head) == STORED_HEAD
            && head == stored_head(len as u32);
        is_whole.then_some(start + STORED_HEAD as u64)
    }

    /// Copies from one frame. Returns how many bytes.
    fn copy(&self, at: u64, buf: &mut [u8]) -> usize {
        if at >= self.len() {
            return 0;
        }
        let frame = self.table.frame_index_decomp(at);
        let mut kept = lock(&self.kept);
        if let Some(place) = kept.iter().position(|(number, _)| *number == frame) {
            let last = kept.remove(place);
            kept.extend(last);
        } else {
            match self.frame(frame) {
                Ok(content) => {
                    if kept.len() == KEPT {
                        kept.pop_front();
                    }
                    kept.push_back((frame, content));
                }
                Err(error) => {
                    self.note(frame, &error);
                    return 0;
                }
            }
        }
        let start = self.table.frame_start_decomp(frame).unwrap_or(at);
        let content = kept.back().map_or(&[][..], |(_, content)| content);
        let rest = content.get((at - start) as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        count
    }

    /// Decompresses one frame.
    fn frame(&self, frame: u32) -> io::Result<Vec<u8>> {
        let size =
            |size: zeekstd::Result<u64>| size.map(|size| size as usize).map_err(io::Error::other);
        let mut packed = vec![0; size(self.table.frame_size_comp(frame))?];
        let start = self
            .table
            .frame_start_comp(frame)
            .map_err(io::Error::other)?;
        if self.file.read_at(start, &mut packed) < packed.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = size(self.table.frame_size_decomp(frame))?;
        let content = Decompressor::new()?.decompress(&packed, len)?;
        match content.len() == len {
            true => Ok(content),
            false => Err(io::Error::other(
                "it has another length than the table says",
            )),
        }
    }

    fn note(&self, frame: u32, error: &io::Error) {
        let start = self.table.frame_start_decomp(frame).unwrap_or(0);
        let end = self.table.frame_end_decomp(frame).unwrap_or(start);
        lock(&self.trouble).get_or_insert_with(|| {
            format!(
                "the compressed file is damaged: the bytes {start} to {end} of its content cannot be read ({error}), and perhaps others"
            )
        });
    }
}

/// How many frames the last bytes of the file tell of, if so many can be in it. It is checked before anything is set aside for
/// them.
fn frames_in(file: &FileBytes, len: u64) -> Option<u32> {
    let mut last = [0; 9];
    let got = file.read_at(len.checked_sub(last.len() as u64)?, &mut last);
    let frames = u32::from_le_bytes(*last.first_chunk()?);
    let is_possible = frames > 0 && frames <= MOST_FRAMES && u64::from(frames) * 8 <= len;
    (got == last.len() && is_possible).then_some(frames)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file as the reader of the table wants it.
struct End<'f> {
    file: &'f FileBytes,
    len: u64,
    at: u64,
}

impl zeekstd::Seekable for End<'_> {
    fn set_offset(&mut self, offset: OffsetFrom) -> zeekstd::Result<u64> {
        let wanted = match offset {
            OffsetFrom::Start(at) => Some(at),
            OffsetFrom::End(back) => self.len.checked_add_signed(back),
        };
        let outside = || zeekstd::Error::from(io::Error::from(io::ErrorKind::UnexpectedEof));
        self.at = wanted.ok_or_else(outside)?;
        Ok(self.at)
    }

    fn read(&mut self, buf: &mut [u8]) -> zeekstd::Result<usize> {
        let got = self.file.read_at(self.at, buf);
        self.at += got as u64;
        Ok(got)
    }

    fn seek_table_integrity(&mut self, _: zeekstd::seek_table::Format) -> zeekstd::Result<[u8; 9]> {
        self.set_offset(OffsetFrom::End(-9))?;
        let mut last = [0; 9];
        self.read(&mut last)?;
        Ok(last)
    }
}
