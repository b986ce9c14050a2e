use serde::{Deserialize, Serialize};

/// What a dump says of itself; JSON inside the dump file (an ELF note, a minidump user stream).
///
/// It is written twice: at the head of the file, so that a list of dumps is a read of their heads,
/// and at its tail, where a dump that is streamed to a pipe can tell what only the end knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Record {
    /// `firstchance 0.1.0`.
    pub producer: String,
    /// Whether every byte that was wanted was written; false in a partial file.
    pub complete: bool,
    /// Why it was taken: `Manual dump`, `cpu >= 85% for 10s: 97%` …
    pub reason: String,
    /// The rule, as a sentence, or the command line that asked for it.
    pub rule: String,
    /// What the user said of it (`--comment`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When the target was stopped, RFC 3339 with offset.
    pub taken: String,
    /// `full`, `mini`, `custom 0x33` …
    pub kind: String,
    /// Pid and name of the target.
    pub pid: u32,
    /// Its name.
    pub process: String,
    /// How the memory was taken: `stopped`, `clone`, `not stopped`.
    pub method: String,
    /// How long the target stood still for this dump, in milliseconds; absent while unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<f64>,
    /// Bytes of memory in the dump.
    pub memory_bytes: u64,
    /// Memory that was wanted and could not be read: the first ones, ascending.
    pub gaps: Vec<Gap>,
    /// All gaps, also those that found no room in `gaps`.
    pub gap_count: u64,
    /// Bytes in all gaps.
    pub gap_bytes: u64,
    /// What did not go as wished, a sentence each.
    pub warnings: Vec<String>,
}

/// A range of memory that was wanted and is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First address, as `0x…`.
    pub address: String,
    /// Its length in bytes.
    pub bytes: u64,
}
