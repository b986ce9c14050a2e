//! The names of ProcDump: of its program, and of its dump files. Tokens in file names, such as `PID`, are
//! replaced later, by `collector`.

use super::Dialect;
use std::path::Path;

/// Whether firstchance is started under the name of ProcDump.
pub(crate) fn is_name(program: &Path) -> bool {
    let stem = program.file_stem().and_then(|stem| stem.to_str());
    stem.is_some_and(|stem| {
        stem.eq_ignore_ascii_case("procdump") || stem.eq_ignore_ascii_case("procdump64")
    })
}

/// The file name if none is given.
const DEFAULT: &str = "PROCESSNAME_YYMMDD_HHMMSS";
/// The same, where several processes may be dumped.
const DEFAULT_OF_SEVERAL: &str = "PROCESSNAME_PID_YYMMDD_HHMMSS";
/// The file name in the Linux dialect, with a word for the trigger.
const DEFAULT_ON_LINUX: &str = "COMMANDNAME_TRIGGER_YYMMDD_HHMMSS.PID";

/// The file name in the Windows dialect if none is given, for one process or for several.
pub(super) fn default(several: bool) -> &'static str {
    match several {
        true => DEFAULT_OF_SEVERAL,
        false => DEFAULT,
    }
}

/// The name of a dump file, with its tokens. `given` is the name from the command line, `several` says that dumps of
/// several processes may have it, and `ending` is that of the format. ProcDump for Windows adds the ending if the name does
/// not have it; ProcDump for Linux adds the pid instead.
pub(crate) fn template(
    given: Option<&str>,
    several: bool,
    dialect: Dialect,
    ending: &str,
) -> String {
    match (dialect, given) {
        (Dialect::Windows, name) => with_ending(name.unwrap_or(default(several)), ending),
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
            assert_eq!(template(given, false, Dialect::Windows, "dmp"), expected);
        }
        let several = template(None, true, Dialect::Windows, "core");
        assert_eq!(several, "PROCESSNAME_PID_YYMMDD_HHMMSS.core");
        assert_eq!(
            template(Some("x.dmp"), false, Dialect::Windows, "core"),
            "x.dmp"
        );
    }

    #[test]
    fn linux_names_say_the_trigger_and_the_pid() {
        assert_eq!(
            template(None, false, Dialect::Linux, "core"),
            DEFAULT_ON_LINUX
        );
        assert_eq!(
            template(Some("dump"), false, Dialect::Linux, "core"),
            "dump.PID"
        );
    }
}
