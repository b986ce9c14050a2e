//! Where the settings are kept: on Linux in a file, on Windows in the registry.

use super::{
    is_windows, lost, past_folders,
    settings::{FILE, Settings},
    windows::local_dumps,
};
use platform::{Error, ErrorKind, Result, Use};
use std::path::Path;

/// A copy of the settings as they were when they last made sense.
const LAST_GOOD: &str = "/etc/firstchance/postmortem.last-good.toml";

/// Settings that make sense.
pub(crate) struct Good {
    /// The settings; `None` if nothing was ever set.
    pub(crate) settings: Option<Settings>,
    /// What is wrong with those in the file, if these are older ones.
    pub(crate) mistake: Option<Error>,
}

impl Settings {
    /// Reads the settings of this machine. Returns `None` if nothing was ever set.
    pub(crate) fn load() -> Result<Option<Self>> {
        if is_windows() {
            return local_dumps::load();
        }
        load_from(FILE)
    }

    /// Reads the settings of this machine, or where somebody has made a mistake in them, the last that made sense: no crash
    /// is lost for it.
    ///
    /// # Errors
    /// If there are none that make sense.
    pub(crate) fn load_good() -> Result<Good> {
        let checked = |settings: Option<Self>| match &settings {
            Some(some) => some.check().map(|()| settings),
            None => Ok(None),
        };
        match Self::load().and_then(checked) {
            Ok(settings) => {
                settings.iter().for_each(Self::keep_as_good);
                let mistake = None;
                Ok(Good { settings, mistake })
            }
            Err(mistake) if is_windows() => Err(mistake),
            Err(mistake) => match load_from(LAST_GOOD) {
                Ok(Some(settings)) => Ok(Good {
                    settings: Some(settings),
                    mistake: Some(mistake),
                }),
                _ => Err(mistake),
            },
        }
    }

    /// The settings as they last made sense, if there are any.
    pub(crate) fn last_good() -> Option<Self> {
        load_from(LAST_GOOD).ok().flatten()
    }

    /// Forgets the copy of the settings.
    pub(crate) fn forget_good() {
        // Where there is none, nothing is left to do.
        let _ = std::fs::remove_file(LAST_GOOD);
    }

    fn keep_as_good(&self) {
        if !is_windows()
            && Self::last_good().as_ref() != Some(self)
            && let Ok(text) = toml::to_string(self)
        {
            // Whoever may not write there is not the handler.
            let _ = platform::write_guarded(Path::new(LAST_GOOD), text.as_bytes(), Use::Read);
        }
    }

    /// Writes the settings in place of those before.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        if is_windows() {
            return local_dumps::save(self);
        }
        if let Ok(Some(before)) = Self::load() {
            past_folders::remember(&before);
        }
        let text = toml::to_string(self)?;
        let head = "# Written by `firstchance postmortem`; may be edited.\n";
        let text = format!("{head}{text}");
        let file = Path::new(FILE);
        platform::write_guarded(file, text.as_bytes(), Use::Read)?;
        if self.check().is_ok() {
            self.keep_as_good();
        }
        lost::log_settings();
        Ok(())
    }
}

fn load_from(file: &str) -> Result<Option<Settings>> {
    let Some(bytes) = platform::read_guarded(Path::new(file))? else {
        log::debug!("no settings: {file} does not exist");
        return Ok(None);
    };
    log::debug!("settings from {file}");
    let text = String::from_utf8_lossy(&bytes);
    let settings = toml::from_str(&text);
    settings.map(Some).map_err(|e| {
        let place = e
            .span()
            .map_or(String::new(), |span| place(&text, span.start));
        let what = format!("{file} is not as it should be: {place}{}", e.message());
        Error::new(ErrorKind::Other, what)
    })
}

/// Where a byte of a text is: `line 3, column 7: `. The log of the kernel, which these errors go to, has no place for the
/// lines of the text itself.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    format!("line {line}, column {column}: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n38_a_place_in_the_settings_is_told_by_line_and_column() {
        assert_eq!(place("a\nbc\n", 3), "line 2, column 2: ");
        assert_eq!(place("a\n", 2), "line 2, column 1: ");
        assert_eq!(place("", 0), "line 1, column 1: ");
    }
}
