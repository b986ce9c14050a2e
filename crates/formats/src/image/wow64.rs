//! The 32-bit side of a 32-bit process that is shown as the 64-bit process that Windows runs it in (WOW64). A debugger
//! that changes to the 32-bit side (WinDbg's `.effmach x86`) begins at the 64-bit TEBs.
//!
//! Offsets are those of the public symbols of `ntdll` (`_TEB`, `_TEB32`).

use snapshot::{Memory, Range, Snapshot, narrow_teb};

/// How much of a 32-bit TEB is taken, in bytes: a page.
const TEB: u64 = 0x1000;
/// Its fields: the end and the begin of the stack in use, the PEB.
const STACK_BASE: u64 = 0x04;
const STACK_LIMIT: u64 = 0x08;
const PEB: u64 = 0x30;
/// In the 64-bit TEB, the slot with the address of the 32-bit registers (`WOW64_TLS_CPURESERVED`), and how much is taken
/// there, in bytes.
const REGISTERS: u64 = 0x1488;
const REGISTERS_SIZE: u64 = 0x400;
/// How much of a stack is taken, in bytes: the newest frames.
const STACK: u64 = 1 << 20;

/// The 32-bit side of a process.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Narrow {
    /// The address of its PEB; 0 if it has none.
    pub(super) peb: u64,
    /// Its TEBs, registers and stacks.
    pub(super) ranges: Vec<Range>,
}

impl Narrow {
    /// That of the process of a snapshot which shows the 64-bit side; empty if that has no other.
    pub(super) fn of(snapshot: &Snapshot, memory: &dyn Memory) -> Self {
        let mut found = Self::default();
        for thread in &snapshot.threads {
            found.add(memory, thread.teb);
        }
        found
    }

    /// Adds a thread by its 64-bit TEB.
    fn add(&mut self, memory: &dyn Memory, wide: u64) {
        let word = |at: u64| memory.read_u32(at).map(u64::from);
        let Some(teb) = narrow_teb(memory, wide) else {
            return;
        };
        let sized = |start: u64, size: u64| Range::new(start, start.saturating_add(size));
        self.ranges.push(sized(teb, TEB));
        self.peb = word(teb + PEB).unwrap_or(self.peb);
        if let (Some(end), Some(start)) = (word(teb + STACK_BASE), word(teb + STACK_LIMIT)) {
            self.ranges.push(Range::new(start, end.min(start + STACK)));
        }
        if let Some(registers) = memory.read_u64(wide.wrapping_add(REGISTERS)) {
            self.ranges.push(sized(registers, REGISTERS_SIZE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::Thread;
    use std::collections::BTreeMap;

    /// 32-bit words at addresses.
    struct Words(BTreeMap<u64, u32>);

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            for (at, word) in buffer.chunks_mut(4).enumerate() {
                let Some(value) = self.0.get(&(address + 4 * at as u64)) else {
                    return 4 * at;
                };
                word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
            }
            buffer.len()
        }
    }

    fn shown(words: &[(u64, u32)]) -> Narrow {
        let snapshot = Snapshot {
            threads: vec![Thread {
                teb: 0x10000,
                ..Thread::default()
            }],
            ..Snapshot::default()
        };
        Narrow::of(&snapshot, &Words(words.iter().copied().collect()))
    }

    #[test]
    fn n49_the_32_bit_side_is_found_by_the_64_bit_tebs() {
        let words = [
            (0x10000, 0x12000),
            (0x10004, 0),
            (0x11488, 0x5000),
            (0x1148c, 0),
            (0x12004, 0x30_0000),
            (0x12008, 0x2f_0000),
            (0x12018, 0x12000),
            (0x12030, 0x9000),
        ];
        let found = shown(&words);
        assert_eq!(found.peb, 0x9000);
        let ranges = [(0x12000, 0x13000), (0x2f_0000, 0x30_0000), (0x5000, 0x5400)];
        assert_eq!(
            found.ranges,
            ranges.map(|(start, end)| Range::new(start, end))
        );
        // The TEB of a 64-bit process begins with a word that is no address of a TEB.
        assert_eq!(shown(&words[..4]), Narrow::default());
        assert_eq!(shown(&[]), Narrow::default());
    }
}
