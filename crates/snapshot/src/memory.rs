use crate::Range;

/// The memory of a process: of a live one, of a clone, in a dump file, or in a test.
pub trait Memory: Send + Sync {
    /// Reads memory from `address` on into `buf`. Returns how many bytes were read, from the start
    /// of `buf` on: fewer than its length if the rest cannot be read, 0 if nothing can.
    fn read(&self, address: u64, buf: &mut [u8]) -> usize;

    /// Which pages of `range` exist, ascending, where they are looked at when somebody asks; `None` where
    /// [`Region::resident`](crate::Region::resident) tells it.
    fn pages(&self, _range: Range) -> Option<Vec<Range>> {
        None
    }

    /// As [`Memory::read`]; returns whether all of `buf` was filled.
    fn read_all(&self, address: u64, buf: &mut [u8]) -> bool {
        self.read(address, buf) == buf.len()
    }

    /// The 64-bit little-endian word at `address`; `None` if it cannot be read.
    fn read_u64(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        self.read_all(address, &mut word)
            .then(|| u64::from_le_bytes(word))
    }

    /// The 32-bit little-endian word at `address`; `None` if it cannot be read.
    fn read_u32(&self, address: u64) -> Option<u32> {
        let mut word = [0; 4];
        self.read_all(address, &mut word)
            .then(|| u32::from_le_bytes(word))
    }

    /// The text at `address` up to its NUL, at most `limit` bytes. `None` if nothing can be read
    /// there. Little is read beyond it.
    fn read_c_string(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        while text.len() < limit {
            let mut piece = [0; 64];
            let piece = &mut piece[..(limit - text.len()).min(64)];
            let got = self.read(address.checked_add(text.len() as u64)?, piece);
            let end = piece[..got].iter().position(|&byte| byte == 0);
            text.extend_from_slice(&piece[..end.unwrap_or(got)]);
            match (end, got) {
                (None, 64) => {}
                (None, 0) if text.is_empty() => return None,
                _ => break,
            }
        }
        Some(text)
    }
}

/// The bytes of a file, however they are held.
pub type FileBytes = std::sync::Arc<dyn FileContent>;

/// The content of a file: as a slice for those who parse it, and by copies of ranges.
pub trait FileContent: AsRef<[u8]> + Send + Sync {
    /// Copies bytes from the offset `at` on into `buf`. Returns how many there were, from the start of `buf` on.
    /// A large copy need not go through the slice, whose bytes may all be kept once they were looked at.
    fn read_at(&self, at: u64, buf: &mut [u8]) -> usize {
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.as_ref().get(from..).unwrap_or_default();
        let count = bytes.len().min(buf.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        count
    }
}

impl FileContent for Vec<u8> {}

/// Memory without any bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn read(&self, _address: u64, _buf: &mut [u8]) -> usize {
        0
    }
}

impl<M: Memory + ?Sized> Memory for std::sync::Arc<M> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        (**self).read(address, buf)
    }

    fn pages(&self, range: Range) -> Option<Vec<Range>> {
        (**self).pages(range)
    }
}

impl<M: Memory + ?Sized> Memory for Box<M> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        (**self).read(address, buf)
    }

    fn pages(&self, range: Range) -> Option<Vec<Range>> {
        (**self).pages(range)
    }
}
