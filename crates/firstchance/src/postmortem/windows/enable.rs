//! `postmortem enable` and `disable` on Windows: they set and put back the values of LocalDumps, and
//! make the folder that the dumps go to.

use super::{
    is_windows,
    local_dumps::{self, KEY},
    variables::{expand, has_variable},
};
use crate::{
    postmortem::{EnableArgs, Settings, ValueArgs},
    ui::{console, exit::Usage},
};
use platform::{Error, ErrorKind};
use snapshot::DumpKind;
use std::{path::Path, process::ExitCode};

/// Where dumps go when `--folder` is not given.
const FOLDER: &str = r"%ProgramData%\firstchance\crashes";

/// Has Windows keep a dump of whatever crashes.
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
    let all = settings.resolve(&settings.default)?;
    Ok(console::print(&format!(
        "LocalDumps is on with it, for all programs: {} dumps into {}, unless `enable` says otherwise",
        all.kind,
        all.folder.display()
    ))?)
}

/// Puts back what was there.
pub(crate) fn disable() -> anyhow::Result<ExitCode> {
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
