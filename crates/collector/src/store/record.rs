//! The record in each dump: why and how it was taken, and what is missing in it.

use crate::local_time::rfc3339;
use policy::Trigger;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The facts about a dump that are stored in the dump file itself, as JSON: in an ELF note or in a
/// user stream of a minidump.
///
/// It is written twice: at the head of the file, so that a folder of dumps can be listed by reading
/// their heads, and at its tail, because of a dump that is streamed to a pipe some facts are known
/// at the end only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Record {
    /// Program and version that wrote the dump: `firstchance 0.1.0`.
    pub producer: String,
    /// Whether every byte that was planned was written. It is false in a partial file.
    pub complete: bool,
    /// Whether the dump is still being written. A program that is killed leaves it true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub writing: bool,
    /// Why it was taken, as a sentence: `Manual dump`, `cpu >= 85% for 10s: 97%` …
    pub reason: String,
    /// Why it was taken, as a word ([`policy::TriggerKind::word`]): `manual`, `cpu`, `exception` …
    /// It is empty in dumps of versions that did not write it.
    pub trigger: String,
    /// The rule, as a sentence, or the command line that asked for the dump.
    pub rule: String,
    /// The user's comment (`--comment`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When the target was stopped: RFC 3339 with offset.
    pub taken: String,
    /// What it holds: `full`, `mini`, `custom 0x33` …
    pub kind: String,
    /// The pid of the target.
    pub pid: u32,
    /// The name of the target.
    pub process: String,
    /// The number of the user whose process it was; of a lent number (subuid(5)) the one who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The pid of the target in its own pid namespace, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_pid: Option<u32>,
    /// The id of the container that it ran in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The image of that container, if the files of its runtime name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The pod that it belongs to: `NAMESPACE/NAME`, or the uid of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Crash signature: signal and innermost frames. Crashes with the same signature are likely to
    /// have the same cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The name of the process that sent the signal, when the dump was taken; absent if that is not known, or is the process itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// How often the same crash of the same program came again and was only counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeats: u64,
    /// Whether the process was gone, or its pid another's, before it could be looked at. Only the
    /// kernel's core is then certain to be of the process.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raced: bool,
    /// How the memory was taken: `stopped`, `clone`, `crash`, `not stopped`, `kernel core`.
    pub method: String,
    /// Why the process itself was copied and no clone of it, where much of its memory was wanted; what follows "because".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place: Option<String>,
    /// How the dump was compressed while it was written: `zstd:1`; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// How long the target was stopped for this dump, in milliseconds; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<f64>,
    /// The threads that have used most processor time in the last seconds, if a rule watched that: the busiest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub busiest: Vec<BusyThread>,
    /// The time in which they did, up to the dump, in milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub busiest_over_ms: u64,
    /// Bytes of memory in the dump.
    pub memory_bytes: u64,
    /// How many of them are the same blocks on the disk as those of the dump before, because they had not changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_bytes: u64,
    /// The first ranges of memory that were wanted and are not in the dump, ascending: they could not be read, or were left
    /// out, as a warning says.
    pub gaps: Vec<Gap>,
    /// The number of all gaps, those that found no room in `gaps` included.
    pub gap_count: u64,
    /// Bytes in all gaps.
    pub gap_bytes: u64,
    /// Files that the target had mapped and that are too large for the dump: a debugger needs them beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent_files: Vec<AbsentFile>,
    /// What did not go as wished, a sentence each.
    pub warnings: Vec<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A range of memory that was wanted and is not in the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first address, as `0x…`.
    pub address: String,
    /// The length in bytes.
    pub bytes: u64,
}

/// A thread that has used processor time just before the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BusyThread {
    /// Its id.
    pub thread: u32,
    /// What it used, in milliseconds.
    pub used_ms: u64,
}

/// A file that was mapped and is not in the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentFile {
    /// Its path, as the process saw it.
    pub path: String,
    /// Its size in bytes, its inode and the time of its last change (RFC 3339): whether it still is the same.
    pub bytes: u64,
    /// See `bytes`.
    pub inode: u64,
    /// See `bytes`.
    pub modified: String,
}

