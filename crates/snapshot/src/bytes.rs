use crate::Memory;
use std::{borrow::Cow, fmt, sync::Arc};

/// Bytes of which most are zero, such as a processor's extended register area.
///
/// Situation: the extended registers of a thread are 11,008 bytes on a machine with AMX; those of
/// 10,000 threads would be 110 MB, of which over 90 % are zeros. Only the runs that are not zero
/// are held in memory, or nothing at all if the bytes were [`stored`](SparseBytes::stored)
/// elsewhere. A copy shares them.
#[derive(Clone)]
pub struct SparseBytes {
    len: u32,
    kept: Kept,
}

#[derive(Clone)]
enum Kept {
    InMemory {
        /// Where each run begins, and where its bytes end in `bytes`.
        runs: Arc<[(u32, u32)]>,
        bytes: Arc<[u8]>,
    },
    Elsewhere {
        store: Arc<dyn Memory>,
        address: u64,
    },
}

/// Zeros that are worth a run of their own.
const SMALLEST_HOLE: usize = 16;

impl SparseBytes {
    /// Keeps what is not zero of `bytes` in memory.
    pub fn new(bytes: &[u8]) -> Self {
        let (mut runs, mut kept) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(start) = start_of_run(bytes, at) {
            let end = end_of_run(bytes, start);
            kept.extend_from_slice(&bytes[start..end]);
            runs.push((start as u32, kept.len() as u32));
            at = end;
        }
        Self {
            len: bytes.len() as u32,
            kept: Kept::InMemory {
                runs: runs.into(),
                bytes: kept.into(),
            },
        }
    }

    /// The `len` bytes that `store` has at `address`. They are read each time that they are asked
    /// for; what cannot be read then is zeros.
    pub fn stored(store: Arc<dyn Memory>, address: u64, len: u32) -> Self {
        Self {
            len,
            kept: Kept::Elsewhere { store, address },
        }
    }

    /// The length with its zeros, in bytes.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing, not even zeros.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes this value and its copies hold in memory.
    pub fn held(&self) -> usize {
        match &self.kept {
            Kept::InMemory { runs, bytes } => size_of_val(&**runs) + bytes.len(),
            Kept::Elsewhere { .. } => 0,
        }
    }

    /// The same bytes, held in memory.
    pub fn in_memory(&self) -> Cow<'_, Self> {
        match self.kept {
            Kept::InMemory { .. } => Cow::Borrowed(self),
            Kept::Elsewhere { .. } => Cow::Owned(Self::new(&self.to_vec())),
        }
    }

    /// The runs that are not zero: offset and bytes, ascending. None of what is stored elsewhere:
    /// see [`in_memory`](Self::in_memory).
    pub fn runs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let (runs, bytes): (&[_], &[u8]) = match &self.kept {
            Kept::InMemory { runs, bytes } => (runs, bytes),
            Kept::Elsewhere { .. } => (&[], &[]),
        };
        runs.iter().scan(0, move |begin, &(at, end): &(u32, u32)| {
            let run = &bytes[*begin..end as usize];
            *begin = end as usize;
            Some((at as usize, run))
        })
    }

    /// All of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = vec![0; self.len()];
        match &self.kept {
            Kept::InMemory { .. } => self
                .runs()
                .for_each(|(at, run)| all[at..at + run.len()].copy_from_slice(run)),
            Kept::Elsewhere { store, address } => {
                let read = store.read(*address, &mut all);
                all[read..].fill(0);
            }
        }
        all
    }
}

impl Default for SparseBytes {
    fn default() -> Self {
        Self {
            len: 0,
            kept: Kept::InMemory {
                runs: Arc::default(),
                bytes: Arc::default(),
            },
        }
    }
}

/// Equal bytes are equal, wherever they are kept.
impl PartialEq for SparseBytes {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Self, other: &Self| one.runs().eq(other.runs());
        self.len == other.len && same(&self.in_memory(), &other.in_memory())
    }
}

impl Eq for SparseBytes {}

impl fmt::Debug for SparseBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.in_memory();
        f.debug_map()
            .entry(&"len", &self.len)
            .entries(bytes.runs())
            .finish()
    }
}

/// Where the next byte is that is not zero. Zeros are skipped in blocks: that is done for each thread while it stands.
fn start_of_run(bytes: &[u8], from: usize) -> Option<usize> {
    const BLOCK: usize = 64;
    let blocks = bytes[from..].chunks_exact(BLOCK);
    let zeros = blocks.take_while(|block| **block == [0; BLOCK]).count();
    let from = from + zeros * BLOCK;
    let after = bytes[from..].iter().position(|&byte| byte != 0)?;
    Some(from + after)
}

fn end_of_run(bytes: &[u8], start: usize) -> usize {
    let mut end = start + 1;
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        if byte != 0 {
            end = at + 1;
        } else if at - end >= SMALLEST_HOLE {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mostly_zeros() -> Vec<u8> {
        let mut bytes = vec![0u8; 11_008];
        bytes[3] = 1;
        bytes[12] = 2;
        bytes[5000] = 3;
        bytes
    }

    #[test]
    fn keeps_every_byte_and_no_long_zeros() {
        let sparse = SparseBytes::new(&mostly_zeros());
        assert_eq!(sparse.to_vec(), mostly_zeros());
        assert_eq!(sparse.runs().count(), 2);
        assert!(sparse.held() < 64, "{}", sparse.held());
    }

    #[test]
    fn a_run_is_found_wherever_it_begins() {
        for len in [1, 63, 64, 65, 128, 300] {
            for at in 0..len {
                let mut bytes = vec![0; len];
                bytes[at] = 7;
                let from = [0, at / 2, at];
                assert_eq!(from.map(|from| start_of_run(&bytes, from)), [Some(at); 3]);
                assert_eq!(start_of_run(&bytes, at + 1), None);
            }
        }
    }

    struct Store(Vec<u8>);

    impl Memory for Store {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            let there = &self.0[self.0.len().min(address as usize)..];
            let count = there.len().min(buf.len());
            buf[..count].copy_from_slice(&there[..count]);
            count
        }
    }

    #[test]
    fn what_is_stored_elsewhere_equals_what_is_in_memory_and_costs_nothing() {
        let store = Arc::new(Store([vec![9; 100], mostly_zeros()].concat()));
        let stored = SparseBytes::stored(store.clone(), 100, 11_008);
        assert_eq!(stored, SparseBytes::new(&mostly_zeros()));
        assert_eq!(stored.to_vec(), mostly_zeros());
        assert_eq!(stored.held(), 0);
        // The last ten of these bytes are not in the store.
        let cut = SparseBytes::stored(store, 100 + 10_998, 20);
        assert_eq!(cut.to_vec(), [0; 20]);
    }
}
