use snapshot::{DumpFormat, Memory, Range, Snapshot, Warning};
use std::sync::Arc;

/// A dump file that was read.
#[derive(Clone)]
pub struct Dump {
    /// The format of the file.
    pub format: DumpFormat,
    /// The program that wrote it, as far as the file shows: `firstchance`, `Linux kernel or gcore`,
    /// …; empty if it does not.
    pub producer: String,
    /// Everything except the memory.
    pub snapshot: Snapshot,
    /// The memory that the file holds.
    pub memory: Arc<dyn Memory>,
    /// The addresses whose memory the file holds, ascending, without overlaps.
    pub ranges: Vec<Range>,
    /// The text of firstchance's record, without its padding; `None` in dumps of other programs.
    pub record: Option<Vec<u8>>,
    /// What another tool says of the dump: comments, such as ProcDump's, which say why it was taken, and annotations of
    /// Crashpad.
    pub comments: Vec<Comment>,
    /// What is damaged or missing, one sentence each.
    pub warnings: Vec<Warning>,
}

/// What the tool that took a dump, or the program itself, says in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What it is about: `comment`, or the key of an annotation.
    pub key: String,
    /// The text, in one or several lines.
    pub text: String,
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
    /// A dump of a kind that is not read.
    #[error("{what}, which firstchance does not read; {reader}")]
    Other {
        /// What it is: `a microdump of Breakpad`.
        what: String,
        /// The end of a sentence that says which tool reads it.
        reader: &'static str,
    },
    /// The head of the file is damaged, so that nothing else can be found in it.
    #[error("the head of the file is broken: {0}")]
    Broken(String),
}

impl ReadError {
    /// The sentence about that file.
    pub fn of_file(&self, path: impl std::fmt::Display) -> String {
        match self {
            ReadError::Other { .. } => format!("{path} is {self}"),
            _ => format!("{path} is no dump: {self}"),
        }
    }
}

/// The text of a record without its padding of NULs; `None` if it was never written.
pub(crate) fn record_text(reserved: &[u8]) -> Option<Vec<u8>> {
    let end = reserved.iter().position(|&byte| byte == 0);
    let text = &reserved[..end.unwrap_or(reserved.len())];
    (!text.is_empty()).then(|| text.to_vec())
}
