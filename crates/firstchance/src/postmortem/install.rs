//! `postmortem enable`, `disable` and `apply` on Linux: registers firstchance as the kernel's
//! handler of crashes (core(5)), and undoes that.

use super::{
    EnableArgs, Settings,
    before::{self, AT_ONCE, is_copy, program_of},
    call::LETTERS,
    changes,
    enable_args::PROGRAM,
    is_windows, past_folders, repeats,
    settings::{self, Previous},
    values, windows,
};
use crate::ui::{console, exit::Usage};
use platform::{CoreHandler, Error, ErrorKind, Guard, Use};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Bytes of a pattern that the kernel accepts (core(5)).
const LONGEST_PATTERN: usize = 127;
/// Sets the pattern at boot. The number makes it come after the file of systemd-coredump,
/// 50-coredump.conf.
pub(super) const SYSCTL: &str = "/etc/sysctl.d/99-firstchance-postmortem.conf";
/// Sets the pattern again later at boot, after handlers that register themselves as a service
/// (apport).
const UNIT: &str = "/etc/systemd/system/firstchance-postmortem.service";
/// Handlers that are replaced without `--force`. `disable` restores them.
const KNOWN: [&str; 4] = ["systemd-coredump", "apport", "abrt-hook-ccpp", "abrt"];

