//! Where the settings are kept: on Linux in a file, on Windows in the registry.

use super::{
    is_windows,
    settings::{FILE, Settings},
    windows::local_dumps,
};
use platform::{Error, ErrorKind, Result, Use};
use std::path::Path;

impl Settings {
    /// Reads the settings of this machine. Returns `None` if nothing was ever set.
    pub(crate) fn load() -> Result<Option<Self>> {
        if is_windows() {
            return local_dumps::load();
        }
        let Some(bytes) = platform::read_guarded(Path::new(FILE))? else {
            log::debug!("no settings: {FILE} does not exist");
            return Ok(None);
        };
        log::debug!("settings from {FILE}");
        let text = String::from_utf8_lossy(&bytes);
        let settings = toml::from_str(&text);
        settings.map(Some).map_err(|e| {
            let e = e.to_string();
            let what = format!("{FILE} is not as it should be: {}", e.trim_end());
            Error::new(ErrorKind::Other, what)
        })
    }

    /// Writes the settings in place of those before.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        if is_windows() {
            return local_dumps::save(self);
        }
        let text = toml::to_string(self)?;
        let head = "# Written by `firstchance postmortem`; may be edited.\n";
        let text = format!("{head}{text}");
        let file = Path::new(FILE);
        Ok(platform::write_guarded(file, text.as_bytes(), Use::Read)?)
    }
}
