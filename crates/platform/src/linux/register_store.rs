//! Storage for the extended registers of many threads.

use super::unnamed_file::unnamed_file;
use snapshot::{Memory, SparseBytes};
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// Keeps the extended registers of a process's threads: those of the first threads in memory, the
/// others in a file without a name, which vanishes when nobody uses it any more.
///
/// Situation: 10,000 threads that use AVX-512 and AMX have 110 MB of registers, and firstchance may
/// use 64 MiB of memory.
#[derive(Default)]
pub struct RegisterStore {
    /// How many bytes are held in memory.
    held: usize,
    file: Option<Arc<StoreFile>>,
    /// The length of the file in bytes.
    end: u64,
    /// Whether making or writing the file has failed.
    failed: bool,
}

/// How many bytes are held in memory at most: enough for most processes.
const MOST_HELD: usize = 1 << 20;

impl RegisterStore {
    /// Keeps these bytes. If the file cannot be written, they are held in memory.
    pub fn keep(&mut self, bytes: &[u8]) -> SparseBytes {
        let sparse = SparseBytes::new(bytes);
        if self.held + sparse.held() <= MOST_HELD {
            self.held += sparse.held();
            return sparse;
        }
        self.store(bytes).unwrap_or(sparse)
    }

    fn store(&mut self, bytes: &[u8]) -> Option<SparseBytes> {
        if self.failed {
            return None;
        }
        let stored = self.append(bytes);
        self.failed = stored.is_err();
        stored.ok()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<SparseBytes> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => Arc::new(StoreFile(unnamed_file()?.0)),
        };
        self.file = Some(file.clone());
        let at = self.end;
        file.0.write_all_at(bytes, at)?;
        self.end += bytes.len() as u64;
        Ok(SparseBytes::stored(file, at, bytes.len() as u32))
    }
}

/// The file as a [`Memory`] whose addresses are offsets.
struct StoreFile(File);

impl Memory for StoreFile {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        match self.0.read_exact_at(buf, address) {
            Ok(()) => buf.len(),
            Err(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An XSAVE area in which every byte is in use, so that it is no shorter without its zeros.
    fn area(thread: u32) -> Vec<u8> {
        (0..11_008u32).map(|n| (n + thread) as u8 | 1).collect()
    }

    #[test]
    fn ten_thousand_threads_with_amx_take_little_memory_and_come_back() {
        let mut store = RegisterStore::default();
        let kept: Vec<SparseBytes> = (0..10_000).map(|n| store.keep(&area(n))).collect();
        let held: usize = kept.iter().map(SparseBytes::held).sum();
        assert!(held <= MOST_HELD, "{held} bytes in memory");
        assert!(held > MOST_HELD / 2, "{held} bytes in memory");
        for (thread, kept) in kept.iter().enumerate().step_by(777) {
            assert_eq!(kept.to_vec(), area(thread as u32), "thread {thread}");
        }
    }

    #[test]
    fn what_can_be_stored_nowhere_is_held_in_memory() {
        let mut store = RegisterStore {
            failed: true,
            held: MOST_HELD,
            ..RegisterStore::default()
        };
        let kept = store.keep(&area(1));
        assert_eq!(kept.to_vec(), area(1));
        assert!(kept.held() > 10_000, "{}", kept.held());
    }
}
