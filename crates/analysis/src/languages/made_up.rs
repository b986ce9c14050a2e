//! Memory that tests make up.

use snapshot::Memory;

/// Bytes from one address on.
#[derive(Clone)]
pub(super) struct MadeUp {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

impl MadeUp {
    pub(super) fn new(start: u64, size: usize) -> Self {
        Self {
            start,
            bytes: vec![0; size],
        }
    }

    pub(super) fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - self.start) as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn put_u64(&mut self, address: u64, value: u64) {
        self.put(address, &value.to_le_bytes());
    }

    pub(super) fn put_u32s(&mut self, address: u64, values: &[u32]) {
        for (number, value) in values.iter().enumerate() {
            self.put(address + 4 * number as u64, &value.to_le_bytes());
        }
    }

    /// Copies of it, in each of which one byte or word is another one.
    pub(super) fn damaged(&self) -> impl Iterator<Item = MadeUp> + '_ {
        let places = (0..self.bytes.len()).filter(|at| at % 8 == 0 || self.bytes[*at] != 0);
        places.flat_map(move |at| {
            [&[0xff; 8][..], &[0], &[0x80], &[0x7f]]
                .into_iter()
                .map(move |new| {
                    let mut copy = self.clone();
                    let end = (at + new.len()).min(copy.bytes.len());
                    copy.bytes[at..end].copy_from_slice(&new[..end - at]);
                    copy
                })
        })
    }
}

impl Memory for MadeUp {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let at = address.wrapping_sub(self.start);
        let bytes = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
        let bytes = bytes.unwrap_or_default();
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        count
    }
}
