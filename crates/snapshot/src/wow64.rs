//! The two sides of a 32-bit process on 64-bit Windows (WOW64).

use crate::Memory;

/// Offsets in a 64-bit TEB and in a 32-bit one (public symbols of `ntdll`): `WowTebOffset` and `NtTib.Self`.
const OFFSET: u64 = 0x180c;
const SELF: u64 = 0x18;

/// The address of the 32-bit TEB of a thread, by that of its 64-bit one; `None` if it has none, as a thread that only
/// begins. Windows 10 tells its offset in the 64-bit TEB, and earlier ones its address in `NtTib.ExceptionList`, which
/// 64-bit threads do not use. It is known by its pointer to itself.
pub fn narrow_teb(memory: &dyn Memory, wide: u64) -> Option<u64> {
    let offset = memory.read_u32(wide.wrapping_add(OFFSET));
    let by_offset = offset.map(|offset| wide.wrapping_add_signed((offset as i32).into()));
    let places = [memory.read_u64(wide), by_offset];
    let is_one = |at: &u64| {
        let own = u32::try_from(*at).ok().filter(|at| *at != 0);
        own.is_some() && memory.read_u32(at.wrapping_add(SELF)) == own
    };
    places.into_iter().flatten().find(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl Memory for Bytes {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let rest = self.0.get(address as usize..).unwrap_or(&[]);
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            got
        }
    }

    impl Bytes {
        fn put(&mut self, at: usize, word: u32) {
            self.0[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
    }

    /// A 64-bit TEB is at 0x1000 and takes two pages; behind it is a 32-bit one.
    #[test]
    fn n18_the_teb_of_a_32_bit_thread_is_found_by_its_64_bit_one() {
        for (at, word) in [(0x1000, 0x3000), (0x280c, 0x2000)] {
            let mut memory = Bytes(vec![0; 0x4000]);
            assert_eq!(narrow_teb(&memory, 0x1000), None);
            memory.put(at, word);
            assert_eq!(narrow_teb(&memory, 0x1000), None);
            memory.put(0x3018, 0x3000);
            assert_eq!(narrow_teb(&memory, 0x1000), Some(0x3000));
            assert_eq!(narrow_teb(&memory, 0x9_0000), None);
        }
    }
}
