//! Parsing `/proc/PID/statm` (proc_pid_statm(5)): sizes of an address space, in pages.

/// The first three numbers of the file, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// The size of the address space.
    pub(crate) size: u64,
    /// Resident pages.
    pub(crate) resident: u64,
    /// Resident pages of files and shared memory. The other resident pages are `RssAnon` of
    /// `status`.
    pub(crate) shared: u64,
}

impl Pages {
    /// Returns the resident anonymous pages.
    pub(crate) fn private(self) -> u64 {
        self.resident.saturating_sub(self.shared)
    }
}

/// Parses the file; `None` if it is incomplete.
pub(crate) fn parse(text: &[u8]) -> Option<Pages> {
    let mut numbers = text.split(|&byte| byte == b' ');
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    Some(Pages {
        size: number()?,
        resident: number()?,
        shared: number()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_pages_are_those_that_nobody_shares() {
        let pages = parse(b"1000 300 120 4 0 90 0\n").expect("parses");
        assert_eq!((pages.size, pages.private()), (1000, 180));
        assert_eq!(parse(b"12"), None);
    }
}
