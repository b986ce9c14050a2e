//! `firstchance dump`.

use super::{
    console::{self, Lines, Reporter},
    exit::{self, Usage},
    target, values,
};
use collector::{Collected, Destination, Request, Step, Written, collect};
use platform::{Cancel, Error, ErrorKind, Host, Stop};
use policy::Retention;
use serde::Serialize;
use snapshot::{DumpFormat, DumpKind, ProcessKey};
use std::{process::ExitCode, time::Duration};

/// What can be asked of `dump`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// PID, process name, service:NAME, container:ID or cmdline:"glob"
    #[arg(required = true, value_name = "TARGET", allow_negative_numbers = true)]
    targets: Vec<String>,
    /// Stacks and what they point at, and all metadata (the default)
    #[arg(long)]
    mini: bool,
    /// All image, mapped and private memory that is resident
    #[arg(long)]
    full: bool,
    /// All private memory and all writable image and mapped memory
    #[arg(long)]
    plus: bool,
    /// Stacks only: no heap, no environment, no command line
    #[arg(long)]
    triage: bool,
    /// Memory by a mask: coredump_filter bits on Linux, MINIDUMP_TYPE on Windows
    #[arg(long, value_name = "MASK", value_parser = values::mask)]
    custom: Option<u64>,
    /// core or minidump [default: core for full, plus and custom; minidump for mini and triage]
    #[arg(long, value_parser = values::format)]
    format: Option<DumpFormat>,
    /// How many dumps, one after the other
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// From the start of one dump to the next
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    every: Duration,
    /// A folder, a file name (tokens PROCESSNAME PID YYMMDD HHMMSS EXCEPTIONCODE), or - for stdout
    #[arg(short, long, value_name = "PATH")]
    output: Option<String>,
    /// Replace a file of that name
    #[arg(long)]
    overwrite: bool,
    /// Kept in the dump
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Give up after this time and let the target go; what is there stays as a .partial file
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Do not stop the target: memory only, and it changes while it is copied
    #[arg(long)]
    no_stop: bool,
    /// All processes that match
    #[arg(long)]
    all: bool,
    /// One JSON object a dump on standard output
    #[arg(long)]
    json: bool,
}

/// Takes the dumps.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let host = platform::this_machine();
    let destination = destination(args);
    if destination == Destination::Stdout && (args.json || kinds(args, &destination).len() > 1) {
        return Err(Usage("-o - takes one dump, and no --json beside it".to_owned()).into());
    }
    let keys = target::resolve(&*host, &args.targets, args.all)?;
    if destination == Destination::Stdout && (keys.len() > 1 || args.number > 1) {
        return Err(Usage("-o - takes one dump of one process".to_owned()).into());
    }
    let to_error = args.json || destination == Destination::Stdout;
    let lines = if to_error { Lines::Error } else { Lines::Out };
    let mut series = Series {
        args,
        destination,
        reporter: Reporter::new(lines),
        next: 1,
        worst: None,
    };
    series.run(&*host, &keys)?;
    Ok(series.worst.map_or(ExitCode::SUCCESS, exit::code))
}

struct Series<'a> {
    args: &'a Args,
    destination: Destination,
    reporter: Reporter,
    next: u32,
    worst: Option<ErrorKind>,
}

impl Series<'_> {
    fn run(&mut self, host: &dyn Host, keys: &[ProcessKey]) -> anyhow::Result<()> {
        for round in 0..self.args.number {
            let start = std::time::Instant::now();
            for &key in keys {
                self.dump(host, key)?;
            }
            let last = round + 1 == self.args.number;
            let wait = self.args.every.saturating_sub(start.elapsed());
            if !last && Cancel::of_process().wait(wait) {
                return Err(Error::new(ErrorKind::Cancelled, "the series was cancelled").into());
            }
        }
        Ok(())
    }

    fn dump(&mut self, host: &dyn Host, key: ProcessKey) -> anyhow::Result<()> {
        let request = self.request();
        let collected = collect(host, key, &request, &mut |step: Step| {
            self.reporter.step(&step)
        });
        let Collected { dumps, error } = collected;
        self.next += dumps.len().max(1) as u32;
        for dump in dumps.iter().filter(|_| self.args.json) {
            console::print(&serde_json::to_string(&Line::of(dump))?)?;
        }
        match error {
            None => Ok(()),
            // With several processes one that is gone does not end the others' dumps.
            Some(error) if self.args.all && error.kind != ErrorKind::Cancelled => {
                eprintln!("firstchance: {error}");
                self.worst = Some(error.kind);
                Ok(())
            }
            Some(error) => Err(error.into()),
        }
    }

    fn request(&self) -> Request {
        Request {
            kinds: kinds(self.args, &self.destination),
            destination: self.destination.clone(),
            overwrite: self.args.overwrite,
            reason: "Manual dump".to_owned(),
            rule: command_line(),
            comment: self.args.comment.clone(),
            timeout: self.args.timeout,
            stop: if self.args.no_stop {
                Stop::Nothing
            } else {
                Stop::Threads
            },
            keep: Retention::default(),
            number: self.next,
            exception: None,
            thread: None,
            signature: None,
            reader: None,
            cancel: Cancel::of_process(),
        }
    }
}

fn destination(args: &Args) -> Destination {
    args.output
        .as_deref()
        .map_or(Destination::Folder(".".into()), Destination::parse)
}

/// The kinds that are asked for, with their formats.
fn kinds(args: &Args, destination: &Destination) -> Vec<(DumpKind, DumpFormat)> {
    let asked = [
        args.triage.then_some(DumpKind::Triage),
        args.mini.then_some(DumpKind::Mini),
        args.custom.map(DumpKind::Custom),
        args.plus.then_some(DumpKind::Plus),
        args.full.then_some(DumpKind::Full),
    ];
    let mut kinds: Vec<DumpKind> = asked.into_iter().flatten().collect();
    if kinds.is_empty() {
        kinds.push(DumpKind::Mini);
    }
    let format = |kind| {
        args.format
            .unwrap_or_else(|| default_format(kind, destination))
    };
    kinds.into_iter().map(|kind| (kind, format(kind))).collect()
}

/// By the ending that the user wrote, else by kind: small ones as minidumps, large ones as the
/// system's own format.
pub(super) fn default_format(kind: DumpKind, destination: &Destination) -> DumpFormat {
    if let Destination::File(path) = destination {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("dmp" | "mdmp") => return DumpFormat::Minidump,
            Some("core") => return DumpFormat::Core,
            _ => {}
        }
    }
    match kind {
        DumpKind::Triage | DumpKind::Mini => DumpFormat::Minidump,
        _ if platform::OS == snapshot::OperatingSystem::Windows => DumpFormat::Minidump,
        _ => DumpFormat::Core,
    }
}

fn command_line() -> String {
    let args: Vec<String> = std::env::args().skip(1).collect();
    format!("firstchance {}", args.join(" "))
}

/// A dump, for programs.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Line<'w> {
    path: Option<String>,
    bytes: u64,
    format: &'static str,
    #[serde(flatten)]
    record: &'w collector::Record,
    seconds: f64,
}

impl<'w> Line<'w> {
    pub(super) fn of(written: &'w Written) -> Self {
        Self {
            path: written.path.as_ref().map(|path| path.display().to_string()),
            bytes: written.bytes,
            format: written.format.extension(),
            record: &written.record,
            seconds: written.took.as_secs_f64(),
        }
    }
}
