//! `postmortem enable` and `disable` on Windows: they set and put back the values of LocalDumps, and
//! make the folder that the dumps go to.

use super::local_dumps::{self, KEY};
use crate::{
    postmortem::{
        EnableArgs, Settings, ValueArgs, is_windows, values,
        variables::{expand, has_variable},
    },
    ui::{console, exit::Usage},
};
use platform::{Error, ErrorKind};
use snapshot::DumpKind;
use std::{path::Path, process::ExitCode};

/// Where dumps go when `--folder` is not given.
const FOLDER: &str = r"%ProgramData%\firstchance\crashes";

/// Sets LocalDumps so that Windows writes a dump of every crash.
pub(crate) fn enable(args: &EnableArgs) -> anyhow::Result<ExitCode> {
    expect_windows_options(args)?;
    let mut settings = Settings::load()?.unwrap_or_default();
    let values = &mut settings.default;
    args.values.put_to(values)?;
    values.count.get_or_insert(local_dumps::COUNT);
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

/// Refuses options that only a handler of our own could carry out; Windows starts none.
fn expect_windows_options(args: &EnableArgs) -> Result<(), Usage> {
    let given = [
        (args.only_listed == Some(true), "--only-listed"),
        (args.forward == Some(true), "--forward"),
        (args.quit == Some(true), "--quit"),
        (args.repeat_window.is_some(), "--repeat-window"),
    ];
    match given.iter().find(|(is_given, _)| *is_given) {
        None => Ok(()),
        Some((_, option)) => Err(Usage(format!(
            "{option} does not work on Windows: Windows itself writes a dump of each crash of each \
             program, unless `firstchance postmortem exclude` names it"
        ))),
    }
}

/// Makes a folder for dumps; on Windows it also prints which accounts may write there.
pub(crate) fn make_folder(folder: &Path, args: &ValueArgs) -> anyhow::Result<()> {
    if !is_windows() && !args.grant.is_empty() {
        let what = "--grant has no meaning on Linux, where root writes all dumps";
        return Err(Usage(what.to_owned()).into());
    }
    if !is_windows() {
        return values::make_store(folder);
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
        [] => "only administrators".to_owned(),
        names => names.join(", "),
    }
}

/// Says so if a program's own values have switched LocalDumps on for all programs: as soon as its
/// key exists, it applies to all.
pub(crate) fn say_what_came_with_it(was_enabled: bool) -> anyhow::Result<()> {
    let settings = Settings::load()?.unwrap_or_default();
    if !is_windows() || was_enabled || !settings.is_enabled() {
        return Ok(());
    }
    let all = settings.resolve(&settings.default)?;
    Ok(console::print(&format!(
        "LocalDumps is now on for all programs: {} dumps into {}; use `enable` to change that",
        all.kind,
        all.folder.display()
    ))?)
}

/// Restores the values that were there before `enable`. Fails if none are ours.
pub(crate) fn disable(_keep_settings: bool) -> anyhow::Result<ExitCode> {
    if !local_dumps::is_taken()? {
        let what = format!("firstchance has set no value of {KEY}");
        let error = Error::new(ErrorKind::Other, what);
        return Err(error
            .advise("`firstchance postmortem status` shows it.")
            .into());
    }
    for value in local_dumps::give_back()? {
        console::print(&format!(
            "{value} was changed by somebody else, and keeps it"
        ))?;
    }
    let settings = Settings::load()?.unwrap_or_default();
    console::print(match settings.is_enabled() {
        true => "LocalDumps is as before: dumps are still kept",
        false => "LocalDumps is as before: no dumps are kept",
    })?;
    Ok(ExitCode::SUCCESS)
}
