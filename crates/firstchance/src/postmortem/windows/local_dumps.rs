//! LocalDumps, as Windows has it in its registry
//! (<https://learn.microsoft.com/windows/win32/wer/collecting-user-mode-dumps>): read and written as
//! the settings that Linux has in a file.

use super::takeover::{self, NewValue, Takeover};
use crate::{
    postmortem::{Settings, Values, is_windows},
    ui::{exit::Usage, values},
};
use platform::{RegistryKey, RegistryValue, RegistryValues, Result};
use snapshot::{DumpFormat, DumpKind};
use std::path::PathBuf;

/// The key with the values for all programs; those of one program are in a key of its name below
/// it.
pub(super) const KEY: &str = r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting\LocalDumps";
/// The key with the programs that Windows Error Reporting ignores.
const EXCLUDED: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting\ExcludedApplications";
/// Default of `DumpCount`.
pub(super) const COUNT: u32 = 10;
/// Default of `CustomDumpFlags`: data segments, unloaded modules, process and thread data.
const FLAGS: u32 = 0x121;
/// The names under which [`Takeover`] saves the old values.
const NAME: &str = "LocalDumps";
const EXCLUDED_NAME: &str = "ExcludedApplications";

/// Reads the settings from the registry. Returns `None` if nothing is set.
pub(crate) fn load() -> Result<Option<Settings>> {
    let key = RegistryKey::new(KEY);
    let default = key.values()?;
    let mut settings = Settings {
        registered: default.as_ref().map_or("", |_| KEY).to_owned(),
        default: of_registry(&default.unwrap_or_default()),
        ..Settings::default()
    };
    for name in key.keys()? {
        let values = key.below(&name).values()?.unwrap_or_default();
        settings.programs.insert(name, of_registry(&values));
    }
    for (name, value) in RegistryKey::new(EXCLUDED)
        .values()?
        .unwrap_or_default()
        .iter()
    {
        let Ok(name) = settings.program(name) else {
            continue;
        };
        let entry = settings.programs.entry(name).or_default();
        entry.exclude = value.number() != Some(0);
    }
    let is_set = settings.is_enabled() || !settings.programs.is_empty();
    Ok(is_set.then_some(settings))
}

/// Writes the values that have changed. All are checked before the first is written.
pub(crate) fn save(new: &Settings) -> anyhow::Result<()> {
    let old = load()?.unwrap_or_default();
    let default = to_registry(&new.default)?;
    let changed = changed_programs(&old, new)?;
    if new.is_enabled() && (new.default != old.default || !old.is_enabled()) {
        of_all().take(&default)?;
    }
    // The key of a program is below the key of LocalDumps, which then exists and applies to all
    // programs.
    if changed.iter().any(|(_, values, _)| has_own(values)) {
        of_all().take(&[])?;
    }
    for (name, values, wanted) in changed {
        let had_own = old.programs.get(name).is_some_and(has_own);
        if has_own(values) || had_own {
            of_program(name).take(&wanted)?;
        }
        set_excluded(name, values.exclude)?;
    }
    let mut gone = old.programs.keys();
    Ok(
        gone.try_for_each(|name| match new.programs.contains_key(name) {
            true => Ok(()),
            false => forget(name),
        })?,
    )
}

type Program<'s> = (&'s String, &'s Values, Vec<NewValue<'static>>);

fn changed_programs<'s>(old: &Settings, new: &'s Settings) -> anyhow::Result<Vec<Program<'s>>> {
    let changed = |(name, values): &(&String, &Values)| old.programs.get(*name) != Some(*values);
    let programs = new.programs.iter().filter(changed);
    let wanted =
        |(name, values): (&'s String, &'s Values)| Ok((name, values, to_registry(values)?));
    programs.map(wanted).collect()
}

/// Restores all old values. Returns the names of values that were left alone because somebody else
/// has changed them since.
pub(super) fn give_back() -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for name in takeover::names_below(NAME)? {
        let told = |value: String| format!("{name}\\{value}");
        changed.extend(of_program(&name).give_back()?.into_iter().map(told));
    }
    changed.extend(of_all().give_back()?);
    changed.extend(excluded().give_back()?);
    Ok(changed)
}

/// Whether any values are ours.
pub(super) fn is_taken() -> Result<bool> {
    let programs = takeover::names_below(NAME)?;
    Ok(of_all().is_taken()? || excluded().is_taken()? || !programs.is_empty())
}

/// The names of the values for all programs that somebody has changed since we set them.
pub(super) fn changed() -> Result<Vec<String>> {
    of_all().changed()
}

fn of_all() -> Takeover {
    Takeover::of(RegistryKey::new(KEY), NAME)
}

fn of_program(name: &str) -> Takeover {
    Takeover::of(
        RegistryKey::new(KEY).below(name),
        &format!("{NAME}\\{name}"),
    )
}

fn excluded() -> Takeover {
    Takeover::of(RegistryKey::new(EXCLUDED), EXCLUDED_NAME)
}

fn set_excluded(name: &str, is_excluded: bool) -> Result<()> {
    let now = RegistryKey::new(EXCLUDED).values()?.unwrap_or_default();
    let was = now.get(name).and_then(RegistryValue::number).unwrap_or(0) != 0;
    match (was, is_excluded) {
        (false, true) => excluded().take(&[(name, Some(RegistryValue::Number(1)))])?,
        (true, false) => excluded().take(&[(name, None)])?,
        _ => {}
    }
    if !excluded().is_taken()? {
        excluded().give_back()?;
    }
    Ok(())
}

