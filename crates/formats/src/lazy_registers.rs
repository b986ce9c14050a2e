//! Extended registers in a plan.

use snapshot::SparseBytes;
use std::{fmt, sync::Arc};

/// The extended registers of one thread in the form of a dump's file. They are put into that form
/// each time that they are asked for: those of all threads together may be more than memory.
#[derive(Clone)]
pub struct LazyRegisters {
    extended: SparseBytes,
    form: Form,
    size: u32,
}

/// Puts registers into the form of a file. It is called more than once and must always return as
/// many bytes, unless the registers cannot be read any more.
type Form = Arc<dyn Fn(&SparseBytes) -> Vec<u8> + Send + Sync>;

impl LazyRegisters {
    pub(crate) fn new(
        extended: &SparseBytes,
        form: impl Fn(&SparseBytes) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self {
            extended: extended.clone(),
            size: form(extended).len() as u32,
            form: Arc::new(form),
        }
    }

    /// Their length in the file, in bytes.
    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// Their bytes in the file.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = (self.form)(&self.extended);
        // They are shorter if what was stored cannot be read any more. Zeros keep the rest of the
        // file at its place.
        bytes.resize(self.size as usize, 0);
        bytes
    }
}

/// Registers are equal if their bytes in the file are.
impl PartialEq for LazyRegisters {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.to_vec() == other.to_vec()
    }
}

impl Eq for LazyRegisters {}

impl fmt::Debug for LazyRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LazyRegisters({} bytes)", self.size)
    }
}
