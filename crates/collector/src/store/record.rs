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
    /// Whether it is still being written; a program that was killed leaves it so for ever.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub writing: bool,
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
    /// Its pid in its own pid namespace, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_pid: Option<u32>,
    /// The container it ran in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What that container was made of, where its runtime's files tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The pod it belongs to: `NAMESPACE/NAME`, or its uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// What crashes for the same cause have in common: the signal and the innermost frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// How often the same crash of the same program came again, and was only counted.
    #[serde(skip_serializing_if = "is_none")]
    pub repeats: u64,
    /// Whether the process was gone, or its pid another's, before it could be looked at: nothing
    /// here but the kernel's core is of it for sure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raced: bool,
    /// How the memory was taken: `stopped`, `clone`, `crash`, `not stopped`.
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

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A range of memory that was wanted and is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First address, as `0x…`.
    pub address: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What is reserved for the record at the head and at the tail of a dump, each.
pub(crate) const SPACE: u32 = 8 << 10;
/// What is kept of a text that would leave no room.
const LONGEST_TEXT: usize = 512;

/// The text of a record in the room for it, `len` bytes: cut off, or filled with NULs.
pub(crate) fn padded(text: &[u8], len: u32) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.resize(len as usize, 0);
    bytes
}

impl Record {
    /// The record as JSON of at most `limit` bytes: gaps, then warnings are left out from the end
    /// until it fits (their counts stay), and at last long texts are cut.
    pub(crate) fn to_bytes(&self, limit: usize) -> Vec<u8> {
        let mut record = self.clone();
        loop {
            let bytes = serde_json::to_vec(&record).unwrap_or_default();
            if bytes.len() <= limit || !record.shrink() {
                return bytes;
            }
        }
    }

    /// Reads a record back; NUL padding is ignored.
    pub fn parse(bytes: &[u8]) -> Option<Record> {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        serde_json::from_slice(&bytes[..end]).ok()
    }

    /// Leaves something out; false when there is nothing left to leave out.
    fn shrink(&mut self) -> bool {
        if !self.gaps.is_empty() {
            self.gaps.truncate(self.gaps.len() / 2);
            return true;
        }
        let texts = [
            Some(&mut self.rule),
            Some(&mut self.reason),
            self.comment.as_mut(),
        ];
        let long = texts
            .into_iter()
            .flatten()
            .find(|text| text.len() > LONGEST_TEXT);
        if let Some(text) = long {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT - 4));
            text.push('…');
            return true;
        }
        self.warnings.pop().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_always_fits_and_stays_readable() {
        let gap = |n: u64| Gap {
            address: format!("0x{n:x}"),
            bytes: 4096,
        };
        let record = Record {
            comment: Some("ü".repeat(100_000)),
            rule: "r".repeat(100_000),
            gaps: (0..10_000).map(gap).collect(),
            gap_count: 10_000,
            warnings: vec!["w".repeat(400); 100],
            ..Record::default()
        };
        let bytes = record.to_bytes(SPACE as usize);
        assert!(bytes.len() <= SPACE as usize);
        let mut stored = bytes;
        stored.resize(SPACE as usize, 0);
        assert_eq!(Record::parse(&stored).map(|r| r.gap_count), Some(10_000));
    }
}
