//! Extended registers in a plan.

use crate::{core, minidump};
use snapshot::{Architecture, SparseBytes};

/// The extended registers of one thread in the form of a dump's file. They are put into that form
/// each time that they are asked for: those of all threads together may be more than memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LazyRegisters {
    extended: SparseBytes,
    form: Form,
    size: u32,
}

/// What is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Notes of a core, of a thread of this architecture.
    CoreNotes(Architecture),
    /// An entry in our own stream of a minidump, for the thread with this id.
    MinidumpEntry(u32),
}

impl LazyRegisters {
    pub(crate) fn new(extended: &SparseBytes, form: Form) -> Self {
        Self {
            extended: extended.clone(),
            form,
            size: form.make(extended).len() as u32,
        }
    }

    /// Their length in the file, in bytes.
    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// Their bytes in the file.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.form.make(&self.extended);
        // They are shorter if what was stored cannot be read any more. Zeros keep the rest of the
        // file at its place.
        bytes.resize(self.size as usize, 0);
        bytes
    }
}

impl Form {
    fn make(self, extended: &SparseBytes) -> Vec<u8> {
        match self {
            Form::CoreNotes(architecture) => core::extended_notes(extended, architecture),
            Form::MinidumpEntry(thread) => minidump::registers_entry(thread, extended),
        }
    }
}
