//! The lists of threads and of memory. They contain the offsets of memory that follows them.

use super::body::{Body, put};
use super::{MOST_IN_MEMORY_LIST, PAGE, flags};
use crate::bytes::Put;
use minidump_common::format::{
    MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_MEMORY_DESCRIPTOR as Descriptor,
    MINIDUMP_MEMORY_DESCRIPTOR64 as Descriptor64, MINIDUMP_STREAM_TYPE as Stream, MINIDUMP_THREAD,
};
use snapshot::{Range, Selection, Snapshot, Thread, total_bytes};

/// The places of the selected ranges in the file.
pub(super) struct FileMemoryLayout<'a> {
    pub(super) start: u64,
    ranges: &'a [Range],
    offsets: Vec<u64>,
    bytes: u64,
    is_64: bool,
}

impl<'a> FileMemoryLayout<'a> {
    /// Computes the places: the memory follows the lists of threads and of memory and the place of
    /// the record at the end (16 bytes), which are appended to `body` next.
    pub(super) fn after(body: &mut Body, snapshot: &Snapshot, selection: &'a Selection) -> Self {
        let ranges = &selection.ranges[..];
        let bytes = total_bytes(ranges);
        // Windows' debuggers look for the memory of a full dump in the 64-bit list, even if it is
        // small.
        let is_64 = bytes > MOST_IN_MEMORY_LIST || flags::is_full(selection.kind, snapshot);
        let head = if is_64 { 16 } else { 4 };
        let lists = [
            4 + 48 * snapshot.threads.len(),
            head + 16 * ranges.len(),
            16,
        ];
        let end = lists.iter().fold(body.aligned(8), |end, &size| {
            (end + size as u64).next_multiple_of(8)
        });
        let start = end.next_multiple_of(PAGE);
        let offsets = ranges.iter().scan(start, |next, range| {
            let offset = *next;
            *next += range.len();
            Some(offset)
        });
        Self {
            start,
            ranges,
            offsets: offsets.collect(),
            bytes,
            is_64,
        }
    }

    pub(super) fn is_64(&self) -> bool {
        self.is_64
    }

    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes
    }

    /// The list of memory, in the form that is large enough for it.
    pub(super) fn list(&self) -> (Stream, Vec<u8>) {
        if self.is_64 {
            (Stream::Memory64ListStream, self.list64())
        } else {
            (Stream::MemoryListStream, self.list32())
        }
    }

    fn list64(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 16 * self.ranges.len());
        out.u64(self.ranges.len() as u64);
        out.u64(self.start);
        for range in self.ranges {
            let descriptor = Descriptor64 {
                start_of_memory_range: range.start,
                data_size: range.len(),
            };
            put(&mut out, descriptor);
        }
        out
    }

    fn list32(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 16 * self.ranges.len());
        out.u32(self.ranges.len() as u32);
        for &range in self.ranges {
            put(&mut out, self.descriptor(range));
        }
        out
    }

    /// Describes a range within one of the selected ranges. Its place in the file is left out if it
    /// does not fit into 32 bits; readers then look the address up in the list of memory.
    fn descriptor(&self, range: Range) -> Descriptor {
        let n = self.ranges.partition_point(|r| r.end <= range.start);
        let offset = self.offsets[n] + (range.start - self.ranges[n].start);
        let place = u32::try_from(offset)
            .ok()
            .zip(u32::try_from(range.len()).ok());
        Descriptor {
            start_of_memory_range: range.start,
            memory: place
                .map(|(rva, data_size)| Location { data_size, rva })
                .unwrap_or_default(),
        }
    }

    /// The part of a thread's stack that is in the file.
    fn stack(&self, snapshot: &Snapshot, thread: &Thread) -> Descriptor {
        let sp = thread.registers.map_or(0, |registers| registers.sp());
        let n = self.ranges.partition_point(|r| r.end <= sp);
        let selected = self.ranges.get(n).filter(|range| range.contains(sp));
        let region = snapshot.region_at(sp);
        let stack = region
            .zip(selected)
            .and_then(|(r, s)| r.range.intersect(*s));
        stack
            .map(|range| self.descriptor(range))
            .unwrap_or_default()
    }
}

/// `MINIDUMP_THREAD_LIST`.
pub(super) fn threads(
    snapshot: &Snapshot,
    memory: &FileMemoryLayout<'_>,
    contexts: &[Location],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + 48 * snapshot.threads.len());
    out.u32(snapshot.threads.len() as u32);
    for (thread, &thread_context) in snapshot.threads.iter().zip(contexts) {
        let entry = MINIDUMP_THREAD {
            thread_id: thread.id,
            suspend_count: 0,
            priority_class: 0,
            priority: thread.priority as u32,
            teb: thread.teb,
            stack: memory.stack(snapshot, thread),
            thread_context,
        };
        put(&mut out, entry);
    }
    out
}
