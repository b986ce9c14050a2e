use std::sync::Arc;

/// Bytes of which most are zero, such as a processor's extended register area.
///
/// Situation: XSAVE on a machine with AMX is 11,008 bytes a thread; 10,000 threads would be 110 MB,
/// of which over 90 % are zeros. Only the runs that are not zero are held; a copy shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseBytes {
    len: u32,
    /// Where each run is, and where its bytes end in `bytes`.
    runs: Arc<[(u32, u32)]>,
    bytes: Arc<[u8]>,
}

/// Zeros that are worth a run of their own.
const SMALLEST_HOLE: usize = 16;

impl SparseBytes {
    /// Keeps what is not zero of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let (mut runs, mut kept) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(start) = bytes[at..].iter().position(|&b| b != 0).map(|n| at + n) {
            let end = end_of_run(bytes, start);
            kept.extend_from_slice(&bytes[start..end]);
            runs.push((start as u32, kept.len() as u32));
            at = end;
        }
        Self {
            len: bytes.len() as u32,
            runs: runs.into(),
            bytes: kept.into(),
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

    /// The runs that are not zero: offset and bytes, ascending.
    pub fn runs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.runs.iter().scan(0, |begin, &(at, end)| {
            let run = &self.bytes[*begin..end as usize];
            *begin = end as usize;
            Some((at as usize, run))
        })
    }

    /// All of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = vec![0; self.len()];
        self.runs()
            .for_each(|(at, run)| all[at..at + run.len()].copy_from_slice(run));
        all
    }
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

    #[test]
    fn keeps_every_byte_and_no_long_zeros() {
        let mut bytes = vec![0u8; 11_008];
        bytes[3] = 1;
        bytes[12] = 2;
        bytes[5000] = 3;
        let sparse = SparseBytes::new(&bytes);
        assert_eq!(sparse.to_vec(), bytes);
        assert_eq!(sparse.runs().count(), 2);
    }
}
