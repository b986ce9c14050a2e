use std::{fmt, str::FromStr};

/// How much a dump holds; ordered by size, smallest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DumpKind {
    /// Stacks only, limited metadata: no environment, no command line, no heap (ProcDump `-mt`).
    Triage,
    /// Stacks, the memory that they point to directly and indirectly, the data of images (16 MiB at most), and all
    /// metadata (`-mm`).
    #[default]
    Mini,
    /// What the callback routine of a user's DLL chooses, and all metadata (`-md`, Windows).
    Callback,
    /// By a mask: `coredump_filter` bits on Linux, `MINIDUMP_TYPE` on Windows (`-mc`).
    Custom(u64),
    /// What the process's own `coredump_filter` says, as the kernel's cores and gcore's have it (Linux). On Windows,
    /// which has no such filter, everything.
    Filtered,
    /// All private memory and all writable image and mapped memory (`-mp`).
    Plus,
    /// All image, mapped and private memory that is resident (`-ma`).
    Full,
}

impl DumpKind {
    /// How much metadata a dump of this kind has.
    pub const fn detail(self) -> Detail {
        match self {
            DumpKind::Triage => Detail::Limited,
            _ => Detail::All,
        }
    }

    /// Whether it can hold most of the memory of a process.
    pub const fn is_large(self) -> bool {
        !matches!(self, DumpKind::Triage | DumpKind::Mini)
    }

    /// The kind that this means for a process whose `coredump_filter` is `filter`; `None` if it has none.
    pub fn for_filter(self, filter: Option<u64>) -> Self {
        match (self, filter) {
            (DumpKind::Filtered, Some(mask)) => DumpKind::Custom(mask),
            (DumpKind::Filtered, None) => DumpKind::Full,
            (other, _) => other,
        }
    }

    /// Its name without the mask, as it is in file names: `mini`, `full` …
    pub const fn name(self) -> &'static str {
        match self {
            DumpKind::Triage => "triage",
            DumpKind::Mini => "mini",
            DumpKind::Callback => "callback",
            DumpKind::Custom(_) => "custom",
            DumpKind::Filtered => "filtered",
            DumpKind::Plus => "plus",
            DumpKind::Full => "full",
        }
    }
}

impl fmt::Display for DumpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DumpKind::Custom(mask) => write!(f, "custom 0x{mask:x}"),
            other => f.write_str(other.name()),
        }
    }
}

/// The text that is not the name of a kind of dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseKindError(pub String);

impl fmt::Display for ParseKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no kind of dump: triage, mini, plus, full, filtered or custom 0xMASK",
            self.0
        )
    }
}

impl std::error::Error for ParseKindError {}

/// Reads every kind but a callback dump, which needs a DLL beside its name.
impl FromStr for DumpKind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, ParseKindError> {
        let unknown = || ParseKindError(text.to_owned());
        match text {
            "triage" => Ok(DumpKind::Triage),
            "mini" => Ok(DumpKind::Mini),
            "plus" => Ok(DumpKind::Plus),
            "full" => Ok(DumpKind::Full),
            "filtered" => Ok(DumpKind::Filtered),
            _ => {
                let mask = text.strip_prefix("custom ").ok_or_else(unknown)?;
                let digits = mask.strip_prefix("0x").unwrap_or(mask);
                u64::from_str_radix(digits, 16)
                    .map(DumpKind::Custom)
                    .map_err(|_| unknown())
            }
        }
    }
}

/// How much metadata goes into a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Everything that is known.
    #[default]
    All,
    /// Without environment, command line, descriptors and extended registers, as in a triage dump.
    Limited,
}

/// The format of a dump's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DumpFormat {
    /// An ELF core file.
    Core,
    /// A minidump.
    Minidump,
}

impl DumpFormat {
    /// The extension of its files, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            DumpFormat::Core => "core",
            DumpFormat::Minidump => "dmp",
        }
    }
}
