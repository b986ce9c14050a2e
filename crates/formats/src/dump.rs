use snapshot::{DumpFormat, Memory, Range, Snapshot, Warning};
use std::sync::Arc;

/// A dump file that was read.
#[derive(Clone)]
pub struct Dump {
    /// The format of the file.
    pub format: DumpFormat,
    /// The program that wrote it, as far as the file shows: `firstchance`, `Linux kernel or gcore`,
    /// …
    pub producer: String,
    /// Everything except the memory.
    pub snapshot: Snapshot,
    /// The memory that the file holds.
    pub memory: Arc<dyn Memory>,
    /// The addresses whose memory the file holds, ascending, without overlaps.
    pub ranges: Vec<Range>,
    /// The text of firstchance's record, without its padding; `None` in dumps of other programs.
    pub record: Option<Vec<u8>>,
    /// What is damaged or missing, one sentence each.
    pub warnings: Vec<Warning>,
}

/// Why a file cannot be read as a dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file begins like no known kind of dump.
    #[error("neither an ELF core nor a minidump")]
    Unknown,
    /// An ELF file that is not a core, such as a program or a library.
    #[error("an ELF file, but not a core")]
    NotACore,
    /// A core of a processor that is not supported.
    #[error("a core of an unsupported processor (ELF machine {0})")]
    Machine(u16),
    /// The head of the file is damaged, so that nothing else can be found in it.
    #[error("the head of the file is broken: {0}")]
    Broken(String),
}

/// The text of a record without its padding of NULs; `None` if it was never written.
pub(crate) fn record_text(reserved: &[u8]) -> Option<Vec<u8>> {
    let end = reserved.iter().position(|&byte| byte == 0);
    let text = &reserved[..end.unwrap_or(reserved.len())];
    (!text.is_empty()).then(|| text.to_vec())
}
