//! Names of dump files, and what the tokens in them stand for.

use super::Destination;
use crate::local_time;
use platform::{Error, ErrorKind};
use policy::{Trigger, TriggerKind};
use snapshot::{Compression, DumpFormat, DumpKind, OperatingSystem, WallTime, disturbs_text};
use std::path::{Path, PathBuf};

/// The name of a dump if the user gives none, as ProcDump has it, behind the name of the process.
const DEFAULT: &str = "_YYMMDD_HHMMSS";
/// The same for a rule about several processes, which may have the same name.
const DEFAULT_OF_SEVERAL: &str = "_PID_YYMMDD_HHMMSS";
/// So many bytes of the target's own name are used: it is hostile text, and file systems allow 255
/// bytes for a name.
const LONGEST_PROCESS_NAME: usize = 64;

/// Letters that no system, or Windows, allows in the name of a file (Microsoft's "Naming Files, Paths,
/// and Namespaces"). Control characters, which it forbids, too, are replaced on each system.
const FORBIDDEN: &[char] = match platform::OS {
    OperatingSystem::Linux | OperatingSystem::Foreign(_) => &['/'],
    OperatingSystem::Windows => &['/', '\\', ':', '*', '?', '"', '<', '>', '|'],
};

/// The values for the tokens in a name.
#[derive(Clone, Debug)]
pub(crate) struct Names<'n> {
    /// `PROCESSNAME`.
    pub(crate) process: &'n str,
    /// The name of the program in its own command line, of which `COMMANDNAME` is made.
    pub(crate) command: &'n str,
    /// The program that it runs, if it is an interpreter: a part of the name if the user gives none.
    pub(crate) script: Option<&'n str>,
    /// `PID`.
    pub(crate) pid: u32,
    /// `YYMMDD` and `HHMMSS`, which are printed in local time.
    pub(crate) when: WallTime,
    /// `TRIGGER` is the word for its kind, `EXCEPTIONCODE` the code of its exception (0 if it is
    /// not one).
    pub(crate) trigger: &'n Trigger,
    /// Whether the name has the pid, if the user gives none.
    pub(crate) has_pid: bool,
    /// Whether the dump is compressed: its name tells.
    pub(crate) compression: Option<Compression>,
}

impl Names<'_> {
    /// The path of a dump. With `several` dumps of one capture, each has its kind in its name.
    /// Returns `None` for standard output.
    ///
    /// # Errors
    /// If no file of the system can have the name.
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
            Destination::Folder(folder) => {
                let template = if self.has_pid {
                    DEFAULT_OF_SEVERAL
                } else {
                    DEFAULT
                };
                let name = format!("{}{}", self.program(), self.expand(template));
                let name = self.told_packed(format!("{name}{kind}.{ending}"));
                Ok(Some(folder.join(name)))
            }
            Destination::File(path) => {
                let name = expect_name(path, |template| self.expand(template))?;
                let name = if several {
                    with_kind(&name, &kind, ending)
                } else {
                    name
                };
                Ok(Some(path.with_file_name(self.told_packed(name))))
            }
        }
    }

    /// The name with the ending of a compressed dump, if it is one: debuggers read none.
    fn told_packed(&self, name: String) -> String {
        let stem = without_packed(&name);
        match self.compression {
            Some(_) => format!("{stem}.{}", Compression::EXTENSION),
            None => name,
        }
    }

    /// `python3.11-worker.py`: many programs are one interpreter.
    fn program(&self) -> String {
        match self.script {
            Some(script) => safe(&format!("{}-{script}", self.process)),
            None => safe(self.process),
        }
    }

    /// Replaces the tokens that stand as whole words in capitals: `x_PID.core` has one, `PIDS` and
    /// `pid` are none.
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
            "COMMANDNAME" => Some(only_letters(self.command)),
            "PID" => Some(self.pid.to_string()),
            "YYMMDD" => Some(local_time::format(self.when, "%y%m%d")),
            "HHMMSS" => Some(local_time::format(self.when, "%H%M%S")),
            "TRIGGER" => Some(trigger_word(self.trigger.kind()).to_owned()),
            "EXCEPTIONCODE" => {
                let code = self.trigger.exception().map_or(0, |e| e.code);
                Some(format!("{code:08X}"))
            }
            _ => None,
        }
    }
}

/// The word for a kind of trigger in the name of a dump. It is ProcDump for Linux's word, so that
/// scripts that look for its files find ours; for what ProcDump does not know, it is our own word.
fn trigger_word(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::Memory => "commit",
        TriggerKind::Threads => "thread",
        TriggerKind::Handles => "filedesc",
        TriggerKind::Counter => "perfcounter",
        // Not "thread", which is the number of threads.
        TriggerKind::Thread => "thread-event",
        kind => kind.word(),
    }
}

/// A program's name as ProcDump for Linux writes it: `_` for each byte that is no letter and no digit of ASCII.
fn only_letters(name: &str) -> String {
    let bytes = name.bytes().take(LONGEST_PROCESS_NAME);
    let letter = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            byte as char
        } else {
            '_'
        }
    };
    bytes.map(letter).collect()
}

