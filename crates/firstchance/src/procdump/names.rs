//! Names of dump files. The tokens are the collector's, which replaces them.

use super::Dialect;
use std::path::Path;

/// Whether a program of this name is ProcDump.
pub(crate) fn is_name(program: &Path) -> bool {
    let stem = program.file_stem().and_then(|stem| stem.to_str());
    stem.is_some_and(|stem| {
        stem.eq_ignore_ascii_case("procdump") || stem.eq_ignore_ascii_case("procdump64")
    })
}

/// The name when none is given.
pub(crate) const DEFAULT: &str = "PROCESSNAME_YYMMDD_HHMMSS";
/// ProcDump for Linux's, with its word for what set the dump off.
const DEFAULT_ON_LINUX: &str = "PROCESSNAME_TRIGGER_YYMMDD_HHMMSS.PID";

/// The name of a dump's file, with its tokens. `given` is the name from the command line,
/// `ending` that of the format. ProcDump for Windows adds the ending where the name does not end
/// in it; ProcDump for Linux adds the pid.
pub(crate) fn template(given: Option<&str>, dialect: Dialect, ending: &str) -> String {
    match (dialect, given) {
        (Dialect::Windows, name) => with_ending(name.unwrap_or(DEFAULT), ending),
        (Dialect::Linux, Some(name)) => format!("{name}.PID"),
        (Dialect::Linux, None) => DEFAULT_ON_LINUX.to_owned(),
    }
}

fn with_ending(name: &str, ending: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let has_one = lower.ends_with(".dmp") || lower.ends_with(&format!(".{ending}"));
    if has_one {
        name.to_owned()
    } else {
        format!("{name}.{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_names_get_their_ending_once() {
        for (given, expected) in [
            (None, "PROCESSNAME_YYMMDD_HHMMSS.dmp"),
            (
                Some("before-input-pid28876.dmp"),
                "before-input-pid28876.dmp",
            ),
            (Some("FIREFOX.dump"), "FIREFOX.dump.dmp"),
            (Some("a.DMP"), "a.DMP"),
        ] {
            assert_eq!(template(given, Dialect::Windows, "dmp"), expected);
        }
        assert_eq!(template(Some("x.dmp"), Dialect::Windows, "core"), "x.dmp");
    }

    #[test]
    fn linux_names_say_the_trigger_and_the_pid() {
        assert_eq!(template(None, Dialect::Linux, "core"), DEFAULT_ON_LINUX);
        assert_eq!(template(Some("dump"), Dialect::Linux, "core"), "dump.PID");
    }
}
