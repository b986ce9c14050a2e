use crate::Memory;

/// The way from an address to a word, through pointers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trail {
    /// The offset, in bytes, from each address to where the next one is. The last word that is read
    /// is the result. If this is empty, the address at the start is the result.
    pub path: &'static [u16],
    /// Whether only the lower 32 bits of the result count.
    pub is_half: bool,
}

impl Trail {
    /// The word; `None` if memory on the way cannot be read.
    pub fn follow(self, start: u64, memory: &dyn Memory) -> Option<u64> {
        let mut steps = self.path.iter();
        let value = steps.try_fold(start, |at, step| {
            memory.read_u64(at.wrapping_add(u64::from(*step)))
        })?;
        Some(match self.is_half {
            true => value & u64::from(u32::MAX),
            false => value,
        })
    }
}
