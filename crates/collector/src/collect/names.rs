use crate::local_time;
use platform::{Error, ErrorKind};
use snapshot::{DumpFormat, DumpKind, WallTime};
use std::path::{Path, PathBuf};

/// The name of a dump where the user gives none (ProcDump's).
const DEFAULT: &str = "PROCESSNAME_YYMMDD_HHMMSS";
/// What is kept of a target's own name: it is hostile text, and file systems allow 255 bytes.
const LONGEST_PROCESS_NAME: usize = 64;

/// Where a dump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into this folder, under the default name.
    Folder(PathBuf),
    /// To this file; tokens in its last component are replaced.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

impl Destination {
    /// Reads what a user wrote: `-`, a folder (it exists, or the text ends with a slash), a file.
    pub fn parse(text: &str) -> Self {
        let path = Path::new(text);
        match text {
            "-" => Destination::Stdout,
            _ if text.ends_with(std::path::is_separator) || path.is_dir() => {
                Destination::Folder(path.to_owned())
            }
            _ => Destination::File(path.to_owned()),
        }
    }
}

/// What the tokens of a name stand for.
#[derive(Clone, Debug)]
pub struct Names<'n> {
    /// PROCESSNAME.
    pub process: &'n str,
    /// PID.
    pub pid: u32,
    /// YYMMDD and HHMMSS, in local time.
    pub when: WallTime,
    /// EXCEPTIONCODE.
    pub exception: Option<u32>,
    /// TRIGGER: what set the dump off, in a word.
    pub trigger: &'n str,
}

/// The folder that a destination writes to; `None` for standard output.
pub fn output_folder(destination: &Destination) -> Option<PathBuf> {
    match destination {
        Destination::Folder(folder) => Some(folder.clone()),
        Destination::File(path) => match path.parent() {
            Some(parent) if parent != Path::new("") => Some(parent.to_owned()),
            _ => Some(PathBuf::from(".")),
        },
        Destination::Stdout => None,
    }
}

impl Names<'_> {
    /// The path of a dump; with `several` kinds asked the kind goes into the name.
    /// `None` for standard output.
    pub(crate) fn path(
        &self,
        destination: &Destination,
        kind: DumpKind,
        format: DumpFormat,
        several: bool,
    ) -> Result<Option<PathBuf>, Error> {
        let kind = if several {
            format!("_{}", kind.name())
        } else {
            String::new()
        };
        let ending = format.extension();
        match destination {
            Destination::Stdout => Ok(None),
            Destination::Folder(folder) => Ok(Some(
                folder.join(format!("{}{kind}.{ending}", self.expand(DEFAULT))),
            )),
            Destination::File(path) => {
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name
                    .map(|name| self.expand(name))
                    .filter(|name| is_allowed(name));
                let bad = || {
                    Error::new(
                        ErrorKind::Disk,
                        format!("{} is no name for a dump", path.display()),
                    )
                };
                let name = name.ok_or_else(bad)?;
                let name = if several {
                    with_kind(&name, &kind, ending)
                } else {
                    name
                };
                Ok(Some(path.with_file_name(name)))
            }
        }
    }

    /// Replaces the tokens, whole ones only: `PIDS` and `pid` are no tokens, `x_PID.core` holds one.
    fn expand(&self, template: &str) -> String {
        let mut name = String::new();
        let mut rest = template;
        while !rest.is_empty() {
            let inside = rest.starts_with(|c: char| c.is_alphanumeric());
            let end = rest
                .find(|c: char| c.is_alphanumeric() != inside)
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            name.push_str(&self.replacement(word).unwrap_or_else(|| word.to_owned()));
            rest = after;
        }
        name
    }

    fn replacement(&self, word: &str) -> Option<String> {
        match word {
            "PROCESSNAME" => Some(safe(self.process)),
            "PID" => Some(self.pid.to_string()),
            "YYMMDD" => Some(local_time::format(self.when, "%y%m%d")),
            "HHMMSS" => Some(local_time::format(self.when, "%H%M%S")),
            "TRIGGER" => Some(trigger_word(self.trigger).to_owned()),
            "EXCEPTIONCODE" => Some(format!("{:08X}", self.exception.unwrap_or(0))),
            _ => None,
        }
    }
}

/// ProcDump for Linux's word for a reason.
fn trigger_word(reason: &str) -> &'static str {
    match reason.split_ascii_whitespace().next().unwrap_or("") {
        "cpu" | "core-cpu" => "cpu",
        "memory" | "rss" | "virtual" => "commit",
        "threads" => "thread",
        "handles" => "filedesc",
        "counter" => "perfcounter",
        "signal" => "signal",
        "every" => "time",
        "exception" | "unhandled" => "exception",
        _ => "manual",
    }
}

/// A target's name as part of a file name: a fixed alphabet, short, never hidden, never a switch.
fn safe(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-@".contains(c);
    let mut safe: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    safe.truncate(LONGEST_PROCESS_NAME);
    if safe.starts_with(['.', '-']) || safe.is_empty() {
        safe.insert(0, '_');
    }
    safe
}

/// What no system takes for a file name, and what Windows takes for a device or a stream.
fn is_allowed(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or("").to_ascii_uppercase();
    let device = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT"));
    let windows = device || name.contains(':') || name.ends_with(['.', ' ']);
    !name.is_empty() && !name.contains('\0') && !windows
}

/// `a.dmp` → `a_mini.dmp`, with the ending of the format.
fn with_kind(name: &str, kind: &str, ending: &str) -> String {
    let stem = name
        .strip_suffix(".core")
        .or_else(|| name.strip_suffix(".dmp"))
        .unwrap_or(name);
    format!("{stem}{kind}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(process: &str) -> Names<'_> {
        Names {
            process,
            pid: 42,
            when: WallTime(0),
            exception: Some(0xC000_0005),
            trigger: "cpu > 5%: 7%",
        }
    }

    fn file(process: &str, given: &str, several: bool) -> Option<PathBuf> {
        let to = Destination::File(given.into());
        names(process)
            .path(&to, DumpKind::Mini, DumpFormat::Minidump, several)
            .ok()
            .flatten()
    }

    #[test]
    fn tokens_are_replaced_as_whole_words_only() {
        let expanded = names("nginx").expand("before-input-pid28876_PID_PIDS.EXCEPTIONCODE");
        assert_eq!(expanded, "before-input-pid28876_42_PIDS.C0000005");
        assert_eq!(names("a b").expand("PROCESSNAME_TRIGGER.PID"), "a_b_cpu.42");
    }

    #[test]
    fn d13_hostile_process_names_become_one_plain_component() {
        for hostile in [
            "../x",
            "a/b",
            "",
            "-rf",
            ".hidden",
            "a\u{1b}[31m",
            "%p%p",
            "é\n",
        ] {
            let name = names(hostile).expand(DEFAULT);
            assert!(!name.contains(['/', '\u{1b}', '\n']), "{name:?}");
            assert!(!name.starts_with(['.', '-']), "{name:?}");
        }
        assert!(names(&"x".repeat(300)).expand(DEFAULT).len() < 100);
    }

    #[test]
    fn a_given_name_is_kept_and_the_kind_goes_before_its_ending() {
        assert_eq!(file("p", "/d/x.bin", false), Some("/d/x.bin".into()));
        assert_eq!(file("p", "/d/x.core", true), Some("/d/x_mini.dmp".into()));
        assert_eq!(file("p", "/d/..", false), None);
    }
}
