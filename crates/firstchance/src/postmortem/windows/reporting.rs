//! Windows Error Reporting, which sends crash reports to Microsoft: whether it is on, and switching it
//! on and off.

use crate::{
    postmortem::is_windows,
    ui::{console, exit::Usage},
};
use platform::{RegistryKey, RegistryValue};
use std::process::ExitCode;

/// The value `Disabled` of these keys is 1 where nothing is reported: for the machine, and for the
/// user who runs this (<https://learn.microsoft.com/windows/win32/wer/wer-settings>).
const KEYS: [&str; 2] = [
    r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting",
    r"HKCU\SOFTWARE\Microsoft\Windows\Windows Error Reporting",
];
const DISABLED: &str = "Disabled";
/// Group policy: it overrides both.
const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\Windows Error Reporting";

/// Switches reporting on or off for the machine and for the user who runs this, as PowerShell's
/// Enable- and Disable-WindowsErrorReporting do.
pub(crate) fn reporting(on: bool) -> anyhow::Result<ExitCode> {
    if !is_windows() {
        return Err(Usage("only Windows has Windows Error Reporting".to_owned()).into());
    }
    for key in KEYS {
        RegistryKey::new(key).set(DISABLED, &RegistryValue::Number((!on).into()))?;
    }
    console::print(&format!("Error reporting:  {}", state()?))?;
    Ok(ExitCode::SUCCESS)
}

/// `on`, or `off` and which key says so.
pub(super) fn state() -> anyhow::Result<String> {
    for key in [POLICY].into_iter().chain(KEYS) {
        let values = RegistryKey::new(key).values()?.unwrap_or_default();
        if values.get(DISABLED).and_then(RegistryValue::number) == Some(1) {
            return Ok(format!(
                "off ({key}\\{DISABLED} is 1); LocalDumps is not affected"
            ));
        }
    }
    Ok("on".to_owned())
}
