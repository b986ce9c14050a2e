//! How a dump is compressed while it is written.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// How a dump is compressed while it is written: by zstd, at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compression {
    level: u8,
}

/// The level if none is given. Most of what memory has to give is won at level 1 already (405 MB of a real dump: 39 MB,
/// and 35 MB at level 3, which takes half as long again), and it is the one that keeps up with a disk.
const DEFAULT: u8 = 1;
/// The levels above need far more memory than we may have (zstd(1), `--ultra`).
const HIGHEST: u8 = 19;
/// The highest level for a process that stands while it is copied.
const HIGHEST_WHILE_IT_STANDS: u8 = 3;

impl Compression {
    /// What is put behind the name of a dump that is compressed.
    pub const EXTENSION: &str = "zst";

    /// The path that a dump would have if it were not compressed; `path` if its name does not tell that it is.
    pub fn plain_path(path: &Path) -> PathBuf {
        match path.extension().is_some_and(|end| end == Self::EXTENSION) {
            true => path.with_extension(""),
            false => path.to_owned(),
        }
    }

    /// The level of zstd, 1 to 19.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The same, or the most that is bearable for a process that stands until it is copied: high levels compress a few
    /// megabytes in a second.
    pub fn while_it_stands(self) -> Self {
        Self {
            level: self.level.min(HIGHEST_WHILE_IT_STANDS),
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self { level: DEFAULT }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zstd:{}", self.level)
    }
}

impl FromStr for Compression {
    type Err = String;

    /// Reads `zstd` or `zstd:3`. Fails with a sentence for the user.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is no compression: zstd, or zstd:LEVEL with a level of 1 to {HIGHEST}"
            )
        };
        let Some(rest) = text.strip_prefix("zstd") else {
            return Err(wrong());
        };
        if rest.is_empty() {
            return Ok(Self::default());
        }
        let level = rest.strip_prefix(':').ok_or_else(wrong)?;
        let level = level.parse().map_err(|_| wrong())?;
        let is_known = (1..=HIGHEST).contains(&level);
        is_known.then_some(Self { level }).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_printed_and_others_are_refused() {
        let parse = |text: &str| text.parse::<Compression>();
        assert_eq!(parse("zstd"), Ok(Compression { level: 1 }));
        assert_eq!(parse("zstd:19").unwrap().to_string(), "zstd:19");
        for wrong in [
            "", "gzip", "zstd:", "zstd:0", "zstd:20", "zstd:-5", "zstd3", "zstd:300",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains("1 to 19"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_plain_path_is_in_the_same_folder() {
        let plain = |path| Compression::plain_path(Path::new(path));
        assert_eq!(plain("/a/x.core.zst"), Path::new("/a/x.core"));
        assert_eq!(plain("/a.zst/x.core"), Path::new("/a.zst/x.core"));
    }

    #[test]
    fn a_process_that_stands_waits_for_no_high_level() {
        let level = |text: &str| text.parse::<Compression>().unwrap().while_it_stands().level;
        assert_eq!((level("zstd:2"), level("zstd:19")), (2, 3));
    }
}
