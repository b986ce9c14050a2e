//! Reading and writing little-endian words, which all formats here store.

/// Whether addresses and `long`s take 4 or 8 bytes (`ELFCLASS32`, `ELFCLASS64`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Four,
    Eight,
}

impl Width {
    pub(crate) const fn of(architecture: snapshot::Architecture) -> Self {
        match architecture.pointer_size() {
            4 => Width::Four,
            _ => Width::Eight,
        }
    }

    pub(crate) const fn bytes(self) -> usize {
        match self {
            Width::Four => 4,
            Width::Eight => 8,
        }
    }
}

/// Appends words to a buffer.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// Appends a word of that width; the bytes that do not fit are cut off.
    fn word(&mut self, width: Width, value: u64) {
        self.put(&value.to_le_bytes()[..width.bytes()]);
    }

    /// Appends `text`, cut or padded with NULs to `size` bytes; the last one is always a NUL.
    fn text(&mut self, text: &[u8], size: usize) {
        let cut = &text[..text.len().min(size - 1)];
        self.put(cut);
        self.put(&vec![0; size - cut.len()]);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes words from the front of a slice; they return `None` when it has too few bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn word(&mut self, width: Width) -> Option<u64> {
        match width {
            Width::Four => self.u32().map(u64::from),
            Width::Eight => self.u64(),
        }
    }
}

/// The text up to the first NUL; bytes that are not UTF-8 are replaced.
pub(crate) fn c_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
