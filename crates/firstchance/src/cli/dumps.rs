//! `firstchance dumps`: what lies in the folders for dumps.

use crate::{
    export, inspect,
    postmortem::{Settings, is_windows},
    ui::{console, exit::Usage, values},
};
use collector::{Stored, foreign_dumps, stored_dumps};
use serde::Serialize;
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

/// What can be asked of `dumps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List dumps, the newest first
    List(ListArgs),
    /// Show what is in a dump
    Show(OneArgs),
    /// Delete dumps
    Delete(DeleteArgs),
    /// Apply the limits of the folders now
    Prune(Folders),
    /// Start gdb, or lldb, with a dump and its program
    Open(OneArgs),
    /// Pack a dump with its record and the programs and libraries that it needs elsewhere
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
struct Folders {
    /// Folders to look in [default: those of postmortem dumps]
    #[arg(long = "folder", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    folders: Folders,
    /// Only this program's
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Only those that are not older: 2h
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    since: Option<Duration>,
    /// Only those whose cause, or reason, holds this text
    #[arg(long, value_name = "TEXT")]
    signature: Option<String>,
    /// So many rows at most, the newest ones
    #[arg(long, value_name = "N", default_value_t = 500, conflicts_with = "json")]
    limit: usize,
    /// One JSON object a dump, all of them
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// A dump's name in the list, or a path
    dump: String,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// Names in the list, or paths
    #[arg(required = true)]
    dumps: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    dump: OneArgs,
    /// The file to make [default: the dump's name with .tar.gz, here]
    #[arg(short, long, value_name = "FILE.tar.gz")]
    output: Option<PathBuf>,
}

/// A dump in a list.
#[derive(Serialize)]
struct Line<'l> {
    id: &'l str,
    path: &'l Path,
    program: &'l str,
    pid: u32,
    taken: &'l str,
    kind: &'l str,
    bytes: u64,
    reason: &'l str,
    signature: Option<&'l str>,
    /// How often this crash came, with those that were only counted.
    count: u64,
    complete: bool,
}

/// Does it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::List(args) => list(args),
        What::Show(args) => {
            let dump = find(&args.dump, &args.folders)?;
            inspect::run(&inspect::Args::summary(dump.path))
        }
        What::Delete(args) => delete(args),
        What::Prune(folders) => prune(folders),
        What::Open(args) => open(&find(&args.dump, &args.folders)?),
        What::Export(args) => export(args),
    }
}

impl Folders {
    fn chosen(&self) -> anyhow::Result<Vec<PathBuf>> {
        if !self.folders.is_empty() {
            return Ok(self.folders.clone());
        }
        Ok(Settings::load()?.unwrap_or_default().folders())
    }

    /// The dumps in them, the newest first; a folder that is not there has none.
    fn dumps(&self) -> anyhow::Result<Vec<Stored>> {
        let (mut all, mut closed) = (Vec::new(), None);
        for folder in self.chosen()? {
            let failed =
                |e| platform::Error::of_file(&format!("looking into {}", folder.display()), &e);
            match all_dumps(&folder) {
                Ok(dumps) => all.extend(dumps),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    closed = Some(failed(error))
                }
                Err(error) => return Err(failed(error).into()),
            }
        }
        // A user has dumps of their own in some of the folders only.
        if let Some(error) = closed.filter(|_| all.is_empty()) {
            return Err(error.advise("It holds no dump that you may read.").into());
        }
        all.sort_by_cached_key(|dump| std::cmp::Reverse((moment(dump), name(dump).to_owned())));
        Ok(all)
    }
}

/// On Windows with those that Windows itself has written (LocalDumps).
pub(super) fn all_dumps(folder: &Path) -> std::io::Result<Vec<Stored>> {
    let mut dumps = stored_dumps(folder)?;
    if is_windows() {
        dumps.extend(foreign_dumps(folder)?);
    }
    Ok(dumps)
}

/// When it was taken.
fn moment(dump: &Stored) -> jiff::Timestamp {
    dump.record.taken.parse().unwrap_or_default()
}

