//! Parsing `/proc/PID/status` (proc_pid_status(5)), which has lines of `Key:\tvalue`. The kernel
//! escapes newlines in the name, so no process can add lines of its own.

/// Returns the trimmed text after `key:`; `None` if there is no such line.
pub(crate) fn field<'t>(text: &'t [u8], key: &str) -> Option<&'t str> {
    text.split(|&b| b == b'\n').find_map(|line| {
        let value = line.strip_prefix(key.as_bytes())?.strip_prefix(b":")?;
        std::str::from_utf8(value).ok().map(str::trim)
    })
}

/// Returns a field that is a size in kB, in bytes.
pub(crate) fn bytes(text: &[u8], key: &str) -> Option<u64> {
    let value = field(text, key)?.strip_suffix(" kB")?;
    value.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns a field that is one number.
pub(crate) fn number(text: &[u8], key: &str) -> Option<u64> {
    field(text, key)?.parse().ok()
}

/// Returns a field that is a mask in hexadecimal digits.
pub(crate) fn mask(text: &[u8], key: &str) -> Option<u64> {
    u64::from_str_radix(field(text, key)?, 16).ok()
}

/// Returns the real and the effective id of `Uid` or `Gid`.
pub(crate) fn ids(text: &[u8], key: &str) -> Option<(u32, u32)> {
    let mut values = field(text, key)?.split_ascii_whitespace();
    Some((values.next()?.parse().ok()?, values.next()?.parse().ok()?))
}

/// Returns the id of `Uid` or `Gid` if the real, effective, saved and file system id are the same.
pub(crate) fn only_id(text: &[u8], key: &str) -> Option<u32> {
    let mut ids = field(text, key)?.split_ascii_whitespace();
    let first: u32 = ids.next()?.parse().ok()?;
    let others: Vec<u32> = ids.map_while(|id| id.parse().ok()).collect();
    (others == [first; 3]).then_some(first)
}

/// Returns the anonymous memory in bytes, resident or swapped.
pub(crate) fn private(text: &[u8]) -> u64 {
    bytes(text, "RssAnon").unwrap_or(0) + bytes(text, "VmSwap").unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"Name:\tx\\nUid:\t0\nUid:\t1000\t1001\t0\t0\nRssAnon:\t     12 kB\nVmSwap:\t 4 kB\nSigBlk:\t0000000000000201\n";

    #[test]
    fn an_id_counts_where_all_four_are_the_same() {
        assert_eq!(only_id(TEXT, "Uid"), None);
        assert_eq!(only_id(b"Gid:\t7\t7\t7\t7\n", "Gid"), Some(7));
        assert_eq!(only_id(b"Gid:\t7\t7\t7\n", "Gid"), None);
    }

    #[test]
    fn reads_ids_sizes_and_masks() {
        assert_eq!(ids(TEXT, "Uid"), Some((1000, 1001)));
        assert_eq!(private(TEXT), 16 * 1024);
        assert_eq!(mask(TEXT, "SigBlk"), Some(0x201));
        assert_eq!(number(TEXT, "TracerPid"), None);
    }
}
