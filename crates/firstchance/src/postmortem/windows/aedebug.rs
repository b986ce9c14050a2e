//! The just-in-time debugger: the program that Windows starts when another crashes
//! (<https://learn.microsoft.com/windows/win32/debug/configuring-automatic-debugging>).

use super::{local_dumps::KEY, make_folder, takeover::Takeover};
use crate::{
    postmortem::ValueArgs,
    procdump::{self, Install},
    ui::console,
};
use platform::{Error, ErrorKind, Guard, RegistryKey, RegistryValue};
use snapshot::DumpKind;
use std::{fmt, path::Path, process::ExitCode};

/// The registry keys for 64-bit and for 32-bit programs, each with the name under which
/// [`Takeover`] saves its old values.
const KEYS: [(&str, &str, &str); 2] = [
    (
        "64-bit",
        "AeDebug",
        r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\AeDebug",
    ),
    (
        "32-bit",
        "AeDebug32",
        r"HKLM\SOFTWARE\Wow6432Node\Microsoft\Windows NT\CurrentVersion\AeDebug",
    ),
];
/// Value with the debugger's command line, in which Windows fills in the pid, an event and an
/// address.
const DEBUGGER: &str = "Debugger";
/// Value that is `1` if Windows starts the debugger without asking the user.
const AUTO: &str = "Auto";

/// The debugger that Windows starts for crashes of 64-bit or of 32-bit programs.
pub(super) struct Debugger {
    /// `64-bit` or `32-bit`.
    of: &'static str,
    key: &'static str,
    command: Option<String>,
    auto: bool,
    /// Whether we are registered, or were before another program was.
    is_taken: bool,
    is_ours: bool,
}

impl fmt::Display for Debugger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.command.as_deref().unwrap_or("none");
        let auto = if self.auto { "" } else { ", when asked" };
        let none = self.command.is_none();
        let auto = if none { "" } else { auto };
        write!(
            f,
            "Debugger, {}: {}{auto}",
            self.of,
            console::plain(command)
        )
    }
}

impl Debugger {
    /// Sentences about what is wrong, or prevents LocalDumps from working.
    pub(super) fn warnings(&self, local_dumps: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if local_dumps && self.auto && self.command.is_some() {
            warnings.push(format!(
                "a debugger is started for crashes of {} programs: where one is, Windows may keep no \
                 dump by LocalDumps; use one of the two",
                self.of
            ));
        }
        if self.is_taken && !self.is_ours {
            let key = self.key;
            warnings.push(format!(
                "somebody took over: {key} was changed after `procdump -i`"
            ));
        }
        if self.is_ours
            && let Err(error) = expect_safe(&platform::own_program())
        {
            warnings.push(error.to_string());
        }
        warnings
    }
}

/// The debuggers that are registered now.
pub(super) fn debuggers() -> platform::Result<Vec<Debugger>> {
    let look = |(of, name, key): &(&'static str, &str, &'static str)| {
        let values = RegistryKey::new(*key).values()?.unwrap_or_default();
        let text = |name| values.get(name).and_then(RegistryValue::text);
        let command = text(DEBUGGER).map(str::to_owned);
        let taken = takeover(name, key);
        let is_taken = taken.is_taken()?;
        Ok(Debugger {
            of,
            key,
            command: command.filter(|command| !command.is_empty()),
            auto: text(AUTO) == Some("1"),
            is_taken,
            is_ours: is_taken && taken.changed()?.is_empty(),
        })
    };
    KEYS.iter().map(look).collect()
}

fn takeover(name: &str, key: &str) -> Takeover {
    Takeover::of(RegistryKey::new(key), name)
}