/// Registers firstchance for all crashes, with these settings. On an error the registration is as
/// before.
pub(crate) fn enable(args: &EnableArgs) -> anyhow::Result<ExitCode> {
    if is_windows() {
        return windows::enable(args);
    }
    let mut settings = Settings::load()?.unwrap_or_default();
    let set_before = settings.clone();
    let before = platform::core_handler()?;
    let is_ours = settings.is_enabled() && before.pattern == settings.registered;
    if !is_ours {
        expect_replaceable(&before.pattern, args.force)?;
        settings.previous = before::previous(&settings, &before);
    }
    args.put_to(&mut settings)?;
    settings.expect_usable(&settings.default)?;
    let old = std::mem::take(&mut settings.program);
    settings.program = program_for(args, &old);
    let folder = settings.resolve(&settings.default)?.folder;
    let handler = CoreHandler {
        pattern: pattern(&settings.program)?,
        at_once: AT_ONCE,
    };
    install(&settings.program, args.force)?;
    platform::make_passage(Path::new(STATE))?;
    values::make_store(&folder)?;
    settings.registered.clone_from(&handler.pattern);
    settings.save()?;
    if let Err(error) = platform::set_core_handler(&handler) {
        let _ = platform::set_core_handler(&before);
        settings.registered.clear();
        settings.save()?;
        return Err(error.into());
    }
    survive_reboot(&settings)?;
    if old != settings.program {
        remove_copy(&old)?;
    }
    console::print(&format!("Crashes leave dumps in {}", folder.display()))?;
    for line in changes::lines(&set_before, &settings) {
        console::print(&console::plain(&line))?;
    }
    if !is_ours {
        console::print(&format!("Before: {}", owner(&before.pattern)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The path for the copy: as asked for, else where it is, else the default.
fn program_for(args: &EnableArgs, old: &Path) -> PathBuf {
    let is_there = !old.as_os_str().is_empty();
    let old = is_there.then(|| old.to_owned());
    let asked = args.program.clone().or(old);
    asked.unwrap_or_else(|| PROGRAM.into())
}

/// Removes a copy of firstchance, unless crashes go to it, or it is another program by now.
fn remove_copy(program: &Path) -> anyhow::Result<()> {
    let now = platform::core_handler()?.pattern;
    match is_copy(program) && Path::new(program_of(&now)) != program {
        true => remove(program),
        false => Ok(()),
    }
}

/// Folder of the counts of repeats; the default folder for dumps is below it.
const STATE: &str = "/var/lib/firstchance";

/// Fails if crashes go to a program that is not a known handler, as somebody may rely on it.
fn expect_replaceable(pattern: &str, force: bool) -> anyhow::Result<()> {
    let is_program = pattern.starts_with(['|', '@']);
    let program = program_of(pattern);
    let is_known = KNOWN.iter().any(|name| program.ends_with(name)) || is_copy(Path::new(program));
    if !is_program || is_known || force {
        return Ok(());
    }
    let what = format!("crashes are already handled by {}", owner(pattern));
    let error = Error::new(ErrorKind::Busy, what);
    Err(error
        .advise("`firstchance postmortem enable --force` replaces it; `firstchance postmortem disable` puts it back.")
        .into())
}

/// Describes who handles crashes under this pattern.
pub(super) fn owner(pattern: &str) -> String {
    match pattern.chars().next() {
        Some('|' | '@') => program_of(pattern).to_owned(),
        Some(_) => format!("files of the kernel, named {pattern}"),
        None => "files of the kernel, named core".to_owned(),
    }
}

fn pattern(program: &Path) -> anyhow::Result<String> {
    let text = program.to_str().filter(|text| !text.contains([' ', '%']));
    let text = text.filter(|_| program.is_absolute());
    let pattern = format!("|{} crash-handler {LETTERS}", text.unwrap_or_default());
    if text.is_none() || pattern.len() > LONGEST_PATTERN {
        let what = format!("the kernel cannot call {}", program.display());
        return Err(Usage(format!("{what}: give a short absolute path without blanks")).into());
    }
    Ok(pattern)
}

/// Copies this program to where the kernel starts it. Fails if anybody but root could change the
/// copy: they could run any program as root; or if there is a file that is no such copy.
fn install(program: &Path, force: bool) -> anyhow::Result<()> {
    if program.symlink_metadata().is_ok() && !is_copy(program) && !force {
        let what = format!(
            "{} is there already, and is no copy of firstchance",
            program.display()
        );
        let error = Error::new(ErrorKind::Busy, what);
        return Err(error
            .advise("`firstchance postmortem enable --program FILE` takes another path; `--force` replaces it.")
            .into());
    }

    let own = platform::own_program();
    let bytes = std::fs::read(&own)?;
    let is_there = std::fs::read(program).is_ok_and(|there| there == bytes);
    if !is_there {
        platform::write_guarded(program, &bytes, Use::Run)?;
    }
    Ok(platform::expect_guarded(program, Guard::Strict)?)
}

fn survive_reboot(settings: &Settings) -> anyhow::Result<()> {
    let text = format!(
        "# Written by `firstchance postmortem enable`; `disable` removes it.\n\
         kernel.core_pipe_limit={AT_ONCE}\nkernel.core_pattern={}\n",
        settings.registered
    );
    platform::write_guarded(Path::new(SYSCTL), text.as_bytes(), Use::Read)?;
    if has_systemd() {
        let program = settings.program.display();
        let unit = format!(
            "[Unit]\nDescription=Dumps of what crashes\n\
             After=systemd-sysctl.service apport.service abrt-ccpp.service\n\n\
             [Service]\nType=oneshot\nExecStart={program} postmortem apply\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        );
        platform::write_guarded(Path::new(UNIT), unit.as_bytes(), Use::Read)?;
        systemctl(&["enable", "firstchance-postmortem.service"]);
    }
    Ok(())
}

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn systemctl(words: &[&str]) {
    let _ = Command::new("systemctl")
        .arg("--quiet")
        .args(words)
        .status();
}

/// Registers again with the saved settings, as at boot.
pub(crate) fn apply() -> anyhow::Result<ExitCode> {
    let settings = Settings::load_good()?.settings.filter(Settings::is_enabled);
    let settings = settings.ok_or_else(not_enabled)?;
    platform::expect_guarded(&settings.program, Guard::Strict)?;
    platform::set_core_handler(&CoreHandler {
        pattern: settings.registered,
        at_once: AT_ONCE,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Fails for an ordinary user of Linux, before anything is tried. On Windows the registry itself refuses.
pub(crate) fn expect_root() -> platform::Result<()> {
    match platform::own_user() {
        None | Some(0) => Ok(()),
        Some(_) => {
            let what = "only root may change what becomes of crashes";
            let error = Error::new(ErrorKind::NotPermitted, what);
            Err(error.advise("Run the same command as root (with sudo)."))
        }
    }
}

pub(super) fn not_enabled() -> Error {
    let error = Error::new(ErrorKind::Other, "postmortem dumps are not enabled");
    error.advise("`firstchance postmortem enable` does it.")
}

/// Restores what was registered before, but what another handler has changed since. The settings go, unless they are to be
/// kept for the next time.
pub(crate) fn disable(keep_settings: bool) -> anyhow::Result<ExitCode> {
    if is_windows() {
        return windows::disable(keep_settings);
    }
    let settings = Settings::load_good()?.settings.filter(Settings::is_enabled);
    let mut settings = settings.ok_or_else(not_enabled)?;
    past_folders::remember(&settings);
    let now = platform::core_handler()?;
    let is_ours = now.pattern == settings.registered;
    platform::set_core_handler(&before::restored(&settings, &now))?;
    if has_systemd() {
        systemctl(&["disable", "firstchance-postmortem.service"]);
    }
    remove(Path::new(SYSCTL))?;
    remove(Path::new(UNIT))?;
    remove_copy(&settings.program)?;
    remove(Path::new(repeats::FILE))?;
    settings.registered.clear();
    settings.previous = Previous::default();
    match keep_settings {
        false => {
            remove(Path::new(settings::FILE))?;
            Settings::forget_good();
        }
        true => settings.save()?,
    }
    let owner = owner(&platform::core_handler()?.pattern);
    console::print(&match is_ours {
        true => format!("Crashes are handled as before: {owner}"),
        false => format!("Another handler has been registered since, and stays: {owner}"),
    })?;
    for dumps in past_folders::counted() {
        console::print(&format!(
            "What was taken stays: {dumps} (`firstchance dumps list`)"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::of_file(&format!("removing {}", file.display()), &error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e15_unknown_handlers_are_not_replaced() {
        assert!(expect_replaceable("core", false).is_ok());
        assert!(expect_replaceable("", false).is_ok());
        assert!(expect_replaceable("|/lib/systemd/systemd-coredump %P", false).is_ok());
        assert!(expect_replaceable("|/usr/share/apport/apport -p%p", false).is_ok());
        assert!(expect_replaceable("|/opt/theirs %P", false).is_err());
        assert!(expect_replaceable("@@/run/x", false).is_err());
        assert!(expect_replaceable("|/opt/theirs %P", true).is_ok());
    }

    #[test]
    fn a_pattern_is_short_and_of_plain_words() {
        assert!(pattern(Path::new(PROGRAM)).unwrap().len() <= LONGEST_PATTERN);
        assert!(pattern(Path::new("/a b")).is_err());
        assert!(pattern(Path::new("a")).is_err());
        assert!(pattern(Path::new(&format!("/{}", "x".repeat(90)))).is_err());
    }
}
