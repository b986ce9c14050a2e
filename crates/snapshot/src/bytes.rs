/// Bytes of which most are zero, such as a processor's extended register area.
///
/// Situation: XSAVE on a machine with AMX is 11,008 bytes a thread; 10,000 threads would be
/// 110 MB, of which over 90 % are zeros. Only the runs that are not zero are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseBytes {
    len: u32,
    runs: Vec<(u32, Box<[u8]>)>,
}

/// Zeros that are worth a run of their own (a run costs its offset and a pointer).
const SMALLEST_HOLE: usize = 64;

impl SparseBytes {
    /// Keeps what is not zero of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut runs = Vec::new();
        let mut at = 0;
        while let Some(start) = bytes[at..].iter().position(|&b| b != 0).map(|n| at + n) {
            let end = end_of_run(bytes, start);
            runs.push((start as u32, bytes[start..end].into()));
            at = end;
        }
        Self {
            len: bytes.len() as u32,
            runs,
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
        self.runs
            .iter()
            .map(|(at, bytes)| (*at as usize, &bytes[..]))
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
        bytes[40] = 2;
        bytes[5000] = 3;
        let sparse = SparseBytes::new(&bytes);
        assert_eq!(sparse.to_vec(), bytes);
        assert_eq!(sparse.runs().count(), 2);
    }
}
