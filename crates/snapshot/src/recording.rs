//! Memory that keeps account of what is read from it.

use crate::{Memory, Range};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The memory of a process, with an account of what was read: so a dump can hold exactly what somebody who reads it will ask for.
pub struct Recording {
    memory: Arc<dyn Memory>,
    /// The unit of the account, in bytes: a power of two.
    unit: u64,
    /// The most that the account may come to, in bytes.
    limit: u64,
    account: Mutex<Account>,
    is_closed: AtomicBool,
}

/// What was read.
#[derive(Default)]
struct Account {
    /// Where each range ends, by its start; they neither overlap nor touch.
    ends: BTreeMap<u64, u64>,
    bytes: u64,
    is_full: bool,
}

impl Recording {
    /// Keeps account of whole pages of 4 KiB, up to so many bytes: what would be more is not read.
    pub fn of_pages(memory: Arc<dyn Memory>, limit: u64) -> Self {
        Self::new(memory, 4096, limit)
    }

    /// Keeps account of the bytes themselves, up to so many.
    pub fn of_bytes(memory: Arc<dyn Memory>, limit: u64) -> Self {
        Self::new(memory, 1, limit)
    }

    fn new(memory: Arc<dyn Memory>, unit: u64, limit: u64) -> Self {
        Self {
            memory,
            unit,
            limit,
            account: Mutex::default(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Lets nobody read any more: whoever still does gets nothing, and comes to an end.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// What was read, in whole units: ascending, without overlaps.
    pub fn ranges(&self) -> Vec<Range> {
        let account = self.account();
        let ranges = account.ends.iter();
        ranges
            .map(|(&start, &end)| Range::new(start, end))
            .collect()
    }

    /// Whether something was not read because there would have been too much.
    pub fn is_full(&self) -> bool {
        self.account().is_full
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, address: u64, len: usize) {
        let end = address.saturating_add(len as u64);
        let end = end.checked_next_multiple_of(self.unit).unwrap_or(end);
        let mut account = self.account();
        account.add(Range::new(address & !(self.unit - 1), end));
        account.is_full |= account.bytes >= self.limit;
    }

    fn may_read(&self) -> bool {
        !self.is_closed.load(Ordering::Relaxed) && !self.account().is_full
    }
}

impl Account {
    fn add(&mut self, range: Range) {
        let before = self.ends.range(..=range.start).next_back();
        if before.is_some_and(|(_, end)| range.end <= *end) {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Those that it reaches, last first.
        while let Some((&other, &other_end)) = self.ends.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.ends.remove(&other);
            self.bytes -= other_end - other;
            (start, end) = (start.min(other), end.max(other_end));
        }
        self.ends.insert(start, end);
        self.bytes += end - start;
    }
}

impl Memory for Recording {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        if buf.is_empty() || !self.may_read() {
            return 0;
        }
        let got = self.memory.read(address, buf);
        if got > 0 {
            self.note(address, got);
        }
        got
    }

    fn pages(&self, range: Range) -> Option<Vec<Range>> {
        self.memory.pages(range)
    }

    /// Notes the text alone, and not what lies behind it.
    fn read_c_string(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        if !self.may_read() {
            return None;
        }
        let text = self.memory.read_c_string(address, limit)?;
        self.note(address, limit.min(text.len() + 1));
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 64 KiB of text from 0x1_0000 on: 15 letters and a NUL, again and again.
    struct Text;

    impl Memory for Text {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            let left = 0x2_0000u64.saturating_sub(address);
            let count = buf.len().min(left as usize);
            for (at, byte) in buf[..count].iter_mut().enumerate() {
                let is_end = (address + at as u64) % 16 == 15;
                *byte = if is_end { 0 } else { b'x' };
            }
            count
        }
    }

    fn ranges(recording: &Recording) -> Vec<(u64, u64)> {
        let ranges = recording.ranges();
        ranges.iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn what_was_read_is_told_once_in_whole_pages() {
        let recording = Recording::of_pages(Arc::new(Text), 1 << 20);
        for address in [0x1_5008, 0x1_1ffc, 0x1_5010, 0x1_3000, 0x1_8000] {
            recording.read_u64(address);
        }
        let expected = [
            (0x1_1000, 0x1_4000),
            (0x1_5000, 0x1_6000),
            (0x1_8000, 0x1_9000),
        ];
        assert_eq!(ranges(&recording), expected);
        recording.read(0x1_4000, &mut [0; 0x4000]);
        assert_eq!(ranges(&recording), [(0x1_1000, 0x1_9000)]);
    }

    #[test]
    fn of_bytes_only_the_text_is_noted_and_what_could_be_read() {
        let recording = Recording::of_bytes(Arc::new(Text), 1 << 20);
        assert_eq!(
            recording.read_c_string(0x1_0004, 1024).map(|t| t.len()),
            Some(11)
        );
        assert_eq!(recording.read(0x1_fff8, &mut [0; 64]), 8);
        assert_eq!(recording.read(0x3_0000, &mut [0; 64]), 0);
        assert_eq!(
            ranges(&recording),
            [(0x1_0004, 0x1_0010), (0x1_fff8, 0x2_0000)]
        );
    }

    #[test]
    fn nothing_is_read_beyond_the_limit_or_when_it_is_closed() {
        let recording = Recording::of_pages(Arc::new(Text), 0x2000);
        let read = |address| recording.read_u64(address).is_some();
        assert!(read(0x1_0000) && read(0x1_0008) && !recording.is_full());
        assert!(read(0x1_5000) && recording.is_full());
        assert!(!read(0x1_0000) && recording.read_c_string(0x1_0000, 8).is_none());
        let recording = Recording::of_pages(Arc::new(Text), 0x2000);
        recording.close();
        assert_eq!(recording.read(0x1_0000, &mut [0; 8]), 0);
        assert_eq!(ranges(&recording), []);
    }
}
