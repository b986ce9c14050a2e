//! The files `cmdline` and `environ`, whose text the kernel reads from the memory of the process.
//!
//! A process can put pages of a file there whose server never answers (FUSE), or move the place (`PR_SET_MM` in
//! prctl(2)): whoever reads the file waits for ever then. Where we may look, the pages have to be the process's own.

use crate::linux::pages;
use rustix::param::page_size;
use std::{fs::File, io};

/// The fields of `stat` from `arg_start` on: it, `arg_end`, `env_start`, `env_end` (proc_pid_stat(5)).
const ARGUMENTS: usize = 48;

/// Whether this is one of these files.
pub(super) fn is_one(name: &str) -> bool {
    matches!(name, "cmdline" | "environ")
}

/// Fails if the first `most` bytes of the file may be in pages that somebody else has to provide.
///
/// # Errors
/// If a page is of a file, or does not exist.
pub(crate) fn expect_own(pagemap: &File, stat: &[u8], name: &str, most: u64) -> io::Result<()> {
    let [start, end, env_start, env_end] = places(stat).unwrap_or_default();
    let (start, end) = match name {
        // Where the arguments are overwritten to their last byte, the kernel goes on into the environment.
        "cmdline" => (start, end.max(env_end)),
        _ => (env_start, env_end),
    };
    let page = page_size() as u64;
    let end = end.min(start.saturating_add(most));
    let mut touched = (start & !(page - 1)..end).step_by(page as usize);
    match touched.all(|at| pages::is_own(pagemap, at, page)) {
        true => Ok(()),
        false => Err(io::Error::other("its text is not in memory of its own")),
    }
}

/// The places of the arguments and of the environment; zeros for who may not know them.
pub(crate) fn places(stat: &[u8]) -> Option<[u64; 4]> {
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&stat[close + 1..]).ok()?;
    // The first field behind the name has the number 3.
    let fields = rest.split_ascii_whitespace().skip(ARGUMENTS - 3);
    let mut numbers = fields.map(|field| field.parse().ok());
    Some([
        numbers.next()??,
        numbers.next()??,
        numbers.next()??,
        numbers.next()??,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n32_the_texts_of_an_ordinary_process_are_its_own() {
        let pagemap = File::open("/proc/self/pagemap").expect("our own pages");
        let stat = std::fs::read("/proc/self/stat").expect("ourselves");
        for name in ["cmdline", "environ"] {
            expect_own(&pagemap, &stat, name, 32 << 10).expect("our own pages");
        }
    }

    #[test]
    fn the_places_are_found_behind_any_name() {
        let fields: Vec<String> = (3..=52).map(|number: u32| number.to_string()).collect();
        let stat = format!("7 (a) b 1) {}", fields.join(" "));
        assert_eq!(places(stat.as_bytes()), Some([48, 49, 50, 51]));
        assert_eq!(places(b"7 (x) S 1 2"), None);
    }
}