/// Registers firstchance as the debugger for 64-bit and 32-bit programs.
pub(crate) fn install(install: &Install) -> anyhow::Result<ExitCode> {
    let program = platform::own_program();
    expect_safe(&program)?;
    let folder = install.folder.as_deref().unwrap_or(".");
    let folder = std::path::absolute(folder)?;
    let callback = install.windows.callback.as_ref();
    let callback = callback.map(std::path::absolute).transpose()?;
    if let Some(dll) = &callback {
        expect_safe(dll)?;
        install.windows.options()?;
    }
    let command = command_line(&program, install, callback.as_deref(), &folder)?;
    make_folder(&folder, &ValueArgs::default())?;
    show("Before")?;
    for (_, name, key) in KEYS {
        let text = |text: &str| Some(RegistryValue::Text(text.to_owned()));
        takeover(name, key).take(&[(DEBUGGER, text(&command)), (AUTO, text("1"))])?;
    }
    show("Now")?;
    console::print(
        "firstchance is the just-in-time (AeDebug) debugger: what crashes leaves a dump",
    )?;
    let local_dumps = RegistryKey::new(KEY).values()?.is_some();
    for debugger in debuggers()? {
        for warning in debugger.warnings(local_dumps) {
            console::complain(&format!("firstchance: {warning}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails if anybody but an administrator can change the program, or the DLL that it loads: it runs as SYSTEM when a
/// service crashes.
fn expect_safe(program: &Path) -> platform::Result<()> {
    platform::expect_guarded(program, Guard::Strict)
}

/// Restores the debuggers that were registered before. Fails if firstchance is not registered.
pub(crate) fn uninstall() -> anyhow::Result<ExitCode> {
    if debuggers()?.iter().all(|debugger| !debugger.is_taken) {
        let what = "firstchance is not the just-in-time debugger";
        return Err(Error::new(ErrorKind::Other, what)
            .advise("-i makes it so.")
            .into());
    }
    show("Before")?;
    for (_, name, key) in KEYS {
        for value in takeover(name, key).give_back()? {
            console::print(&format!(
                "{key}\\{value} was changed by somebody else, and keeps it"
            ))?;
        }
    }
    show("Now")?;
    Ok(ExitCode::SUCCESS)
}

fn show(when: &str) -> anyhow::Result<()> {
    for debugger in debuggers()? {
        console::print(&format!("{when}: {debugger}"))?;
    }
    Ok(())
}

/// The command line for Windows. It has no way to escape a `%` or a quote, so that paths with these
/// are refused.
fn command_line(
    program: &Path,
    install: &Install,
    callback: Option<&Path>,
    folder: &Path,
) -> anyhow::Result<String> {
    let word = match procdump::is_name(program) {
        true => "",
        false => " procdump",
    };
    let kind = |kind: &DumpKind| {
        let switch = procdump::kind_switch(*kind);
        match callback.filter(|_| *kind == DumpKind::Callback) {
            Some(dll) => Ok(format!(" {switch} {}", quoted(dll)?)),
            None => Ok(format!(" {switch}")),
        }
    };
    let kinds: anyhow::Result<String> = install.kinds.iter().map(kind).collect();
    let kinds = kinds?;
    let seconds = install
        .timeout
        .map(|time| format!(" -at {}", time.as_secs()));
    let seconds = seconds.unwrap_or_default();
    let kill = if install.kill_after { " -k" } else { "" };
    let compression = install.rule.compress;
    let compress = compression.map(|asked| format!(" --compress {asked}"));
    let compress = compress.unwrap_or_default();
    let windows = install.windows.of_crashes();
    let windows: String = windows.iter().map(|word| format!(" {word}")).collect();
    let (program, folder) = (quoted(program)?, quoted(folder)?);
    Ok(format!(
        "{program}{word} -accepteula{kinds}{windows}{seconds}{kill}{compress} -j {folder} %ld %ld %p"
    ))
}

/// A path in quotes. A backslash before the closing quote is doubled, as it would escape the quote.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['%', '"']));
    let text = text.ok_or_else(|| {
        let what = format!(
            "the command line for Windows cannot contain the path {}",
            path.display()
        );
        Error::new(ErrorKind::Other, what).advise("Use one without % and quotes.")
    })?;
    let end = if text.ends_with('\\') { "\\" } else { "" };
    Ok(format!("\"{text}{end}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procdump::Dialect;

    #[test]
    fn paths_are_quoted_so_that_windows_reads_them_back() {
        let quoted = |text: &str| quoted(Path::new(text));
        assert_eq!(quoted(r"C:\a b").unwrap(), r#""C:\a b""#);
        assert_eq!(quoted("C:\\").unwrap(), r#""C:\\""#);
        assert!(quoted(r"C:\100%").is_err());
    }

    #[test]
    fn the_command_line_says_what_was_asked_for_and_is_understood_again() {
        let words = "-i -mm -ma -md a.dll -mk -64 -at 5 -k --compress zstd:3 dumps".split(' ');
        let words: Vec<String> = words.map(str::to_owned).collect();
        let windows = snapshot::OperatingSystem::Windows;
        let parsed = procdump::parse(&words, Dialect::Windows, windows).unwrap();
        let procdump::Command::Install(install) = parsed.command else {
            panic!("{parsed:?}");
        };
        let (program, folder) = (Path::new("fc.exe"), Path::new("dumps"));
        let dll = Path::new(r"C:\x\a.dll");
        let line = command_line(program, &install, Some(dll), folder).unwrap();
        assert_eq!(
            line,
            "\"fc.exe\" procdump -accepteula -mm -md \"C:\\x\\a.dll\" -ma -mk -64 -at 5 -k --compress zstd:3 -j \"dumps\" %ld %ld %p"
        );
        let filled = line
            .replacen("%ld", "7", 1)
            .replacen("%ld", "52", 1)
            .replace("%p", "00AF");
        let words: Vec<String> = filled
            .split(' ')
            .skip(2)
            .map(|w| w.replace('"', ""))
            .collect();
        let parsed = procdump::parse(&words, Dialect::Windows, windows).unwrap();
        let procdump::Command::PostMortem(call) = parsed.command else {
            panic!("{parsed:?}");
        };
        assert_eq!((call.pid, call.event, call.information), (7, 52, 0xaf));
        let kinds = [DumpKind::Mini, DumpKind::Callback, DumpKind::Full];
        assert_eq!(call.kinds, kinds);
        assert!(call.kill_after && call.timeout.is_some() && call.windows.wide);
        assert!(call.windows.kernel);
        assert_eq!(call.compress, install.rule.compress);
        assert_eq!(call.windows.callback.as_deref(), dll.to_str());
    }
}