/// Removes the values of a program, also those that others have set.
fn forget(name: &str) -> Result<()> {
    RegistryKey::new(KEY).below(name).remove()?;
    of_program(name).forget()?;
    set_excluded(name, false)?;
    let is_last = RegistryKey::new(KEY).keys()?.is_empty();
    if is_last && !of_all().is_taken()? {
        of_all().give_back()?;
    }
    Ok(())
}

/// Refuses values that Windows has no counterpart for.
pub(super) fn expect_possible(values: &Values) -> anyhow::Result<()> {
    to_registry(values).map(drop)
}

fn has_own(values: &Values) -> bool {
    values.folder.is_some() || values.count.is_some() || values.kind.is_some()
}

fn of_registry(values: &RegistryValues) -> Values {
    let number = |name| values.get(name).and_then(RegistryValue::number);
    let folder = values.get("DumpFolder").and_then(RegistryValue::text);
    let flags = number("CustomDumpFlags").unwrap_or(FLAGS);
    let kind = number("DumpType").map(|kind| match kind {
        0 => DumpKind::Custom(flags.into()),
        2 => DumpKind::Full,
        _ => DumpKind::Mini,
    });
    Values {
        folder: folder.map(PathBuf::from),
        count: number("DumpCount"),
        kind: kind.map(|kind| kind.to_string()),
        ..Values::default()
    }
}

/// The values as the registry has them: a folder, a number and a type. Anything else is refused, as
/// Windows would ignore it.
fn to_registry(values: &Values) -> anyhow::Result<Vec<NewValue<'static>>> {
    let limits = [&values.max_bytes, &values.max_age, &values.keep_free];
    if limits.iter().any(|limit| limit.is_some()) {
        return Err(refuse(
            "it can limit their number (--count), but not size, age or free space",
        ));
    }
    let format = values.format.as_deref().map(values::format);
    if format.is_some_and(|format| format != Ok(DumpFormat::Minidump)) {
        return Err(refuse("they are minidumps"));
    }
    if values.compress.is_some() {
        return Err(refuse("it does not compress them"));
    }
    let kind = values.kind.as_deref().map(str::parse::<DumpKind>);
    let (kind, flags) = match kind.transpose().map_err(|e| Usage(e.to_string()))? {
        None => (None, None),
        Some(DumpKind::Custom(mask)) => (Some(0), Some(flags(mask)?)),
        Some(DumpKind::Mini) => (Some(1), None),
        Some(DumpKind::Full) => (Some(2), None),
        Some(DumpKind::Triage | DumpKind::Callback | DumpKind::Plus | DumpKind::Filtered) => {
            return Err(refuse("it can write the types mini, full and custom MASK"));
        }
    };
    let folder = values
        .folder
        .as_ref()
        .map(|folder| folder.display().to_string());
    let number = |number: Option<u32>| number.map(RegistryValue::Number);
    Ok(vec![
        ("DumpFolder", folder.map(RegistryValue::Expand)),
        ("DumpCount", number(values.count)),
        ("DumpType", number(kind)),
        ("CustomDumpFlags", number(flags)),
    ])
}

fn flags(mask: u64) -> anyhow::Result<u32> {
    u32::try_from(mask).map_err(|_| refuse("its masks have 32 bits"))
}

fn refuse(why: &str) -> anyhow::Error {
    Usage(format!("Windows itself writes the dumps of crashes: {why}")).into()
}

impl Settings {
    /// The name under which a program's values are kept: on Windows that of its file, with `.exe`.
    pub(crate) fn program(&self, text: &str) -> anyhow::Result<String> {
        if !is_windows() {
            return self.exact_program(text);
        }
        if text.is_empty() || text.contains(['\\', '/', ':']) {
            let what = format!("\"{text}\" is no name of a program, such as nginx.exe");
            return Err(platform::Error::new(platform::ErrorKind::Other, what).into());
        }
        let has_ending = text.to_ascii_lowercase().ends_with(".exe");
        let name = text.to_owned() + if has_ending { "" } else { ".exe" };
        let mut known = self.programs.keys();
        let same = known.find(|known| snapshot::same_name(known, &name));
        Ok(same.cloned().unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(kind: &str) -> Values {
        Values {
            folder: Some(PathBuf::from(r"C:\dumps")),
            count: Some(5),
            kind: Some(kind.to_owned()),
            ..Values::default()
        }
    }

    #[test]
    fn types_are_numbers_and_flags() {
        for (kind, number, flags) in [
            ("mini", 1, None),
            ("full", 2, None),
            ("custom 0x33", 0, Some(RegistryValue::Number(0x33))),
        ] {
            let wanted = to_registry(&values(kind)).unwrap();
            assert_eq!(wanted[2].1, Some(RegistryValue::Number(number)), "{kind}");
            assert_eq!(wanted[3].1, flags, "{kind}");
        }
        assert_eq!(to_registry(&Values::default()).unwrap()[0].1, None);
    }

    #[test]
    fn what_windows_would_not_see_to_is_refused() {
        let with = |change: fn(&mut Values)| {
            let mut values = values("mini");
            change(&mut values);
            to_registry(&values)
        };
        assert!(with(|v| v.max_age = Some("30d".to_owned())).is_err());
        assert!(with(|v| v.keep_free = Some("5%".to_owned())).is_err());
        assert!(with(|v| v.format = Some("core".to_owned())).is_err());
        assert!(with(|v| v.format = Some("minidump".to_owned())).is_ok());
        assert!(with(|v| v.compress = Some("zstd".to_owned())).is_err());
        assert!(to_registry(&values("plus")).is_err());
        assert!(to_registry(&values("custom 0x1000000000")).is_err());
    }
}
