//! Which ProcDump a command line is written for, as far as the command line itself does not say.

use crate::{
    procdump::{Dialect, Invocation},
    ui::{console, exit::Usage},
};
use platform::{Error, ErrorKind};
use serde::Deserialize;
use snapshot::OperatingSystem;
use std::path::Path;

/// The administrator's choice for all users of a Linux machine. Packages that install the name `procdump` write it.
const FILE: &str = "/etc/firstchance/procdump.toml";

/// What the file may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    dialect: String,
}

/// The dialect, and whether somebody has chosen it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) dialect: Dialect,
    pub(super) is_chosen: bool,
}

/// The choice of the user (`PROCDUMP_DIALECT`), else of the administrator, else ProcDump for Windows.
///
/// # Errors
/// If the variable names neither, or the administrator's file cannot be read or says something else.
pub(super) fn choice() -> anyhow::Result<Choice> {
    let user = std::env::var_os("PROCDUMP_DIALECT");
    let user = user.map(|value| of_variable(&value.to_string_lossy()));
    let chosen = match user.transpose()?.flatten() {
        Some(dialect) => Some(dialect),
        None if platform::OS == OperatingSystem::Linux => of_file(Path::new(FILE))?,
        None => None,
    };
    Ok(Choice {
        dialect: chosen.unwrap_or_default(),
        is_chosen: chosen.is_some(),
    })
}

/// The dialect that the variable says; `None` if it is empty, as a script unsets it.
fn of_variable(value: &str) -> Result<Option<Dialect>, Usage> {
    let wrong = || {
        let value = console::plain(value);
        Usage(format!(
            "PROCDUMP_DIALECT={value} does not say which dialect is meant. It is linux, or windows."
        ))
    };
    match value.is_empty() {
        true => Ok(None),
        false => named(value).map(Some).ok_or_else(wrong),
    }
}

fn named(name: &str) -> Option<Dialect> {
    match &name.to_ascii_lowercase()[..] {
        "linux" => Some(Dialect::Linux),
        "windows" => Some(Dialect::Windows),
        _ => None,
    }
}

/// The dialect that a file says; `None` if there is no such file.
fn of_file(path: &Path) -> Result<Option<Dialect>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let what = format!("reading the settings {}", path.display());
            return Err(Error::of_access(&what, &error));
        }
    };
    let settings: Option<Settings> = toml::from_str(&text).ok();
    let dialect = settings.and_then(|settings| named(&settings.dialect));
    let wrong = || {
        let what = format!("{} does not say which dialect is meant", path.display());
        Error::new(ErrorKind::Other, what)
            .advise("It has one line: dialect = \"linux\", or dialect = \"windows\".")
    };
    dialect.map(Some).ok_or_else(wrong)
}

/// What to say of a command line that looks as if it were written for ProcDump for Linux, although nobody has chosen its
/// dialect. `name` is the file name that it gives for the dumps.
pub(super) fn hint(invocation: &Invocation, choice: Choice, name: Option<&str>) -> Option<String> {
    let is_in_doubt = platform::OS == OperatingSystem::Linux && !choice.is_chosen;
    let without_ending = name.filter(|name| !name.contains('.'));
    let sign = match (&invocation.linux_switch, without_ending) {
        _ if !is_in_doubt || invocation.dialect == Dialect::Linux => return None,
        (Some(switch), _) => format!("{switch} is a switch of ProcDump for Linux"),
        (None, Some(name)) => format!("`{name}` looks like a name for ProcDump for Linux"),
        (None, None) => return None,
    };
    Some(format!(
        "{sign}: with --linux, dumps, their names and the lines are as there; \
         PROCDUMP_DIALECT=linux or windows, or {FILE}, chooses for good"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n47_a_dialect_that_there_is_not_is_refused_in_the_variable_too() {
        assert_eq!(of_variable("").expect("not set"), None);
        let dialect = of_variable("Linux").expect("one of the two");
        assert_eq!(dialect, Some(Dialect::Linux));
        for wrong in ["linus", "1", "linux "] {
            let told = of_variable(wrong).expect_err(wrong).to_string();
            assert!(told.contains("linux, or windows"), "{told}");
        }
    }

    #[test]
    fn n47_the_administrators_file_says_which_dialect_is_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("procdump.toml");
        assert_eq!(of_file(&file).expect("no file"), None);
        for (text, dialect) in [
            ("dialect = \"linux\"\n", Dialect::Linux),
            ("# ours\ndialect = \"Windows\"", Dialect::Windows),
        ] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(of_file(&file).expect("readable"), Some(dialect));
        }
        for wrong in ["dialect = \"solaris\"", "dialekt = \"linux\"", "", "linux"] {
            std::fs::write(&file, wrong).expect("written");
            let told = of_file(&file).expect_err(wrong).to_string();
            assert!(told.contains("dialect = \"linux\""), "{told}");
        }
    }
}