/// A target's name as a part of a file name: short, without letters that the system forbids in one or
/// that change how a line about it reads, and never with a first character that hides the file or
/// makes it look like a switch. Windows takes no blank or dot at the end, and some words for a device.
fn safe(name: &str) -> String {
    let allowed = |c: char| !disturbs_text(c) && !FORBIDDEN.contains(&c);
    let letters = name.chars().map(|c| if allowed(c) { c } else { '_' });
    let mut safe: String = letters.collect();
    safe.truncate(safe.floor_char_boundary(LONGEST_PROCESS_NAME));
    if safe.ends_with(['.', ' ']) {
        safe.push('_');
    }
    if safe.starts_with(['.', '-', ' ']) || safe.is_empty() || is_device(&safe) {
        safe.insert(0, '_');
    }
    safe
}

/// Checks that files can have the name that a user gives for dumps, before there is any.
///
/// # Errors
/// If the system takes no such name: a sentence that says why.
pub fn expect_file_name(path: &Path) -> Result<(), Error> {
    expect_name(path, str::to_owned).map(drop)
}

/// The name of a file, with its tokens filled in by `expand`. Fails if no file can have it.
fn expect_name(path: &Path, expand: impl Fn(&str) -> String) -> Result<String, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.map(expand).unwrap_or_default();
    match refusal(&name) {
        None => Ok(name),
        Some(why) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let shown = match name.is_empty() {
                true => path.to_owned(),
                false => folder.join(&name),
            };
            let what = format!("{:?} is no name for a dump: {why}", shown.display());
            Err(Error::new(ErrorKind::Disk, what))
        }
    }
}

/// Why a file cannot have this name. Windows takes some names for a device (`CON`) or a stream (`a:b`), and loses dots and
/// blanks at their end. Control characters would be obeyed by the terminal that lists the folder.
fn refusal(name: &str) -> Option<String> {
    let is_windows = platform::OS == OperatingSystem::Windows;
    let forbidden = name.chars().find(|letter| FORBIDDEN.contains(letter));
    match forbidden {
        _ if name.is_empty() => Some("it names no file".to_owned()),
        _ if name.contains(char::is_control) => Some("it has a control character".to_owned()),
        Some(letter) => Some(format!(
            "the system allows no `{letter}` in the name of a file"
        )),
        None if is_windows && is_device(name) => {
            Some("Windows has a device of that name".to_owned())
        }
        None if is_windows && name.ends_with(['.', ' ']) => {
            Some("on Windows no name ends with a dot or a blank".to_owned())
        }
        None => None,
    }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or("").to_ascii_uppercase();
    ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT"))
}

/// Puts the kind before the ending, which becomes that of the format: `a.dmp` → `a_mini.dmp`.
fn with_kind(name: &str, kind: &str, ending: &str) -> String {
    let name = without_packed(name);
    let stem = name
        .strip_suffix(".core")
        .or_else(|| name.strip_suffix(".dmp"))
        .unwrap_or(name);
    format!("{stem}{kind}.{ending}")
}

