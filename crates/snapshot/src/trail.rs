use crate::Memory;

/// How a word is found from an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trail {
    /// How far from each address in turn the next one lies, in bytes; the last word is what is
    /// looked for. Empty where the first one is that itself.
    pub path: &'static [u16],
    /// Only the lower half of it counts.
    pub is_half: bool,
}

impl Trail {
    /// Follows it; `None` where a word cannot be read.
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
