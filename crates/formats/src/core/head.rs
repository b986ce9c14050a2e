//! Reading the notes of a core while they come from a pipe. The notes of all threads are never in
//! memory at once: a process may have ten thousand threads.

use super::{file_notes::Notes, rebuild};
use crate::elf::{Head, notes};
use object::elf;
use snapshot::{Architecture, Exception, SparseBytes, Thread, XsaveLayout, auxv};

/// What only the notes of a core tell.
#[derive(Clone, Debug, Default)]
pub struct CoreNotes {
    /// In the kernel's order: the thread that crashed is the first.
    pub threads: Vec<Thread>,
    /// The signal that ended the process, as an exception.
    pub exception: Option<Exception>,
    /// The auxiliary vector (getauxval(3)), without the entry that ends it.
    pub auxv: Vec<(u64, u64)>,
    /// The size of the words in it, in bytes.
    pub word: u64,
}

/// Keeps the extended registers of a thread, of which there may be more than memory.
pub type Keep = Box<dyn FnMut(&[u8]) -> SparseBytes + Send>;

/// Reads notes from pieces of the note segment, in order.
pub struct NoteReader {
    architecture: Architecture,
    layout: XsaveLayout,
    keep: Keep,
    /// The beginning of a note that is not complete yet.
    rest: Vec<u8>,
    /// The notes of the current thread so far.
    thread: Vec<u8>,
    told: CoreNotes,
}

/// The alignment of notes in the kernel's cores, in bytes.
const ALIGN: u64 = 4;
/// The size of a note's head, in bytes: `namesz`, `descsz`, `type`.
const NOTE_HEAD: usize = 12;
/// The longest note, in bytes; what claims to be longer is damaged.
const LONGEST: usize = 64 << 20;

impl NoteReader {
    /// A reader for a core that begins with `head`; `None` if this is not the head of a core.
    ///
    /// `layout` is that of the processor on which the core is being written: the note that tells it
    /// comes after all threads.
    pub fn new(head: &[u8], layout: XsaveLayout, keep: Keep) -> Option<Self> {
        let architecture = super::read::architecture(&Head::of(head)?).ok()?;
        Some(Self {
            architecture,
            layout,
            keep,
            rest: Vec::new(),
            thread: Vec::new(),
            told: CoreNotes::default(),
        })
    }

    /// Takes the next bytes of the notes.
    pub fn feed(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.rest);
        let mut left = &bytes[..];
        while let Some((note, after)) = whole_note(left) {
            if begins_thread(note) {
                self.end_thread();
            }
            self.thread.extend_from_slice(note);
            left = after;
        }
        self.rest = left.to_vec();
    }

    /// What all the notes told.
    pub fn done(mut self) -> CoreNotes {
        self.end_thread();
        self.told.exception = self.told.threads.first().and_then(rebuild::fault);
        self.told
    }

    fn end_thread(&mut self) {
        let mut sorted = Notes::default();
        notes(&self.thread, ALIGN).for_each(|note| sorted.add(note));
        for notes in &sorted.threads {
            if let Some(mut thread) = notes.thread(self.architecture) {
                let extended = notes.extended(self.architecture, Some(&self.layout));
                thread.extended = (self.keep)(&extended);
                self.told.threads.push(thread);
            }
        }
        if let Some(auxv) = sorted.auxv {
            self.told.word = self.architecture.pointer_size();
            self.told.auxv = auxv::entries(auxv, self.told.word);
        }
        self.thread.clear();
    }
}

/// The note at the start of `bytes`, and the bytes behind it; `None` if the note is not complete
/// yet.
fn whole_note(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let padded = |size: usize| size.min(LONGEST).next_multiple_of(ALIGN as usize);
    let size = NOTE_HEAD + padded(word(0)?) + padded(word(4)?);
    bytes.split_at_checked(size)
}

fn begins_thread(note: &[u8]) -> bool {
    let kind = note.get(8..).and_then(|kind| kind.first_chunk());
    kind == Some(&elf::NT_PRSTATUS.0.to_le_bytes())
}
