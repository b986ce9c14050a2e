//! `firstchance dump`: takes dumps of running processes now.

use super::target;
use crate::ui::{
    Output, Reporter, console,
    exit::{self, Usage},
    values,
};
use collector::{Collected, Destination, Request, Step, Written, collect};
use platform::{Cancel, Error, ErrorKind, Host, Stop};
use serde::Serialize;
use snapshot::{Compression, DumpFormat, DumpKind, ProcessKey};
use std::{collections::HashMap, ffi::OsStr, process::ExitCode, time::Duration};

/// Options of `dump`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// PID, process name, image:PATH, service:NAME, container:ID, group:PGID or cmdline:"glob"
    #[arg(required = true, value_name = "TARGET", allow_negative_numbers = true)]
    targets: Vec<String>,
    /// Stacks and what they point at, global variables, and all metadata (the default)
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
    /// Compress the dump while it is written: zstd, or zstd:LEVEL with a level of 1 (the default) to 19
    #[arg(long, value_name = "zstd[:LEVEL]", value_parser = str::parse::<Compression>)]
    compress: Option<Compression>,
    /// Number of dumps, taken one after the other
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// Time from the start of one dump to the start of the next
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    every: Duration,
    /// Folder, file name, in which PROCESSNAME COMMANDNAME PID YYMMDD HHMMSS EXCEPTIONCODE TRIGGER are replaced, or - for
    /// standard output [default: the current folder]
    #[arg(short, long, value_name = "PATH")]
    output: Option<String>,
    /// Replace an existing file of the same name; otherwise the dump gets the next free name
    #[arg(long)]
    overwrite: bool,
    /// Text to be stored in the dump
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Give up after this time and release the target; what was written is kept as NAME.partial
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Do not stop the target: the dump has memory only, which changes while it is copied
    #[arg(long)]
    no_stop: bool,
    /// Copy from a clone of the process, also of a small one, and fail where that is a danger (by default a large process is copied so where it is none)
    #[arg(long, conflicts_with = "no_stop")]
    clone: bool,
    /// Copy from the process itself, which stands until everything is copied
    #[arg(long, conflicts_with_all = ["no_stop", "clone"])]
    hold: bool,
    /// Take no dump for which the process is expected to stand longer: 500ms
    #[arg(long, value_name = "TIME", value_parser = policy::parse_duration)]
    max_pause: Option<Duration>,
    /// Take dumps of all processes that match
    #[arg(long)]
    all: bool,
    /// Print one JSON object per dump on standard output
    #[arg(long)]
    json: bool,
}

impl Args {
    fn stop(&self) -> Stop {
        match (self.no_stop, self.clone, self.hold) {
            (true, ..) => Stop::Nothing,
            (_, true, _) => Stop::OnlyClone,
            (_, _, true) => Stop::Hold,
            _ => Stop::Threads,
        }
    }
}