impl AbsentFile {
    pub(crate) fn of(file: &snapshot::AbsentFile) -> Self {
        Self {
            path: file.name.clone(),
            bytes: file.facts.size,
            inode: file.inode,
            modified: rfc3339(file.facts.modified),
        }
    }
}

/// The bytes that are reserved for the record at the head of a dump, and as many at its tail.
pub(crate) const SPACE: u32 = 8 << 10;
/// Texts that are longer, in bytes, are cut to this length if the record does not fit.
const LONGEST_TEXT: usize = 512;

impl Record {
    /// A record of ours that says why a dump was taken and by which rule. All else is empty.
    pub fn new(trigger: &Trigger, rule: &str) -> Self {
        Self {
            producer: concat!("firstchance ", env!("CARGO_PKG_VERSION")).to_owned(),
            rule: rule.to_owned(),
            ..Self::of_trigger(trigger)
        }
    }

    /// A record that says why a dump was taken. All else is empty.
    pub(crate) fn of_trigger(trigger: &Trigger) -> Self {
        Self {
            reason: trigger.to_string(),
            trigger: trigger.kind().word().to_owned(),
            ..Self::default()
        }
    }

    /// Adds who worked just before the dump, and in which time.
    pub(crate) fn tell_busiest(&mut self, (busiest, over): (Vec<BusyThread>, Duration)) {
        self.busiest = busiest;
        self.busiest_over_ms = over.as_millis() as u64;
    }

    /// Whether this program wrote the dump, in whatever version.
    pub(crate) fn is_ours(&self) -> bool {
        self.producer.starts_with("firstchance ")
    }

    /// The record as JSON of at most `limit` bytes. Until it fits, gaps are left out, then long
    /// texts are cut, then warnings are left out from the end. The number of gaps stays.
    pub(crate) fn to_bytes(&self, limit: usize) -> Vec<u8> {
        let mut record = self.clone();
        loop {
            let bytes = serde_json::to_vec(&record).unwrap_or_default();
            if bytes.len() <= limit || !record.shrink() {
                return bytes;
            }
        }
    }

    /// Reads a record back; NUL padding behind it is ignored. Returns `None` if it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Record> {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        serde_json::from_slice(&bytes[..end]).ok()
    }

    /// Leaves something out. Returns false if nothing is left to leave out.
    fn shrink(&mut self) -> bool {
        if !self.gaps.is_empty() {
            self.gaps.truncate(self.gaps.len() / 2);
            return true;
        }
        if self.absent_files.len() > 1 {
            self.absent_files.truncate(self.absent_files.len() / 2);
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

/// A record's JSON at the exact length of its place in the file: filled up with NUL, or cut.
pub(crate) fn padded(record: &[u8], len: u32) -> Vec<u8> {
    let mut bytes = record.to_vec();
    bytes.resize(len as usize, 0);
    bytes
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

    #[test]
    fn the_trigger_is_a_word_beside_the_reason_and_is_read_back() {
        let signal = Trigger::Signal {
            number: 15,
            thread: 7,
            sender: Some(1),
            fault: None,
        };
        let record = Record::new(&signal, "on app, when signal SIGTERM, do mini dump");
        let bytes = record.to_bytes(SPACE as usize);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["trigger"], "signal");
        assert_eq!(json["reason"], "Signal: SIGTERM from process 1");
        assert_eq!(Record::parse(&padded(&bytes, SPACE)), Some(record));
    }

    /// Versions before the field wrote no `trigger`, and a later one may write fields that this one
    /// does not know.
    #[test]
    fn records_of_other_versions_are_read() {
        let json = br#"{"producer":"firstchance 0.0.9","reason":"Manual dump","new":[1]}"#;
        let record = Record::parse(json).unwrap();
        assert_eq!(record.reason, "Manual dump");
        assert_eq!(record.trigger, "");
        assert!(record.is_ours());
    }
}
