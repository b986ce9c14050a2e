//! The head of the core that the kernel streams to its crash handler: headers and notes, which come
//! before the memory.

use formats::{CoreNotes, Extent, FIRST_LOOK, NoteReader};
use platform::{Error, ErrorKind, RegisterStore, Result, xsave_layout};
use snapshot::{
    SparseBytes,
    auxv::{self, AT_EGID, AT_EUID, AT_GID, AT_SECURE, AT_UID},
};
use std::io::{self, Read};

/// A head of more bytes is refused. The notes of ten thousand threads take less.
const LARGEST_HEAD: u64 = 192 << 20;
/// The bytes that are read and kept as one piece.
const PIECE: usize = 64 << 10;

/// The bytes of the kernel's core that come before the memory, and what they say.
#[derive(Clone, Debug, Default)]
pub struct CoreHead {
    /// The bytes as they came, in pieces of [`PIECE`]. Most of them are the registers of threads, of
    /// which there may be more than memory.
    bytes: Vec<SparseBytes>,
    /// The length of the whole core in bytes, if the headers tell it.
    pub end: Option<u64>,
    notes: CoreNotes,
}

impl CoreHead {
    /// Reads the head from the kernel's stream.
    ///
    /// # Errors
    /// If the stream cannot be read, or is not a core. `taken` has then what was read of it.
    pub fn read(stream: &mut dyn Read, taken: &mut Vec<u8>) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(
                ErrorKind::Other,
                format!("reading the kernel's core failed: {e}"),
            )
        };
        let no_core = || Error::new(ErrorKind::Other, "what came on standard input is no core");
        fill(stream, taken, FIRST_LOOK as u64).map_err(failed)?;
        let extent = formats::extent(taken).ok_or_else(no_core)?;
        let mut store = RegisterStore::default();
        let keep = Box::new(move |bytes: &[u8]| store.keep(bytes));
        let notes = NoteReader::new(taken, xsave_layout().clone(), keep).ok_or_else(no_core)?;
        if extent.head > LARGEST_HEAD || extent.notes > extent.head {
            return Err(no_core());
        }
        fill(stream, taken, extent.notes).map_err(failed)?;
        let mut head = Self::of_bytes(&std::mem::take(taken));
        head.end = head.extent().and_then(|extent| extent.end);
        head.read_notes(stream, extent.head - extent.notes, notes)
            .map_err(failed)?;
        Ok(head)
    }

    /// The head of a core that was cut short: bytes alone, with no notes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.chunks(PIECE).map(SparseBytes::new).collect(),
            ..Self::default()
        }
    }

    /// Takes the notes out of the head, so that their memory can be freed early.
    pub fn take_notes(&mut self) -> CoreNotes {
        std::mem::take(&mut self.notes)
    }

    /// The user and the group that the program was started for, unless it got other rights than
    /// theirs when it was started.
    ///
    /// The kernel wrote this note for the process that crashed, so that it is never about another
    /// process that has the same pid by now.
    pub fn started_for(&self) -> Option<(u32, u32)> {
        let value = |entry| auxv::value(&self.notes.auxv, entry);
        let (uid, gid) = (value(AT_UID)?, value(AT_GID)?);
        // AT_SECURE is not 0 if the program got more rights than its user by set-user-id,
        // set-group-id or capabilities.
        let is_plain = value(AT_SECURE)? == 0 && value(AT_EUID)? == uid && value(AT_EGID)? == gid;
        let ids = Some((u32::try_from(uid).ok()?, u32::try_from(gid).ok()?));
        ids.filter(|_| is_plain)
    }

    /// The bytes as they came, piece by piece.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        self.bytes.iter().map(SparseBytes::to_vec)
    }

    /// What the headers say of the core's length. They must all have been read.
    fn extent(&self) -> Option<Extent> {
        formats::extent(&self.pieces().flatten().collect::<Vec<u8>>())
    }

    fn read_notes(
        &mut self,
        stream: &mut dyn Read,
        size: u64,
        mut notes: NoteReader,
    ) -> io::Result<()> {
        let mut left = size;
        let mut piece = Vec::with_capacity(PIECE);
        let mut store = RegisterStore::default();
        while left > 0 {
            piece.clear();
            fill(stream, &mut piece, left.min(PIECE as u64))?;
            if piece.is_empty() {
                break;
            }
            left -= piece.len() as u64;
            notes.feed(&piece);
            self.bytes.push(store.keep(&piece));
        }
        self.notes = notes.done();
        Ok(())
    }
}

/// Reads until `taken` has `wanted` bytes, or the stream ends.
fn fill(stream: &mut dyn Read, taken: &mut Vec<u8>, wanted: u64) -> io::Result<()> {
    let missing = wanted.saturating_sub(taken.len() as u64);
    stream.take(missing).read_to_end(taken)?;
    Ok(())
}
