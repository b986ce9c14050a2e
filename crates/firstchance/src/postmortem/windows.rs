//! `firstchance postmortem` on Windows: LocalDumps and Windows Error Reporting are the system's own,
//! and are set and told of here.

use super::{
    EnableArgs, Settings, ValueArgs, aedebug, is_windows,
    local_dumps::{self, KEY},
    variables::{expand, has_variable},
};
use crate::cli::{console, exit::Usage};
use platform::{Error, ErrorKind, RegistryKey, RegistryValue};
use snapshot::DumpKind;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Where dumps go when nobody says otherwise.
const FOLDER: &str = r"%ProgramData%\firstchance\crashes";
/// `DumpCount` where there is none.
const COUNT: u32 = 10;
/// Its value `Disabled` is 1 where nothing is reported
/// (<https://learn.microsoft.com/windows/win32/wer/wer-settings>): of the machine, of a user.
const REPORTING: [&str; 2] = [
    r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting",
    r"HKCU\SOFTWARE\Microsoft\Windows\Windows Error Reporting",
];
const DISABLED: &str = "Disabled";
/// What an administrator of the network says comes before both.
const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\Windows Error Reporting";

/// Has Windows keep a dump of whatever crashes.
pub(super) fn enable(args: &EnableArgs) -> anyhow::Result<ExitCode> {
    expect_windows_options(args)?;
    let mut settings = Settings::load()?.unwrap_or_default();
    let values = &mut settings.default;
    args.values.put_to(values)?;
    values.count.get_or_insert(COUNT);
    values.kind.get_or_insert(DumpKind::Mini.to_string());
    let folder = values
        .folder
        .get_or_insert_with(|| expand(Path::new(FOLDER)));
    let folder = folder.clone();
    local_dumps::expect_possible(values)?;
    make_folder(&folder, &args.values)?;
    KEY.clone_into(&mut settings.registered);
    settings.save()?;
    console::print(&format!("Crashes leave dumps in {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Windows calls no program of ours, which could choose.
fn expect_windows_options(args: &EnableArgs) -> Result<(), Usage> {
    let given = [
        (args.only_listed, "--only-listed"),
        (args.forward, "--forward"),
        (args.quit, "--quit"),
        (args.repeat_window.is_some(), "--repeat-window"),
    ];
    match given.iter().find(|(is_given, _)| *is_given) {
        None => Ok(()),
        Some((_, option)) => Err(Usage(format!(
            "{option} cannot be had on Windows: Windows itself writes a dump of each crash of each \
             program, unless `firstchance postmortem exclude` names it"
        ))),
    }
}

/// Makes a folder for dumps; says who may write there.
pub(crate) fn make_folder(folder: &Path, args: &ValueArgs) -> anyhow::Result<()> {
    if !is_windows() && !args.grant.is_empty() {
        let what = "--grant means nothing on Linux: root writes the dumps, whoever crashes";
        return Err(Usage(what.to_owned()).into());
    }
    if !is_windows() {
        return Ok(platform::make_store(folder)?);
    }
    if has_variable(folder) {
        return Ok(());
    }
    let folder = expand(folder);
    platform::make_crash_folder(&folder, &args.grant)?;
    let found = platform::crash_folder(&folder)?.unwrap_or_default();
    console::print(&format!(
        "Accounts that may leave dumps there: {}",
        accounts(&found.adders)
    ))
    .map_err(Into::into)
}

fn accounts(names: &[String]) -> String {
    match names {
        [] => "administrators alone".to_owned(),
        names => names.join(", "),
    }
}

/// Windows has no values for some programs alone: LocalDumps is for all as soon as it is there.
pub(crate) fn say_what_came_with_it(was_enabled: bool) -> anyhow::Result<()> {
    let settings = Settings::load()?.unwrap_or_default();
    if !is_windows() || was_enabled || !settings.is_enabled() {
        return Ok(());
    }
    let all = settings.with_defaults(&settings.default)?;
    Ok(console::print(&format!(
        "LocalDumps is on with it, for all programs: {} dumps into {}, unless `enable` says otherwise",
        all.kind,
        all.folder.display()
    ))?)
}

/// Puts back what was there.
pub(super) fn disable() -> anyhow::Result<ExitCode> {
    if !local_dumps::is_taken()? {
        let what = format!("nothing of what {KEY} says was set by firstchance");
        let error = Error::new(ErrorKind::Other, what);
        return Err(error
            .advise("`firstchance postmortem status` shows it.")
            .into());
    }
    for value in local_dumps::give_back()? {
        console::print(&format!(
            "Somebody else has changed {value} since, and keeps it"
        ))?;
    }
    let settings = Settings::load()?.unwrap_or_default();
    console::print(match settings.is_enabled() {
        true => "LocalDumps is as before: dumps are still kept",
        false => "LocalDumps is as before: no dumps are kept",
    })?;
    Ok(ExitCode::SUCCESS)
}

/// As PowerShell's Enable- and Disable-WindowsErrorReporting: for the machine, and for whoever runs
/// this.
pub(crate) fn reporting(on: bool) -> anyhow::Result<ExitCode> {
    if !is_windows() {
        return Err(Usage("Windows Error Reporting is Windows' own".to_owned()).into());
    }
    for key in REPORTING {
        RegistryKey::new(key).set(DISABLED, &RegistryValue::Number((!on).into()))?;
    }
    console::print(&format!("Error reporting:  {}", reporting_state()?))?;
    Ok(ExitCode::SUCCESS)
}

fn reporting_state() -> anyhow::Result<String> {
    for key in [POLICY].into_iter().chain(REPORTING) {
        let values = RegistryKey::new(key).values()?.unwrap_or_default();
        if values.get(DISABLED).and_then(RegistryValue::number) == Some(1) {
            return Ok(format!(
                "off ({key}\\{DISABLED} is 1); LocalDumps does not mind"
            ));
        }
    }
    Ok("on".to_owned())
}

/// Tells; the exit code is 0 when nothing is wrong.
pub(super) fn status() -> anyhow::Result<ExitCode> {
    let settings = Settings::load()?.unwrap_or_default();
    let mut warnings = Vec::new();
    match settings.is_enabled() {
        true => warnings = show_local_dumps(&settings)?,
        false => console::print("Postmortem dumps: off")?,
    }
    for debugger in aedebug::debuggers()? {
        console::print(&debugger.to_string())?;
        warnings.extend(debugger.warnings(settings.is_enabled()));
    }
    console::print(&format!("Error reporting:  {}", reporting_state()?))?;
    for warning in &warnings {
        console::print(&format!("Warning:          {}", console::plain(warning)))?;
    }
    Ok(match warnings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn show_local_dumps(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let wanted = settings.with_defaults(&settings.default)?;
    let folder = console::plain(&wanted.folder.display().to_string());
    let own = settings.programs.values().filter(|values| !values.exclude);
    let lines = [
        "Postmortem dumps: on (LocalDumps)".to_owned(),
        format!("Folder:           {folder}"),
        format!("Type:             {}", wanted.kind),
        format!(
            "Count:            {}",
            wanted.keep.max_count.unwrap_or(COUNT)
        ),
        format!(
            "Programs:         all, {} with values of their own",
            own.count()
        ),
    ];
    lines.iter().try_for_each(|line| console::print(line))?;
    warnings(settings)
}

fn warnings(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let told = |name: &String| format!("somebody has changed {name} since `enable`");
    let mut warnings: Vec<String> = local_dumps::changed()?.iter().map(told).collect();
    let all = settings.programs.values().chain([&settings.default]);
    let mut folders: Vec<PathBuf> = all.filter_map(|values| values.folder.clone()).collect();
    folders.sort();
    folders.dedup();
    for folder in folders {
        warnings.extend(folder_warnings(&folder)?);
    }
    Ok(warnings)
}

fn folder_warnings(folder: &Path) -> anyhow::Result<Vec<String>> {
    if has_variable(folder) {
        return Ok(Vec::new());
    }
    let (at, name) = (expand(folder), folder.display());
    let Some(found) = platform::crash_folder(&at)? else {
        let what =
            format!("{name} is not there: crashes leave nothing; `enable --folder` makes it");
        return Ok(vec![what]);
    };
    let mut warnings = Vec::new();
    if found.is_link {
        warnings.push(format!(
            "{name} is a link, which may lead elsewhere tomorrow"
        ));
    }
    if found.adders.is_empty() {
        warnings.push(format!(
            "only administrators may write to {name}: programs of others leave nothing; \
             `enable --folder {name} --grant ACCOUNT` lets an account"
        ));
    }
    if !found.open_to.is_empty() {
        let whom = found.open_to.join(", ");
        warnings.push(format!(
            "{whom} can read or change the dumps of others in {name}"
        ));
    }
    Ok(warnings)
}