fn name(dump: &Stored) -> &str {
    let name = dump.path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let dumps = args.folders.dumps()?;
    let now = jiff::Timestamp::now();
    let chosen = dumps.iter().filter(|dump| args.wants(dump, now));
    let lines: Vec<Line> = chosen.map(line).collect();
    if args.json {
        let lines: Vec<String> = lines
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        console::print(&lines.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let headers = [
        "TAKEN", "PROGRAM", "PID", "TYPE", "SIZE", "COUNT", "REASON", "DUMP",
    ];
    let mut table = console::table(&headers, &[2, 4, 5]);
    lines.iter().take(args.limit).for_each(|line| {
        table.add_row(row(line));
    });
    console::print(&table.to_string())?;
    if lines.len() > args.limit {
        let more = lines.len() - args.limit;
        console::print(&format!("and {more} older ones: --limit shows more"))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl ListArgs {
    fn wants(&self, dump: &Stored, now: jiff::Timestamp) -> bool {
        let record = &dump.record;
        let program = self.program.as_ref();
        let text = self.signature.as_deref();
        let holds = |text: &str| {
            let signature = record.signature.as_deref().unwrap_or_default();
            signature.contains(text) || record.reason.contains(text)
        };
        let age = || now.duration_since(moment(dump)).unsigned_abs();
        program.is_none_or(|name| *name == record.process)
            && text.is_none_or(holds)
            && self.since.is_none_or(|since| age() <= since)
    }
}

fn line(dump: &Stored) -> Line<'_> {
    let record = &dump.record;
    Line {
        id: name(dump),
        path: &dump.path,
        program: &record.process,
        pid: record.pid,
        taken: &record.taken,
        kind: &record.kind,
        bytes: dump.bytes,
        reason: &record.reason,
        signature: record.signature.as_deref(),
        count: 1 + record.repeats,
        complete: record.complete,
    }
}

fn row(line: &Line<'_>) -> Vec<String> {
    let kind = match line.complete {
        true => line.kind.to_owned(),
        false => format!("{}, incomplete", line.kind),
    };
    vec![
        line.taken.get(..19).unwrap_or_default().replace('T', " "),
        console::cut(&console::plain(line.program), 24),
        line.pid.to_string(),
        kind,
        console::size(line.bytes),
        line.count.to_string(),
        console::cut(&console::plain(line.reason), 60),
        console::plain(line.id),
    ]
}

/// The dump that is meant. A path means any dump; a name, one in the folders.
fn find(text: &str, folders: &Folders) -> anyhow::Result<Stored> {
    let path = Path::new(text);
    let is_name = path.components().count() == 1 && !path.is_absolute();
    let mut found: Vec<Stored> = match is_name {
        true => folders.dumps()?,
        false => all_dumps(path.parent().unwrap_or(Path::new(".")))?,
    };
    found.retain(|dump| {
        if is_name {
            name(dump) == text
        } else {
            dump.path == path
        }
    });
    let several = found.len() > 1;
    match found.pop() {
        Some(dump) if !several => Ok(dump),
        Some(_) => Err(Usage(format!("several dumps are called {text}: say the path")).into()),
        None => {
            let what = format!("there is no dump {}", console::plain(text));
            Err(Usage(format!("{what}; `firstchance dumps list` shows them")).into())
        }
    }
}

/// All are found before the first goes.
fn delete(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let find = |text: &String| find(text, &args.folders);
    let dumps: Vec<Stored> = args.dumps.iter().map(find).collect::<Result<_, _>>()?;
    for dump in dumps {
        let removed = std::fs::remove_file(&dump.path);
        let what = format!("deleting {}", dump.path.display());
        removed.map_err(|e| platform::Error::of_file(&what, &e))?;
        console::print(&format!("Deleted: {}", console::plain(name(&dump))))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn prune(folders: &Folders) -> anyhow::Result<ExitCode> {
    let settings = Settings::load()?.unwrap_or_default();
    for folder in folders.chosen()? {
        for keep in settings.limits_of(&folder)? {
            for path in collector::keep_within(&folder, &keep) {
                let path = console::plain(&path.display().to_string());
                console::print(&format!("Deleted: {path}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let OneArgs { dump, folders } = &args.dump;
    let dump = match Path::new(dump) {
        // Also a dump that others wrote, which no list has.
        path if path.is_file() => path.to_owned(),
        _ => find(dump, folders)?.path,
    };
    let exported = export::export(&dump, &pack_for(&dump, args.output.as_deref())?)?;
    let (path, count) = (exported.path.display(), exported.modules);
    console::print(&format!(
        "Packed with {count} programs and libraries: {path}"
    ))?;
    for (module, why) in &exported.missing {
        let (module, why) = (console::plain(module), console::plain(why));
        console::print(&format!("Not in it: {module}: {why}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a pack goes; refuses a name that promises another format.
fn pack_for(dump: &Path, output: Option<&Path>) -> Result<PathBuf, Usage> {
    let name = dump.file_name().and_then(|name| name.to_str());
    let default = || format!("{}.tar.gz", export::stem(name.unwrap_or("dump")));
    let path = output.map_or_else(|| PathBuf::from(default()), Path::to_owned);
    let text = path.to_string_lossy();
    match text.ends_with(".tar.gz") || text.ends_with(".tgz") {
        true => Ok(path),
        false => Err(Usage(format!("{text}: a pack is a .tar.gz; call it so"))),
    }
}

/// The debugger gets the program that the dump says it is of.
fn open(dump: &Stored) -> anyhow::Result<ExitCode> {
    let file = platform::map_file(&dump.path)?;
    let told = formats::read(file)?;
    let exe = PathBuf::from(&told.snapshot.process.exe);
    let exe = exe.is_absolute().then_some(exe).filter(|exe| exe.is_file());
    let is_core = told.format == snapshot::DumpFormat::Core;
    let gdb = is_core.then(|| debugger("gdb", exe.as_deref(), &dump.path));
    let lldb = debugger("lldb", exe.as_deref(), &dump.path);
    for mut command in gdb.into_iter().chain([lldb]) {
        match command.status() {
            Ok(status) => return Ok(ExitCode::from(status.code().unwrap_or(1) as u8)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("there is no debugger: install gdb or lldb")
}

fn debugger(name: &str, exe: Option<&Path>, dump: &Path) -> Command {
    let mut command = Command::new(name);
    match (name, exe) {
        ("gdb", Some(exe)) => command.arg(exe).arg(dump),
        ("gdb", None) => command.arg("-core").arg(dump),
        (_, Some(exe)) => command.arg("--file").arg(exe).arg("--core").arg(dump),
        (_, None) => command.arg("--core").arg(dump),
    };
    command
}
