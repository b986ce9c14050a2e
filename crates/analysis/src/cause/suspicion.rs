//! What a bad pointer looks like: text, the filling of an allocator, or a good pointer with one wrong bit.

use super::place::{Mapping, is_canonical, mapping_at};
use snapshot::{Architecture, Snapshot};
use std::fmt;

/// What a bad pointer looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Its bytes are letters: a text has overwritten it.
    Text(String),
    /// An allocator or a compiler has filled the memory with these bytes; this says why.
    Filling(&'static str),
    /// With another bit it would point into this memory.
    Bit(u32, Mapping),
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(
                f,
                "the pointer is the text \"{text}\": a text was written over it"
            ),
            Self::Filling(why) => write!(f, "the pointer is {why}"),
            Self::Bit(bit, mapping) => write!(
                f,
                "with bit {bit} the other way it would point into {mapping}: a single bit of it may have been flipped"
            ),
        }
    }
}

impl fmt::Display for Mapping {
    /// `/usr/lib/libc.so.6`, `[heap]`, or `memory without a name at 0x7f…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name[..] {
            "" => write!(f, "memory without a name at {:#x}", self.range.start),
            name => f.write_str(name),
        }
    }
}

/// Fillings, by four bytes that are repeated (Microsoft's "Memory management and the debug heap"; the option `junk` of jemalloc).
const FILLINGS: &[(u32, &str)] = &[
    (
        0xcdcd_cdcd,
        "memory of the debug heap that nobody has written to (0xCD)",
    ),
    (0xdddd_dddd, "memory that the debug heap has freed (0xDD)"),
    (0xfeee_feee, "memory that the heap has freed (0xFEEE)"),
    (
        0xcccc_cccc,
        "a variable on the stack that nobody has written to (0xCC)",
    ),
    (0x5a5a_5a5a, "memory that jemalloc has freed (0x5A)"),
    (
        0xa5a5_a5a5,
        "memory of jemalloc that nobody has written to (0xA5)",
    ),
];

/// Bits below this are not tried: with a lower one, most addresses near a mapping would lead into it.
const LOWEST_BIT: u32 = 28;

/// What the pointer looks like from which an address was computed. `address` is what could not be accessed.
pub(super) fn suspicion(snapshot: &Snapshot, pointer: u64, address: u64) -> Option<Suspicion> {
    let text = || text(pointer, snapshot.system.architecture).map(Suspicion::Text);
    filling(pointer)
        .map(Suspicion::Filling)
        .or_else(text)
        .or_else(|| flipped(snapshot, address))
}

fn text(pointer: u64, architecture: Architecture) -> Option<String> {
    let bytes = pointer.to_le_bytes();
    let bytes = &bytes[..architecture.pointer_size() as usize];
    let is_text = bytes
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    is_text.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn filling(pointer: u64) -> Option<&'static str> {
    let (low, high) = (pointer as u32, (pointer >> 32) as u32);
    let known = FILLINGS.iter().find(|(bytes, _)| *bytes == low)?;
    (high == low || high == 0).then_some(known.1)
}

/// The only bit with which the address would be one of memory that can be read.
fn flipped(snapshot: &Snapshot, address: u64) -> Option<Suspicion> {
    let width = 8 * snapshot.system.architecture.pointer_size() as u32;
    let bits = (LOWEST_BIT..width).map(|bit| (bit, address ^ 1 << bit));
    let mut found = bits.filter_map(|(bit, other)| {
        let mapping = mapping_at(snapshot, other).filter(|_| is_canonical(other))?;
        mapping
            .protection
            .read
            .then_some(Suspicion::Bit(bit, mapping))
    });
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::{Protection, Range, Region};

    #[test]
    fn a_bad_pointer_is_recognised_by_its_bytes() {
        let heap = Region {
            range: Range::new(0x5555_5555_0000, 0x5555_5556_0000),
            protection: Protection {
                read: true,
                write: true,
                execute: false,
            },
            name: "[heap]".to_owned(),
            ..Region::default()
        };
        let snapshot = Snapshot {
            regions: vec![heap],
            ..Snapshot::default()
        };
        let told = |pointer| suspicion(&snapshot, pointer, pointer).map(|found| found.to_string());
        assert!(
            told(0x4141_4141_4141_4141)
                .unwrap()
                .contains("\"AAAAAAAA\"")
        );
        assert!(
            told(0xfeee_feee_feee_feee)
                .unwrap()
                .contains("freed (0xFEEE)")
        );
        assert!(
            told(0x0001_5555_5555_0010)
                .unwrap()
                .starts_with("with bit 48 the other way it would point into [heap]")
        );
        assert!(told(0x1555_5555_0010).unwrap().starts_with("with bit 46 "));
        // Right beside the mapping: no bit has flipped.
        assert_eq!(told(0x5555_5556_0010), None);
        assert_eq!(told(0x1234_5678_9abc_0000), None);
    }
}