/// A name without the ending of a compressed dump.
pub(super) fn without_packed(name: &str) -> &str {
    let stem = name.strip_suffix(Compression::EXTENSION);
    stem.and_then(|stem| stem.strip_suffix('.')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(process: &str) -> Names<'_> {
        Names {
            process,
            command: process,
            script: None,
            pid: 42,
            when: WallTime(0),
            trigger: &Trigger::Manual,
            has_pid: false,
            compression: None,
        }
    }

    /// A name of the template for a dump that this trigger sets off.
    fn named_after(trigger: &Trigger, template: &str) -> String {
        Names {
            trigger,
            ..names("p")
        }
        .expand(template)
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
        assert_eq!(expanded, "before-input-pid28876_42_PIDS.00000000");
        let expanded = names("é-b.sh").expand("COMMANDNAME_TRIGGER");
        assert_eq!(expanded, "___b_sh_manual");
        let expanded = names("a b").expand("PROCESSNAME_TRIGGER.PID");
        assert_eq!(expanded, "a b_manual.42");
    }

    /// Each condition that can be written, with a trigger of it.
    #[test]
    fn every_level_has_procdumps_word_or_its_own() {
        for (when, word) in [
            ("cpu >= 85% for 10s", "cpu"),
            ("core-cpu > 90%", "cpu"),
            ("memory > 1GiB and threads > 5", "commit"),
            ("rss > 1GiB", "commit"),
            ("virtual > 1GiB", "commit"),
            ("threads > 5", "thread"),
            ("handles > 5", "filedesc"),
            ("counter \"x\" > 5", "perfcounter"),
            ("hang for 5s", "hang"),
            ("http \"http://a/\" slower than 4s", "http"),
        ] {
            let level = Trigger::Level {
                condition: policy::parse_when(when).unwrap().remove(0),
                values: vec![],
            };
            assert_eq!(named_after(&level, "TRIGGER.core"), format!("{word}.core"));
        }
        let every = Trigger::Every(std::time::Duration::from_secs(30));
        assert_eq!(named_after(&every, "TRIGGER"), "time");
        assert_eq!(named_after(&Trigger::Manual, "TRIGGER"), "manual");
    }

    #[test]
    fn every_event_has_its_own_word() {
        let signal = Trigger::Signal {
            number: 10,
            thread: 42,
            sender: None,
            fault: None,
        };
        let breakpoint = Trigger::Breakpoint {
            place: policy::Place::Exit,
            thread: 42,
            ends: None,
        };
        let exit = Trigger::Exit {
            status: snapshot::EndStatus::Code(3),
            sender: None,
        };
        for (trigger, word) in [
            (signal, "signal"),
            (breakpoint, "breakpoint"),
            (exit, "exit"),
            (Trigger::ModuleLoad("cpu".to_owned()), "module"),
            (Trigger::ModuleUnload("cpu".to_owned()), "module"),
            (Trigger::ThreadStart(43), "thread-event"),
            (Trigger::ThreadExit(43), "thread-event"),
            (Trigger::DebugString("cpu >".to_owned()), "debug-string"),
        ] {
            assert_eq!(named_after(&trigger, "TRIGGER_PID"), format!("{word}_42"));
        }
    }

    #[test]
    fn an_exception_has_its_code_in_the_name() {
        let crash = Trigger::Exception(snapshot::Exception {
            code: 0xC000_0005,
            name: "C0000005.ACCESS_VIOLATION".to_owned(),
            ..snapshot::Exception::default()
        });
        let name = named_after(&crash, "TRIGGER-EXCEPTIONCODE.dmp");
        assert_eq!(name, "exception-C0000005.dmp");
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
    fn n26_a_process_keeps_blanks_and_letters_of_every_language_in_the_name() {
        for (process, kept) in [
            ("my server.exe", "my server.exe"),
            ("größe (ж) 東京", "größe (ж) 東京"),
            ("a/b\n\u{202e}c", "a_b__c"),
            ("x. ", "x. _"),
            ("-rf", "_-rf"),
            ("nul.exe", "_nul.exe"),
        ] {
            assert_eq!(names(process).expand("PROCESSNAME"), kept, "{process:?}");
        }
        // 64 bytes, in whole letters.
        assert_eq!(
            names(&"東".repeat(40)).expand("PROCESSNAME"),
            "東".repeat(21)
        );
        let windows = r#"a\b:c*d?e"f<g>h|i"#;
        let kept = match platform::OS {
            OperatingSystem::Linux | OperatingSystem::Foreign(_) => windows,
            OperatingSystem::Windows => "a_b_c_d_e_f_g_h_i",
        };
        assert_eq!(names(windows).expand("PROCESSNAME"), kept);
    }

    #[test]
    fn a_given_name_is_kept_and_the_kind_goes_before_its_ending() {
        assert_eq!(file("p", "/d/x.bin", false), Some("/d/x.bin".into()));
        assert_eq!(file("p", "/d/x.core", true), Some("/d/x_mini.dmp".into()));
        assert_eq!(file("p", "/d/..", false), None);
    }

    #[test]
    fn the_name_of_a_compressed_dump_tells_it() {
        let path = |given: &str, several: bool| {
            let packed = Names {
                compression: Some(Compression::default()),
                ..names("p")
            };
            let to = Destination::parse(given);
            let path = packed.path(&to, DumpKind::Full, DumpFormat::Core, several);
            path.unwrap().unwrap().display().to_string()
        };
        assert_eq!(path("/d/x.core", false), "/d/x.core.zst");
        assert_eq!(path("/d/x.core.zst", false), "/d/x.core.zst");
        assert_eq!(path("/d/x.core.zst", true), "/d/x_full.core.zst");
        assert!(path("/d/", false).ends_with(".core.zst"));
    }

    #[test]
    fn n45_windows_rules_for_names_are_for_windows() {
        let is_linux = platform::OS == OperatingSystem::Linux;
        for name in [
            "dump_07:30:00",
            "con",
            "con.dmp",
            "a:b",
            "a.",
            "lpt1 ",
            "a*",
        ] {
            let path = Path::new("/d").join(name);
            let told = expect_file_name(&path).map_err(|error| error.to_string());
            assert_eq!(told.is_ok(), is_linux, "{name}: {told:?}");
        }
        for (path, why) in [
            ("/d/a\n", "control character"),
            ("/d/\u{1b}[31m", "control character"),
            ("/", "names no file"),
        ] {
            let told = expect_file_name(Path::new(path)).unwrap_err().to_string();
            assert!(
                told.contains(why) && !told.contains(char::is_control),
                "{told:?}"
            );
        }
        // What is told is the name that the file would have had.
        let path = Path::new("/d/PID\n");
        let told = expect_name(path, |name| names("p").expand(name)).unwrap_err();
        assert!(told.what.contains("42"), "{told}");
    }
}
