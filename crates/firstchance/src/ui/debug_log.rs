//! The debug log (`-v`, `--log FILE`): what was decided and why, and what was rejected.
//!
//! The code calls the macros of the `log` crate, which do nothing unless one of the options is
//! given. Text from a target is escaped here, so that it cannot forge lines.

use super::{
    console,
    exit::Usage,
    wording::{Weight, Wording},
};
use log::{Level, LevelFilter, Log, Metadata, Record};
use platform::{Error, Syslog, lock};
use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// The crates whose messages are logged; libraries log too.
const CRATES: [&str; 2] = ["firstchance", "collector"];

/// Whether the log goes to standard error.
static IS_ON_STDERR: AtomicBool = AtomicBool::new(false);

/// Options that every command has.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Print a debug log on standard error: decisions and their reasons
    #[arg(short, long, global = true, help_heading = "Debug log")]
    verbose: bool,
    /// Write the debug log to the end of a file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Debug log")]
    log: Option<PathBuf>,
}

impl LogArgs {
    /// Starts the log if one of the options was given. Fails if the file cannot be opened.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        if !self.verbose && self.log.is_none() {
            return Ok(());
        }
        let file = self.log.as_deref().map(open).transpose()?;
        IS_ON_STDERR.store(self.verbose, Ordering::Relaxed);
        let stderr = self.verbose.then_some(Sink::Stderr);
        let file = file.map(|file| Sink::File(Mutex::new(file)));
        begin(stderr.into_iter().chain(file).collect());
        Ok(())
    }
}

/// Where ProcDump for Linux writes its trace (`-log`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum TraceTo {
    Stdout,
    SystemLog,
}

/// Starts the log as ProcDump's trace. Does nothing if it has been started already: the user sees it elsewhere.
///
/// # Errors
/// If there is no system log.
pub(crate) fn trace(to: TraceTo) -> Result<(), Error> {
    let sink = match to {
        TraceTo::Stdout => Sink::Trace,
        TraceTo::SystemLog => Sink::System(Syslog::open()?),
    };
    begin(vec![sink]);
    Ok(())
}

fn begin(sinks: Vec<Sink>) {
    if log::set_boxed_logger(Box::new(DebugLog { sinks })).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Whether lines of the log appear on standard error, so that rows there cannot be redrawn.
pub(super) fn is_on_stderr() -> bool {
    IS_ON_STDERR.load(Ordering::Relaxed)
}

fn open(path: &Path) -> anyhow::Result<File> {
    platform::open_log(path).map_err(|e| match e.kind() {
        ErrorKind::InvalidInput => {
            let path = console::plain(&path.display().to_string());
            Usage(format!("{path} cannot be the log: {e}; name another file")).into()
        }
        _ => Error::of_file(&format!("opening the log {}", path.display()), &e).into(),
    })
}

struct DebugLog {
    sinks: Vec<Sink>,
}

/// Where lines go.
enum Sink {
    Stderr,
    File(Mutex<File>),
    /// To standard output, in the form of ProcDump for Linux.
    Trace,
    System(Syslog),
}

impl Sink {
    /// Writes a line. What cannot be written is lost, as the program has something else to do.
    fn write(&self, record: &Record<'_>) {
        let _ = match self {
            Self::Stderr => std::io::stderr().write_all(line(record).as_bytes()),
            Self::File(file) => {
                let mut file = lock(file);
                file.write_all(line(record).as_bytes())
            }
            Self::Trace => writeln!(std::io::stdout(), "{}", trace_line(record)),
            Self::System(system) => system.debug(&trace_line(record)),
        };
    }
}

impl Log for DebugLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let name = metadata.target().split("::").next().unwrap_or_default();
        metadata.level() <= Level::Debug && CRATES.contains(&name)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.sinks.iter().for_each(|sink| sink.write(record));
        }
    }

    fn flush(&self) {}
}

/// `2026-11-22T23:01:42.123+01:00 DEBUG firstchance::cli::dump: message`
fn line(record: &Record<'_>) -> String {
    let message = console::plain(&record.args().to_string());
    let (time, level) = (console::now_rfc3339(), record.level());
    format!("{time} {level:<5} {}: {message}\n", record.target())
}

/// `[23:01:42 - DEBUG]: message`
fn trace_line(record: &Record<'_>) -> String {
    let message = console::plain(&record.args().to_string());
    Wording::ProcDumpForLinux.stamped(Weight::Debug, &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(target: &str, level: Level, check: impl FnOnce(&Record<'_>)) {
        let args = format_args!("a\nb");
        let mut builder = Record::builder();
        check(&builder.target(target).level(level).args(args).build());
    }

    #[test]
    fn a_message_is_one_line_with_level_and_place() {
        record("firstchance::cli", Level::Warn, |record| {
            let line = line(record);
            assert!(line.ends_with(" WARN  firstchance::cli: a\\nb\n"), "{line}");
        });
    }

    #[test]
    fn libraries_and_traces_are_left_out() {
        let log = DebugLog { sinks: vec![] };
        for (target, level, expected) in [
            ("firstchance::cli", Level::Debug, true),
            ("collector", Level::Info, true),
            ("collector::run", Level::Trace, false),
            ("ureq::run", Level::Warn, false),
            ("firstchance_other", Level::Debug, false),
        ] {
            record(target, level, |record| {
                assert_eq!(log.enabled(record.metadata()), expected, "{target}");
            });
        }
    }
}
