//! LocalDumps' model: values for all programs, each overridden by those of one program. On Linux in
//! a file, on Windows in the registry.

use super::windows::{is_windows, local_dumps, variables};
use crate::ui::{exit::Usage, values};
use platform::{Error, ErrorKind, Result, Use};
use policy::{Free, Retention};
use serde::{Deserialize, Serialize};
use snapshot::{DumpFormat, DumpKind};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the settings lie.
pub(crate) const FILE: &str = "/etc/firstchance/postmortem.toml";
/// Where dumps go on Linux when nobody says otherwise.
const FOLDER: &str = "/var/lib/firstchance/crashes";
/// LocalDumps' `DumpCount`.
const COUNT: u32 = 10;
/// How long the same crash of the same program is only counted.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// Everything that was set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// What the kernel was told; empty while postmortem dumps are off.
    pub(crate) registered: String,
    /// The program that the kernel calls.
    pub(crate) program: PathBuf,
    /// Only programs that have an entry leave a dump.
    pub(crate) only_listed: bool,
    /// Crashes that no entry wants go to the handler that was there before.
    pub(crate) forward: bool,
    /// SIGQUIT leaves a dump too: somebody asked for it (Ctrl-\).
    pub(crate) quit: bool,
    /// How long the same crash of the same program is only counted: `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeat_window: Option<String>,
    /// What was there before.
    pub(crate) previous: Previous,
    /// For all programs.
    pub(crate) default: Values,
    /// By the base name or the full path of a program.
    #[serde(rename = "program-values")]
    pub(crate) programs: BTreeMap<String, Values>,
}

/// Whom the kernel told before us.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Previous {
    pub(crate) core_pattern: String,
    pub(crate) core_pipe_limit: u32,
}

/// LocalDumps' values, and limits on top of them.
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
    /// Where dumps go; root's alone [default: /var/lib/firstchance/crashes; on Windows
    /// %ProgramData%\firstchance\crashes]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Windows: an account that may change what lies in the folder, as a program that runs as it
    /// leaves its dump there; repeat it for more [default: all may add, each reads its own]
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) grant: Vec<String>,
    /// So many dumps are kept in the folder; the oldest of ours goes [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// triage, mini, plus, full or custom MASK (coredump_filter bits) [default: mini]
    #[arg(long = "type", value_name = "TYPE", num_args = 1..=2)]
    kind: Vec<String>,
    /// core or minidump [default: core for full, plus and custom; else minidump]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// So much is kept in the folder in all: 10GiB
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<String>,
    /// None is kept longer: 30d
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,
    /// So much of the disk stays free: 5% or 10GiB
    #[arg(long, value_name = "SHARE")]
    keep_free: Option<String>,
}

impl ValueArgs {
    /// A folder and a type.
    pub(super) fn of(folder: PathBuf, kind: DumpKind) -> Self {
        Self {
            folder: Some(folder),
            kind: vec![kind.to_string()],
            ..Self::default()
        }
    }

    /// Puts what was given over what there is; refuses what makes no sense.
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
        let kind = (!self.kind.is_empty()).then(|| custom(&self.kind));
        put(&kind, &mut values.kind);
        put(&self.format, &mut values.format);
        put(&self.max_bytes, &mut values.max_bytes);
        put(&self.max_age, &mut values.max_age);
        put(&self.keep_free, &mut values.keep_free);
        Wanted::of(&Values::default(), values).map_err(Usage)?;
        Ok(())
    }
}

/// `custom 33` is `custom 0x33`.
fn custom(words: &[String]) -> String {
    match words {
        [first, mask] => format!("{first} 0x{}", mask.trim_start_matches("0x")),
        _ => words.join(" "),
    }
}

/// What is wanted of the crash of a program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) folder: PathBuf,
    pub(crate) kind: DumpKind,
    pub(crate) format: DumpFormat,
    pub(crate) keep: Retention,
}

impl Wanted {
    /// Each value of the program, else that for all, else LocalDumps' own.
    fn of(all: &Values, program: &Values) -> std::result::Result<Self, String> {
        let text =
            |get: fn(&Values) -> &Option<String>| get(program).as_deref().or(get(all).as_deref());
        let kind = text(|v| &v.kind).unwrap_or("mini");
        let kind: DumpKind = kind.parse().map_err(|e| format!("type: {e}"))?;
        let format = match text(|v| &v.format) {
            Some(format) => values::format(format).map_err(|e| format!("format: {e}"))?,
            None => default_format(kind),
        };
        let age = text(|v| &v.max_age).map(policy::parse_duration);
        let bytes = text(|v| &v.max_bytes).map(policy::parse_size);
        let free = text(|v| &v.keep_free).map(str::parse::<Free>);
        let folder = program.folder.as_ref().or(all.folder.as_ref());
        Ok(Self {
            folder: folder.cloned().unwrap_or_else(default_folder),
            kind,
            format,
            keep: Retention {
                max_count: Some(program.count.or(all.count).unwrap_or(COUNT)),
                max_bytes: bytes.transpose()?,
                max_age: age.transpose()?,
                keep_free: free.transpose()?,
            },
        })
    }
}

/// Where dumps go when nobody says otherwise.
fn default_folder() -> PathBuf {
    match is_windows() {
        true => local_dumps::FOLDER.into(),
        false => FOLDER.into(),
    }
}

