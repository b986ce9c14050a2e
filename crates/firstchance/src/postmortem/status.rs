//! `postmortem status`: shows whether crashes leave dumps, and what is wrong if they do not.

use super::{
    Settings,
    install::{SYSCTL, owner},
    is_windows,
    lost::Lost,
    past_folders, windows,
};
use crate::ui::console;
use platform::Guard;
use std::{path::Path, process::ExitCode};

/// Prints the status. The exit code is 0 if everything is as it was set and each crash has left a dump, or if nothing was
/// set.
pub(crate) fn status() -> anyhow::Result<ExitCode> {
    if is_windows() {
        return windows::status();
    }
    let now = platform::core_handler()?;
    let good = Settings::load_good()?;
    if let Some(mistake) = &good.mistake {
        console::print(&format!(
            "WRONG SETTINGS:   {}",
            console::plain(&mistake.to_string())
        ))?;
        console::print("                  The last settings that made sense are used.")?;
    }
    let settings = good.settings.filter(Settings::is_enabled);
    let Some(settings) = settings else {
        console::print("Postmortem dumps: off")?;
        console::print(&format!("Crashes go to:    {}", owner(&now.pattern)))?;
        for dumps in past_folders::counted() {
            console::print(&format!("Taken before:     {dumps}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let values = settings.resolve(&settings.default)?;
    console::print("Postmortem dumps: on")?;
    console::print(&format!("Crashes go to:    {}", owner(&now.pattern)))?;
    console::print(&format!(
        "Before:           {}",
        owner(&settings.previous.core_pattern)
    ))?;
    console::print(&format!("Folder:           {}", values.folder.display()))?;
    console::print(&format!("Type:             {}", values.kind))?;
    if let Some(window) = settings.repeat_window() {
        console::print(&format!(
            "Repeats:          only counted for {} (--repeat-window 0s stores each)",
            policy::print_duration(window)
        ))?;
    }
    if settings.only_listed {
        console::print("Programs:         only those of `postmortem list`")?;
    }
    let lost = lost()?;
    let warnings = warnings(&settings, &now);
    for warning in &warnings {
        console::print(&format!("Warning:          {warning}"))?;
    }
    let is_well = warnings.is_empty() && good.mistake.is_none() && lost == Lost::default();
    Ok(match is_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Prints how many crashes left no dump since the settings were written. Prints nothing if the kernel's log may not be
/// read.
fn lost() -> anyhow::Result<Lost> {
    let lost = Lost::of(&platform::kernel_log().unwrap_or_default());
    if lost.skipped > 0 {
        let what = "crashes came while too many others were handled";
        console::print(&format!("Lost:             {} {what}", lost.skipped))?;
    }
    if let Some(last) = lost.failed.last() {
        let (count, last) = (lost.failed.len(), console::plain(last));
        console::print(&format!("Failed:           {count}, the last one: {last}"))?;
    }
    Ok(lost)
}

fn warnings(settings: &Settings, now: &platform::CoreHandler) -> Vec<String> {
    let mut warnings = Vec::new();
    if now.pattern != settings.registered {
        warnings.push(format!(
            "another program took over: the core pattern is \"{}\"; `firstchance postmortem enable` takes it back",
            console::plain(&now.pattern)
        ));
    }
    if now.at_once == 0 {
        warnings.push(
            "core_pipe_limit is 0: the kernel does not wait, so that only its own core can be kept"
                .to_owned(),
        );
    }
    if let Err(error) = platform::expect_guarded(&settings.program, Guard::Strict) {
        warnings.push(error.to_string());
    }
    warnings.extend(unusable_folders(settings));
    if !settings.program.is_file() {
        warnings.push(format!("{} is gone", settings.program.display()));
    }
    if !Path::new(SYSCTL).is_file() {
        warnings.push(format!(
            "{SYSCTL} is gone: after a reboot postmortem dumps are off"
        ));
    }
    warnings
}

/// Why no dump can be stored in some folders. Only root may look at all of them.
fn unusable_folders(settings: &Settings) -> Vec<String> {
    let is_root = platform::own_user() == Some(0);
    let all = settings.programs.values().chain([&settings.default]);
    let wanted = all.filter(|own| is_root && !own.exclude);
    let unusable = wanted.filter_map(|own| settings.expect_usable(own).err());
    let mut sentences: Vec<String> = unusable.map(|error| error.to_string()).collect();
    sentences.sort();
    sentences.dedup();
    sentences
}
