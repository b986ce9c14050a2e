//! Names of dump files.

use super::Dialect;
use policy::{Condition, Gauge, Level};

/// What a file's name can say of its dump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameFacts<'a> {
    /// The process's name, with its `.exe` if it has one.
    pub(crate) process: &'a str,
    /// Its pid.
    pub(crate) pid: u32,
    /// The code of the exception that is the reason; 0 for none.
    pub(crate) code: u32,
    /// Local date and time, `240414` and `035416`.
    pub(crate) date: &'a str,
    /// See `date`.
    pub(crate) time: &'a str,
    /// What set the dump off.
    pub(crate) condition: &'a Condition,
    /// The ending of its format, without the dot.
    pub(crate) extension: &'a str,
}

/// The name when none is given.
pub(crate) const DEFAULT: &str = "PROCESSNAME_YYMMDD_HHMMSS";

/// The name of a dump's file, without its folder. `given` is the name from the command line. When
/// it is taken already, the caller adds `-1`, `-2` …
pub(crate) fn file_name(given: Option<&str>, dialect: Dialect, facts: &NameFacts<'_>) -> String {
    match dialect {
        Dialect::Windows => with_extension(&expand(given.unwrap_or(DEFAULT), facts), facts),
        Dialect::Linux => on_linux(given, facts),
    }
}

/// `.dmp` is added when the name does not end in it, as ProcDump does.
fn with_extension(name: &str, facts: &NameFacts<'_>) -> String {
    let ending = format!(".{}", facts.extension);
    let has_it = name.to_ascii_lowercase().ends_with(&ending);
    if has_it {
        name.to_owned()
    } else {
        name.to_owned() + &ending
    }
}

/// Fills the tokens in. Only whole ones: ProcDump replaces `pid` within any word, and made
/// `before-input-2887628876.dmp` of `before-input-pid28876.dmp`.
fn expand(template: &str, facts: &NameFacts<'_>) -> String {
    let mut name = String::new();
    let mut rest = template;
    while !rest.is_empty() {
        let word = rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (token, behind) = rest.split_at(word);
        name += &value(token, facts);
        let separators = behind.find(char::is_alphanumeric).unwrap_or(behind.len());
        let (separators, behind) = behind.split_at(separators);
        name += separators;
        rest = behind;
    }
    name
}

fn value(token: &str, facts: &NameFacts<'_>) -> String {
    match token {
        "PROCESSNAME" => safe(facts.process, |c| {
            c.is_alphanumeric() || "._-+@ ".contains(c)
        }),
        "PID" => facts.pid.to_string(),
        "EXCEPTIONCODE" => format!("{:08X}", facts.code),
        "YYMMDD" => facts.date.to_owned(),
        "HHMMSS" => facts.time.to_owned(),
        other => other.to_owned(),
    }
}

/// `name_cpu_240414_035416.1234`, or the given name with the pid.
fn on_linux(given: Option<&str>, facts: &NameFacts<'_>) -> String {
    let NameFacts {
        pid, date, time, ..
    } = facts;
    if let Some(name) = given {
        return format!("{name}.{pid}");
    }
    let process = safe(facts.process, char::is_alphanumeric);
    format!("{process}_{}_{date}_{time}.{pid}", reason(facts.condition))
}

/// ProcDump for Linux's words for what set a dump off.
fn reason(condition: &Condition) -> &'static str {
    match condition {
        Condition::Holds { all, .. } => match all.first() {
            Some(Level::Compare { gauge, .. }) => match gauge {
                Gauge::Cpu | Gauge::CoreCpu => "cpu",
                Gauge::Memory | Gauge::Rss | Gauge::Virtual => "commit",
                Gauge::Threads => "thread",
                Gauge::Handles => "filedesc",
                Gauge::Counter(_) => "perfcounter",
            },
            _ => "manual",
        },
        Condition::Exception(_) => "exception",
        Condition::Signal(_) => "signal",
        Condition::Every(_) => "time",
        _ => "manual",
    }
}

/// A target chooses its own name; it must not choose a folder with it.
fn safe(name: &str, keep: impl Fn(char) -> bool) -> String {
    let safe: String = name
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect();
    safe.trim_start_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(given: Option<&str>, dialect: Dialect, condition: &str, process: &str) -> String {
        let facts = NameFacts {
            process,
            pid: 28876,
            code: 0xC0000005,
            date: "240414",
            time: "035416",
            condition: &condition.parse().unwrap(),
            extension: "dmp",
        };
        file_name(given, dialect, &facts)
    }

    #[test]
    fn windows_names_have_whole_tokens() {
        for (given, expected) in [
            (None, "firefox.exe_240414_035416.dmp"),
            (
                Some("test_EXCEPTIONCODE_YYMMDD_HHMMSS.dmp"),
                "test_C0000005_240414_035416.dmp",
            ),
            (
                Some("before-input-pid28876.dmp"),
                "before-input-pid28876.dmp",
            ),
            (Some("PID28876-PID"), "PID28876-28876.dmp"),
            (Some("FIREFOX.dump"), "FIREFOX.dump.dmp"),
            (Some("a.DMP"), "a.DMP"),
            (Some("é-PROCESSNAME"), "é-firefox.exe.dmp"),
        ] {
            assert_eq!(
                name(given, Dialect::Windows, "now", "firefox.exe"),
                expected
            );
        }
        let hostile = name(None, Dialect::Windows, "now", "../a/b\n%p");
        assert_eq!(hostile, "_a_b__p_240414_035416.dmp");
    }

    #[test]
    fn linux_names_say_the_trigger_and_the_pid() {
        for (condition, expected) in [
            ("core-cpu >= 5%", "a_b_cpu_240414_035416.28876"),
            ("memory >= 5MiB", "a_b_commit_240414_035416.28876"),
            ("threads >= 5", "a_b_thread_240414_035416.28876"),
            ("handles >= 5", "a_b_filedesc_240414_035416.28876"),
            ("signal SIGUSR1", "a_b_signal_240414_035416.28876"),
            ("every 5s", "a_b_time_240414_035416.28876"),
            ("now", "a_b_manual_240414_035416.28876"),
            ("exception", "a_b_exception_240414_035416.28876"),
        ] {
            assert_eq!(name(None, Dialect::Linux, condition, "a b"), expected);
        }
        assert_eq!(
            name(Some("dump"), Dialect::Linux, "now", "a b"),
            "dump.28876"
        );
    }
}