fn default_format(kind: DumpKind) -> DumpFormat {
    match kind {
        DumpKind::Mini | DumpKind::Triage => DumpFormat::Minidump,
        DumpKind::Full | DumpKind::Plus | DumpKind::Custom(_) => DumpFormat::Core,
    }
}

impl Settings {
    /// Those of this machine; `None` where nothing was ever set.
    pub(crate) fn load() -> Result<Option<Self>> {
        if is_windows() {
            return local_dumps::load();
        }
        let Some(bytes) = platform::read_guarded(Path::new(FILE))? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let settings = toml::from_str(&text);
        settings.map(Some).map_err(|e| {
            let what = format!(
                "{FILE} is not as it should be: {}",
                e.to_string().trim_end()
            );
            Error::new(ErrorKind::Other, what)
        })
    }

    /// Puts them in the place of what was there.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        if is_windows() {
            return local_dumps::save(self);
        }
        let text = toml::to_string(self)?;
        let head = "# Written by `firstchance postmortem`; may be edited.\n";
        let text = format!("{head}{text}");
        Ok(platform::write_guarded(
            Path::new(FILE),
            text.as_bytes(),
            Use::Read,
        )?)
    }

    /// Whether the kernel was told to call us.
    pub(crate) fn is_enabled(&self) -> bool {
        !self.registered.is_empty()
    }

    /// The entry of a program: that of its path before that of its name.
    pub(crate) fn entry(&self, name: &str, path: &str) -> Option<&Values> {
        self.programs.get(path).or_else(|| self.programs.get(name))
    }

    /// What is wanted of the crash of a program; `None` for nothing.
    pub(crate) fn wanted(&self, name: &str, path: &str) -> Result<Option<Wanted>> {
        let entry = self.entry(name, path);
        if entry.map_or(self.only_listed, |entry| entry.exclude) {
            return Ok(None);
        }
        self.with_defaults(entry.unwrap_or(&Values::default()))
            .map(Some)
    }

    /// An entry's values, with those for all where it says nothing.
    pub(crate) fn with_defaults(&self, entry: &Values) -> Result<Wanted> {
        Wanted::of(&self.default, entry)
            .map_err(|e| Error::new(ErrorKind::Other, format!("{FILE}: {e}")))
    }

    /// All folders that dumps may lie in.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let entries = self.programs.values().chain([&self.default]);
        let mut folders: Vec<PathBuf> = entries
            .map(|values| values.folder.clone().or(self.default.folder.clone()))
            .map(|folder| variables::expand(&folder.unwrap_or_else(default_folder)))
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// What is kept in a folder: the strictest of what those say who use it.
    pub(crate) fn keep_of(&self, folder: &Path) -> Result<Retention> {
        let mut keep = Retention::default();
        for values in self.programs.values().chain([&self.default]) {
            let wanted = self.with_defaults(values)?;
            if variables::expand(&wanted.folder) == folder {
                let counts = [keep.max_count, wanted.keep.max_count];
                keep = Retention {
                    max_count: counts.into_iter().flatten().min(),
                    ..wanted.keep
                };
            }
        }
        Ok(keep)
    }

    /// How long the same crash is only counted.
    pub(crate) fn window(&self) -> Duration {
        let text = self.repeat_window.as_deref();
        let window = text.and_then(|text| policy::parse_duration(text).ok());
        window.unwrap_or(WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_values_stand_before_those_for_all() {
        let text = "[default]\ncount = 3\ntype = \"full\"\nfolder = \"/a\"\n\
                    [program-values.nginx]\ncount = 5\n[program-values.bad]\nexclude = true\n\
                    [program-values.\"/usr/bin/x\"]\ntype = \"custom 0x33\"\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let wanted = |name, path| settings.wanted(name, path).unwrap();
        let nginx = wanted("nginx", "/usr/sbin/nginx").unwrap();
        assert_eq!(
            (nginx.kind, nginx.keep.max_count),
            (DumpKind::Full, Some(5))
        );
        assert_eq!(nginx.folder, Path::new("/a"));
        assert_eq!(
            wanted("x", "/usr/bin/x").unwrap().kind,
            DumpKind::Custom(0x33)
        );
        assert_eq!(wanted("bad", "/bin/bad"), None);
        assert_eq!(wanted("y", "/bin/y").unwrap().keep.max_count, Some(3));
        let again: Settings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(again, settings);
    }

    #[test]
    fn local_dumps_own_values_stand_where_nobody_says_anything() {
        let wanted = Settings::default().wanted("x", "/x").unwrap().unwrap();
        assert_eq!(wanted.kind, DumpKind::Mini);
        assert_eq!(wanted.format, DumpFormat::Minidump);
        assert_eq!(wanted.keep.max_count, Some(10));
        let only_listed = Settings {
            only_listed: true,
            ..Settings::default()
        };
        assert_eq!(only_listed.wanted("x", "/x").unwrap(), None);
    }

    #[test]
    fn unknown_keys_and_nonsense_are_refused() {
        assert!(toml::from_str::<Settings>("[default]\ncolour = 1\n").is_err());
        let values = Values {
            kind: Some("huge".to_owned()),
            ..Values::default()
        };
        assert!(Wanted::of(&Values::default(), &values).is_err());
    }
}
