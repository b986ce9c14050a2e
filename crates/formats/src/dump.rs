use snapshot::{DumpFormat, Memory, Range, Snapshot, Warning};
use std::sync::Arc;

/// The bytes of a file, however they are held (read, or mapped into memory).
pub type FileBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a dump file told.
#[derive(Clone)]
pub struct Dump {
    /// The shape of the file.
    pub format: DumpFormat,
    /// Who wrote it, as far as the file shows: `firstchance`, `Linux kernel or gcore`, …
    pub producer: String,
    /// All but the memory.
    pub snapshot: Snapshot,
    /// The memory that the file holds.
    pub memory: Arc<dyn Memory>,
    /// Where there is memory in the file, ascending, without overlaps.
    pub ranges: Vec<Range>,
    /// The text of the record, without its padding; `None` in dumps of others.
    pub record: Option<Vec<u8>>,
    /// What is broken or missing, a sentence each.
    pub warnings: Vec<Warning>,
}

/// Why a file could not be read as a dump at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file begins like no dump that is known.
    #[error("neither an ELF core nor a minidump")]
    Unknown,
    /// An ELF file, but no core: a program, a library …
    #[error("an ELF file, but not a core")]
    NotACore,
    /// A core of a machine that is not supported.
    #[error("a core of an unsupported processor (ELF machine {0})")]
    Machine(u16),
    /// The head of the file is broken, so that nothing behind it can be found.
    #[error("the head of the file is broken: {0}")]
    Broken(String),
}

/// Reads a dump. What can be read is read; what is broken is named in [`Dump::warnings`].
pub fn read(file: FileBytes) -> Result<Dump, ReadError> {
    let head: [u8; 4] = match (*file).as_ref().first_chunk() {
        Some(head) => *head,
        None => return Err(ReadError::Unknown),
    };
    match &head {
        b"\x7fELF" => crate::core::read(file),
        b"MDMP" => crate::minidump::read(file),
        _ => Err(ReadError::Unknown),
    }
}

/// A record without its padding; `None` where nothing was ever written. A text has no NUL in it.
pub(crate) fn record_text(reserved: &[u8]) -> Option<Vec<u8>> {
    let end = reserved.iter().position(|&byte| byte == 0);
    let text = &reserved[..end.unwrap_or(reserved.len())];
    (!text.is_empty()).then(|| text.to_vec())
}
