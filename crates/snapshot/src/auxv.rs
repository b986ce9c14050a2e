//! The auxiliary vector, which Linux gives a program at its start: pairs of a type and a value
//! (getauxval(3), include/uapi/linux/auxvec.h). [`crate::Process::aux`] looks a value up.

/// Address of the program's headers.
pub const AT_PHDR: u64 = 3;
/// Number of the program's headers.
pub const AT_PHNUM: u64 = 5;
/// Size of a page, in bytes.
pub const AT_PAGESZ: u64 = 6;
/// Address at which the dynamic loader was loaded.
pub const AT_BASE: u64 = 7;
/// Real user id.
pub const AT_UID: u64 = 11;
/// Effective user id.
pub const AT_EUID: u64 = 12;
/// Real group id.
pub const AT_GID: u64 = 13;
/// Effective group id.
pub const AT_EGID: u64 = 14;
/// 1 if the program was started with more rights than its user has (set-user-id and the like).
pub const AT_SECURE: u64 = 23;
/// Address of 16 random bytes on the initial stack.
pub const AT_RANDOM: u64 = 25;
/// Address of the path by which the program was started.
pub const AT_EXECFN: u64 = 31;
/// Address of the vdso, the kernel's page of code in the process.
pub const AT_SYSINFO_EHDR: u64 = 33;

/// The value of the entry of that type; `None` if there is none.
pub fn value(entries: &[(u64, u64)], type_: u64) -> Option<u64> {
    let entry = entries.iter().find(|(known, _)| *known == type_);
    entry.map(|(_, value)| *value)
}

/// The entries in an auxiliary vector whose words have `size` bytes, 4 or 8; those before
/// `AT_NULL`, which ends it, or before the end of `bytes`.
pub fn entries(bytes: &[u8], size: u64) -> Vec<(u64, u64)> {
    let size = size as usize;
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let pairs = bytes.chunks_exact(size * 2);
    let entries = pairs.map(|pair| (word(&pair[..size]), word(&pair[size..])));
    entries.take_while(|(type_, _)| *type_ != 0).collect()
}

/// An auxiliary vector of these entries, with words of `size` bytes, 4 or 8; `AT_NULL` is added at
/// its end. A value that needs more bytes is cut off.
pub fn to_bytes(entries: &[(u64, u64)], size: u64) -> Vec<u8> {
    let words = entries
        .iter()
        .chain([&(0, 0)])
        .flat_map(|(type_, value)| [type_, value]);
    words
        .flat_map(|word| word.to_le_bytes().into_iter().take(size as usize))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_written_and_read_in_both_widths() {
        let vector = [(AT_PHDR, 0x40_0040), (AT_PAGESZ, 4096)];
        let narrow = to_bytes(&vector, 4);
        assert_eq!(narrow[..8], [3, 0, 0, 0, 0x40, 0, 0x40, 0]);
        assert_eq!((narrow.len(), to_bytes(&vector, 8).len()), (24, 48));
        for size in [4, 8] {
            let mut bytes = to_bytes(&vector, size);
            bytes.extend([7; 32]);
            assert_eq!(entries(&bytes, size), vector);
            bytes.truncate(4 * size as usize + 3);
            assert_eq!(entries(&bytes, size), vector);
        }
    }
}
