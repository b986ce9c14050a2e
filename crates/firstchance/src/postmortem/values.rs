//! LocalDumps' values (folder, count, type) with limits on top of them: as they are kept for a
//! program or for all programs, and as a command line gives them.

use super::{is_windows, variables};
use crate::ui::{exit::Usage, values};
use platform::{Error, ErrorKind, Guard};
use policy::{Free, Retention};
use serde::{Deserialize, Serialize};
use snapshot::{Compression, DumpFormat, DumpKind};
use std::path::{Path, PathBuf};

/// Where dumps go on Linux if no folder was set.
const FOLDER: &str = "/var/lib/firstchance/crashes";
/// The same on Windows, where each account has its own: LocalDumps' default of `DumpFolder`.
const FOLDER_ON_WINDOWS: &str = r"%LOCALAPPDATA%\CrashDumps";
/// Dumps that stay in the folder if no count was set: LocalDumps' `DumpCount`.
const COUNT: u32 = 10;

/// The values of one program, or those for all programs. `None` means that it has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Values {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) exclude: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) folder: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
    /// `mini`, `full`, `custom 0x33` …
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    /// `zstd`, `zstd:3` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_free: Option<String>,
}

/// Values on a command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ValueArgs {
    /// Folder for the dumps, which only root can read [default: /var/lib/firstchance/crashes; on
    /// Windows %ProgramData%\firstchance\crashes]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Windows: an account that may change files in the folder, for programs that run as this
    /// account; can be repeated [default: everyone may add files, and read their own]
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) grant: Vec<String>,
    /// Number of dumps that stay in the folder; for a new one the oldest is deleted [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// triage, mini, plus, full or custom MASK (coredump_filter bits) [default: mini]
    #[arg(long = "type", value_name = "TYPE", num_args = 1..=2)]
    kind: Vec<String>,
    /// core or minidump [default: core for full, plus and custom; else minidump]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Compress dumps while they are written: zstd, or zstd:LEVEL with a level of 1 (the default) to 19
    #[arg(long, value_name = "zstd[:LEVEL]")]
    compress: Option<String>,
    /// Most that all dumps in the folder may take together: 10GiB; the oldest are deleted
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<String>,
    /// Dumps that are older are deleted: 30d
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,
    /// Space on the disk that stays free: 5% or 10GiB
    #[arg(long, value_name = "SHARE")]
    keep_free: Option<String>,
}

impl ValueArgs {
    /// A folder, a type and a compression, and nothing else.
    pub(super) fn of(folder: PathBuf, kind: DumpKind, compress: Option<Compression>) -> Self {
        Self {
            folder: Some(folder),
            kind: vec![kind.to_string()],
            compress: compress.map(|compression| compression.to_string()),
            ..Self::default()
        }
    }

    /// Replaces in `values` what was given. Refuses values that cannot be understood.
    pub(crate) fn put_to(&self, values: &mut Values) -> anyhow::Result<()> {
        let put = |new: &Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                old.clone_from(new);
            }
        };
        if let Some(folder) = &self.folder {
            values.folder = Some(variables::absolute(folder)?);
        }
        values.count = self.count.or(values.count);
        let kind = (!self.kind.is_empty()).then(|| kind_of(&self.kind));
        put(&kind, &mut values.kind);
        put(&self.format, &mut values.format);
        put(&self.compress, &mut values.compress);
        put(&self.max_bytes, &mut values.max_bytes);
        put(&self.max_age, &mut values.max_age);
        put(&self.keep_free, &mut values.keep_free);
        Resolved::of(&Values::default(), values).map_err(Usage)?;
        Ok(())
    }
}

/// The type that these words mean: `custom 33` is `custom 0x33`.
fn kind_of(words: &[String]) -> String {
    match words {
        [first, mask] => format!("{first} 0x{}", mask.trim_start_matches("0x")),
        _ => words.join(" "),
    }
}

/// The values that hold for a program: its own, those for all programs where it has none, and
/// LocalDumps' defaults where those have none either.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) folder: PathBuf,
    pub(crate) kind: DumpKind,
    pub(crate) format: DumpFormat,
    pub(crate) compress: Option<Compression>,
    pub(crate) keep: Retention,
}

impl Resolved {
    /// Fails with a sentence about the first value that cannot be understood.
    pub(super) fn of(all: &Values, program: &Values) -> Result<Self, String> {
        let text =
            |get: fn(&Values) -> &Option<String>| get(program).as_deref().or(get(all).as_deref());
        let kind = text(|v| &v.kind).unwrap_or("mini");
        let kind: DumpKind = kind.parse().map_err(|e| format!("type: {e}"))?;
        let format = match text(|v| &v.format) {
            Some(format) => values::format(format).map_err(|e| format!("format: {e}"))?,
            None => default_format(kind),
        };
        let compress = text(|v| &v.compress).map(str::parse);
        let compress = compress
            .transpose()
            .map_err(|e: String| format!("compress: {e}"))?;
        let age = text(|v| &v.max_age).map(policy::parse_duration);
        let bytes = text(|v| &v.max_bytes).map(policy::parse_size);
        let free = text(|v| &v.keep_free).map(str::parse::<Free>);
        let keep = Retention {
            max_count: Some(program.count.or(all.count).unwrap_or(COUNT)),
            max_bytes: bytes.transpose()?,
            max_age: age.transpose()?,
            keep_free: free.transpose()?,
        };
        // Windows has no limit but the count, and itself decides what it means.
        if !is_windows() {
            keep.expect_room(None)?;
        }
        Ok(Self {
            folder: folder_of(all, program),
            kind,
            format,
            compress,
            keep,
        })
    }

    /// Fails if a dump with these values could never be stored: the folder is not safe, or there cannot be room.
    pub(super) fn expect_usable(&self) -> platform::Result<()> {
        if is_windows() {
            return Ok(());
        }
        platform::expect_guarded(&self.folder, Guard::Shared)?;
        platform::expect_storage(&self.folder)?;
        let mut parts = self.folder.ancestors();
        let disk = parts.find_map(|part| platform::space_at(part).ok());
        let room = self.keep.expect_room(disk.map(|disk| disk.total));
        room.map_err(|e| Error::new(ErrorKind::Disk, format!("{}: {e}", self.folder.display())))
    }
}

/// Makes the folder for dumps, and tries whether files can be made in it: its file system may be mounted read-only.
pub(super) fn make_store(folder: &Path) -> anyhow::Result<()> {
    platform::make_store(folder)?;
    Ok(platform::expect_writable(folder)?)
}

/// Where the dumps of a program go.
pub(super) fn folder_of(all: &Values, program: &Values) -> PathBuf {
    let folder = program.folder.as_ref().or(all.folder.as_ref());
    folder.cloned().unwrap_or_else(|| match is_windows() {
        true => FOLDER_ON_WINDOWS.into(),
        false => FOLDER.into(),
    })
}

fn default_format(kind: DumpKind) -> DumpFormat {
    match kind {
        DumpKind::Mini | DumpKind::Triage => DumpFormat::Minidump,
        _ => DumpFormat::Core,
    }
}
