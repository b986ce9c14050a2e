/// The memory of a process: live, cloned, in a dump file, or made up by a test.
pub trait Memory: Send + Sync {
    /// Copies what lies at `address` into `buf` and says how many bytes came, from the start on:
    /// fewer than asked where the rest cannot be read, 0 where nothing can.
    fn read(&self, address: u64, buf: &mut [u8]) -> usize;

    /// Whether all of `buf` could be filled.
    fn read_all(&self, address: u64, buf: &mut [u8]) -> bool {
        self.read(address, buf) == buf.len()
    }

    /// The 64-bit little-endian word at `address`.
    fn read_u64(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        self.read_all(address, &mut word)
            .then(|| u64::from_le_bytes(word))
    }

    /// The 32-bit little-endian word at `address`.
    fn read_u32(&self, address: u64) -> Option<u32> {
        let mut word = [0; 4];
        self.read_all(address, &mut word)
            .then(|| u32::from_le_bytes(word))
    }

    /// The NUL-ended text at `address`, at most `limit` bytes, without its NUL.
    /// `None` when nothing can be read there.
    fn read_c_string(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        let mut text = vec![0; limit];
        let got = self.read(address, &mut text);
        let end = text[..got].iter().position(|&b| b == 0).unwrap_or(got);
        text.truncate(end);
        (got > 0).then_some(text)
    }
}

/// The bytes of a file, however they are held (read, or mapped into memory).
pub type FileBytes = std::sync::Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Memory of which nothing can be read.
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
}

impl<M: Memory + ?Sized> Memory for Box<M> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        (**self).read(address, buf)
    }
}
