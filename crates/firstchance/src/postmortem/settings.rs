//! What was set: values for all programs, each overridden by those of one program, as LocalDumps has
//! them. `settings_file` reads and writes them.

use super::{
    is_windows,
    values::{self, Resolved, Values},
    variables,
};
use crate::ui::{console, exit::Usage};
use platform::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The file with the settings.
pub(crate) const FILE: &str = "/etc/firstchance/postmortem.toml";

/// Everything that was set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// The core pattern that `enable` wrote; empty while postmortem dumps are off.
    pub(crate) registered: String,
    /// The copy of firstchance that the kernel starts.
    pub(crate) program: PathBuf,
    /// Only programs that have an entry leave a dump.
    pub(crate) only_listed: bool,
    /// Crashes that no rule wants go to the handler that was registered before.
    pub(crate) forward: bool,
    /// SIGQUIT, which a user sends on purpose (Ctrl-\), leaves a dump too.
    pub(crate) quit: bool,
    /// How long the same crash of the same program is only counted: `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeat_window: Option<String>,
    /// What was registered before.
    pub(crate) previous: Previous,
    /// Values for all programs.
    pub(crate) default: Values,
    /// Values of some programs, by the name or the full path of the program.
    #[serde(rename = "program-values")]
    pub(crate) programs: BTreeMap<String, Values>,
}

/// The kernel's settings before `enable`; see core(5).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Previous {
    pub(crate) core_pattern: String,
    pub(crate) core_pipe_limit: u32,
}

impl Settings {
    /// Whether firstchance is registered for the crashes of this machine.
    pub(crate) fn is_enabled(&self) -> bool {
        !self.registered.is_empty()
    }

    /// A name that is in the settings already, or one that a program can have.
    pub(super) fn exact_program(&self, text: &str) -> anyhow::Result<String> {
        let is_relative = text.contains('/') && !text.starts_with('/');
        let is_none = text.is_empty() || text.contains('*') || is_relative;
        if is_none && !self.programs.contains_key(text) {
            let what = format!(
                "\"{}\" matches no program: give its name, exactly, or its full path",
                console::plain(text)
            );
            return Err(Usage(what).into());
        }
        Ok(text.to_owned())
    }

    /// The values that hold for a program which has these of its own.
    pub(crate) fn resolve(&self, own: &Values) -> Result<Resolved> {
        Resolved::of(&self.default, own)
            .map_err(|e| Error::new(ErrorKind::Other, format!("{FILE}: {e}")))
    }

    /// Fails if the values of a program cannot be understood, or no dump could ever be stored by them.
    pub(crate) fn expect_usable(&self, own: &Values) -> Result<()> {
        self.resolve(own)?.expect_usable()
    }

    /// As [`Settings::expect_usable`], for all programs, as far as it can be told without their folders, of which one may lie
    /// on a server that does not answer.
    pub(crate) fn check(&self) -> Result<()> {
        let mut all = self.programs.values().chain([&self.default]);
        all.try_for_each(|own| match self.resolve(own) {
            Ok(values) if !own.exclude && !is_windows() => platform::expect_storage(&values.folder),
            resolved => resolved.map(drop),
        })
    }

    /// All folders that dumps may be in.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let entries = self.programs.values().chain([&self.default]);
        let folders = entries.map(|own| values::folder_of(&self.default, own));
        let mut folders: Vec<PathBuf> = folders.map(|folder| variables::expand(&folder)).collect();
        folders.sort();
        folders.dedup();
        folders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_nonsense_are_refused() {
        assert!(toml::from_str::<Settings>("[default]\ncolour = 1\n").is_err());
        let values = Values {
            kind: Some("huge".to_owned()),
            ..Values::default()
        };
        assert!(Settings::default().resolve(&values).is_err());
    }
}
