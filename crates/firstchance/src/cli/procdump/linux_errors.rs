//! How ProcDump for Linux tells that it does not begin: as a line on standard output, which its scripts read.

use super::output_of;
use crate::{
    cli::target,
    procdump::{Command, Monitor},
    ui::{Weight, Wording, console},
};
use platform::{Error, ErrorKind};
use policy::Target;
use std::path::PathBuf;

/// The line for an error at the start. `command` is the command that failed; `None` if the command line could not be read.
pub(super) fn line(error: &anyhow::Error, command: Option<&Command>) -> String {
    let monitor = match command {
        Some(Command::Monitor(monitor)) => Some(monitor),
        _ => None,
    };
    let own = monitor.and_then(|monitor| in_its_words(error, monitor));
    let text = own.unwrap_or_else(|| in_ours(error));
    Wording::ProcDumpForLinux.stamped(Weight::Error, &console::plain(&text))
}

/// The sentence of ProcDump (`MonitorProcesses` in src/Monitor.cpp, `GetOptions` in src/ProcDumpConfiguration.cpp), if it
/// has one for this.
fn in_its_words(error: &anyhow::Error, monitor: &Monitor) -> Option<String> {
    let kind = error.downcast_ref::<Error>()?.kind;
    let target = &monitor.rule.target;
    let (folder, _) = output_of(monitor).ok()?;
    match (kind, target) {
        (ErrorKind::NoSuchProcess, Target::Pid(pid)) => Some(format!(
            "No process matching the specified PID ({pid}) can be found."
        )),
        (ErrorKind::NoSuchProcess, Target::Group(_)) => {
            Some("No process matching the specified PGID can be found.".to_owned())
        }
        (ErrorKind::NoSuchProcess, Target::Name(name)) if is_missing(target) => Some(format!(
            "No process matching the specified name ({name}) can be found."
        )),
        (ErrorKind::Disk, _) if is_of_folder(error, monitor) => Some(format!(
            "Invalid directory (\"{}\") provided for core dump output.",
            folder.display()
        )),
        _ => None,
    }
}

/// Whether it is the folder for the dumps that there is not: ProcDump takes that for a fault in the command line.
pub(super) fn is_of_folder(error: &anyhow::Error, monitor: &Monitor) -> bool {
    let kind = error.downcast_ref::<Error>().map(|error| error.kind);
    let is_missing = |(folder, _): (PathBuf, _)| !folder.is_dir();
    kind == Some(ErrorKind::Disk) && output_of(monitor).is_ok_and(is_missing)
}

/// Whether a name fits no process; the error is the same where it fits several.
fn is_missing(target: &Target) -> bool {
    target::is_there(&*platform::this_machine(), target).is_ok_and(|is_there| !is_there)
}

/// What failed, without the advice, which may be a table.
fn in_ours(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(error) => format!("{}.", error.what),
        None => error.to_string(),
    }
}
