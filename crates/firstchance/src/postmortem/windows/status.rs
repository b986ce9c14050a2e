//! `postmortem status` on Windows.

use super::{aedebug, local_dumps, reporting};
use crate::{
    postmortem::{
        Settings,
        variables::{expand, has_variable},
    },
    ui::console,
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Prints the status. The exit code is 0 if nothing is wrong.
pub(crate) fn status() -> anyhow::Result<ExitCode> {
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
    console::print(&format!("Error reporting:  {}", reporting::state()?))?;
    for warning in &warnings {
        console::print(&format!("Warning:          {}", console::plain(warning)))?;
    }
    Ok(match warnings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn show_local_dumps(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let values = settings.resolve(&settings.default)?;
    let folder = console::plain(&values.folder.display().to_string());
    let own = settings.programs.values().filter(|values| !values.exclude);
    let lines = [
        "Postmortem dumps: on (LocalDumps)".to_owned(),
        format!("Folder:           {folder}"),
        format!("Type:             {}", values.kind),
        format!(
            "Count:            {}",
            values.keep.max_count.unwrap_or(local_dumps::COUNT)
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
        warnings.push(format!("{name} is a link, whose target can be changed"));
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