/// Takes the dumps, and returns the exit code of the worst failure.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let host = platform::this_machine();
    let destination = destination(args.output.as_deref())?;
    if destination == Destination::Stdout && (args.json || kinds(args, &destination).len() > 1) {
        return Err(Usage("-o - takes one dump, and no --json beside it".to_owned()).into());
    }
    log::debug!("dumps go to {destination:?}");
    let keys = target::resolve(&*host, &args.targets, args.all)?;
    if destination == Destination::Stdout && (keys.len() > 1 || args.number > 1) {
        return Err(Usage("-o - takes one dump of one process".to_owned()).into());
    }
    let to_error = args.json || destination == Destination::Stdout;
    let output = if to_error {
        Output::Stderr
    } else {
        Output::Stdout
    };
    let mut series = Series {
        args,
        destination,
        reporter: Reporter::new(output),
        next: 1,
        is_of_several: keys.len() > 1,
        before: HashMap::new(),
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
    /// Whether several processes are dumped, which may have the same name.
    is_of_several: bool,
    /// What each process's next dump has to know of the one before.
    before: HashMap<ProcessKey, collector::Series>,
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
        let request = self.request(key);
        log::debug!("dump {} of process {key}: {request:?}", self.next);
        let collected = collect(host, key, &request, &mut |step: Step| {
            self.reporter.step(&step)
        });
        let Collected { dumps, error } = collected;
        self.next += dumps.len().max(1) as u32;
        for dump in &dumps {
            log::debug!("written: {:?}, {} bytes", dump.path, dump.bytes);
        }
        for dump in dumps.iter().filter(|_| self.args.json) {
            console::print_json(&serde_json::to_string(&DumpJson::of(dump))?)?;
        }
        match error.map(advised) {
            None => Ok(()),
            // With --all, a process that cannot be dumped does not stop the dumps of the others.
            Some(error) if self.args.all && error.kind != ErrorKind::Cancelled => {
                console::complain(&format!("firstchance: {error}"));
                self.worst = Some(error.kind);
                Ok(())
            }
            Some(error) => Err(error.into()),
        }
    }

    fn request(&mut self, key: ProcessKey) -> Request {
        let is_series = self.args.number > 1;
        Request {
            series: is_series.then(|| self.before.entry(key).or_default().clone()),
            compress: self.args.compress,
            existing: values::existing(self.args.overwrite),
            rule: crate::ui::command_line(),
            comment: self.args.comment.clone(),
            timeout: self.args.timeout,
            stop: self.args.stop(),
            max_pause: self.args.max_pause,
            number: self.next,
            names_pid: self.is_of_several,
            ..Request::new(
                kinds(self.args, &self.destination),
                self.destination.clone(),
            )
        }
    }
}

/// Where `-o` says that dumps go; the current folder if it is not given. Fails if no file can have that name.
pub(super) fn destination(output: Option<&str>) -> Result<Destination, Usage> {
    let destination = output.map_or(Destination::Folder(".".into()), Destination::parse);
    if let Destination::File(path) = &destination {
        collector::expect_file_name(path).map_err(|error| Usage(error.to_string()))?;
    }
    Ok(destination)
}

/// The error, with what this command offers besides.
fn advised(error: Error) -> Error {
    match error.kind {
        ErrorKind::Busy => {
            let advice = format!("{} Or take its memory alone: --no-stop.", error.advice);
            error.advise(advice)
        }
        _ => error,
    }
}

/// The kinds of dumps that were asked for, each with its format; a mini dump if none was.
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

/// The format of a dump for which `--format` was not given: the one of the file name's ending, else
/// a minidump for small kinds and the system's own format for large ones.
pub(super) fn default_format(kind: DumpKind, destination: &Destination) -> DumpFormat {
    if let Destination::File(path) = destination {
        let plain = Compression::plain_path(path);
        let ending = plain.extension().and_then(OsStr::to_str);
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("dmp" | "mdmp") => return DumpFormat::Minidump,
            Some("core") => return DumpFormat::Core,
            _ => {}
        }
    }
    match kind {
        DumpKind::Triage | DumpKind::Mini | DumpKind::Callback => DumpFormat::Minidump,
        _ if platform::OS == snapshot::OperatingSystem::Windows => DumpFormat::Minidump,
        _ => DumpFormat::Core,
    }
}

/// A dump as JSON (`--json`).
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DumpJson<'w> {
    path: Option<String>,
    bytes: u64,
    format: &'static str,
    #[serde(flatten)]
    record: &'w collector::Record,
    seconds: f64,
}

impl<'w> DumpJson<'w> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n45_the_ending_of_a_name_tells_the_format_in_capitals_too() {
        let format = |name: &str| default_format(DumpKind::Full, &Destination::File(name.into()));
        assert_eq!(format("a.DMP"), DumpFormat::Minidump);
        assert_eq!(format("a.dmp"), DumpFormat::Minidump);
        assert_eq!(format("a.dmp.zst"), DumpFormat::Minidump);
        assert_eq!(format("a.Core"), DumpFormat::Core);
    }
}
