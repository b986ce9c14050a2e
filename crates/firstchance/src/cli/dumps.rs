//! `firstchance dumps`: lists, shows, deletes, opens and packs stored dumps.

mod prune;

use crate::{
    export, inspect,
    postmortem::{self, is_windows},
    ui::{console, exit::Usage, values},
};
use collector::{DumpContent, Stored, foreign_dump, foreign_dumps, stored_dumps};
use platform::Existing;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

/// Options of `dumps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List dumps, newest first
    List(ListArgs),
    /// Show what is in a dump
    Show(OneArgs),
    /// Delete dumps
    Delete(DeleteArgs),
    /// Delete the dumps that are beyond the limits of their folder
    Prune(Folders),
    /// Open a dump and its program in gdb or lldb
    Open(OneArgs),
    /// Pack a dump with its record, program and libraries, to be opened on another machine
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
struct Folders {
    /// Folder with dumps; can be repeated [default: the folders of postmortem dumps]
    #[arg(long = "folder", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Folders to look into, or dumps to list, of firstchance and of other programs [default: the folders of postmortem dumps]
    #[arg(value_name = "FOLDER")]
    places: Vec<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// Only dumps of this program
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Only dumps that are not older than this: 2h
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    since: Option<Duration>,
    /// Only dumps whose crash signature, reason or trigger contains this text
    #[arg(long, value_name = "TEXT")]
    signature: Option<String>,
    /// Show only this many dumps, the newest ones
    #[arg(long, value_name = "N", default_value_t = 500, conflicts_with = "json")]
    limit: usize,
    /// Print one JSON object per dump, for all dumps
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// Name of a dump in the list, or path of a dump of any program
    dump: String,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// Names of dumps in the list, or paths of files
    #[arg(required = true)]
    dumps: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    dump: OneArgs,
    /// The file to create, which must not exist [default: the dump's name with .tar.gz, in the current folder]
    #[arg(short, long, value_name = "FILE.tar.gz")]
    output: Option<PathBuf>,
}

/// A dump in the list, or as JSON.
#[derive(Serialize)]
struct DumpRow<'l> {
    id: &'l str,
    path: &'l Path,
    program: &'l str,
    /// `None` if the dump does not tell it.
    pid: Option<u32>,
    taken: &'l str,
    kind: &'l str,
    bytes: u64,
    reason: &'l str,
    /// The kind of the reason, in a word: `exception`; empty if the dump does not say.
    trigger: &'l str,
    signature: Option<&'l str>,
    /// How often this crash came: the stored one and those that were only counted.
    count: u64,
    complete: bool,
}

/// Runs the command that was given.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::List(args) => list(args),
        What::Show(args) => {
            let dump = locate(&args.dump, &args.folders)?;
            inspect::run(&inspect::Args::summary(dump))
        }
        What::Delete(args) => delete(args),
        What::Prune(folders) => prune::prune(&folders.chosen()?),
        What::Open(args) => open(&locate(&args.dump, &args.folders)?),
        What::Export(args) => export(args),
    }
}

impl Folders {
    /// The folders that were named, or else those of postmortem dumps, also of settings that are gone.
    fn chosen(&self) -> anyhow::Result<Vec<PathBuf>> {
        if !self.folders.is_empty() {
            return Ok(self.folders.clone());
        }
        Ok(postmortem::all_folders()?)
    }

    /// Our dumps in the chosen folders, newest first. A folder that does not exist has none.
    fn dumps(&self) -> anyhow::Result<Vec<Stored>> {
        gathered(&self.chosen()?, dumps_in)
    }

    /// Those of other programs, too.
    fn dumps_of_all(&self) -> anyhow::Result<Vec<Stored>> {
        gathered(&self.chosen()?, dumps_of_all_in)
    }
}

/// The dumps in folders, newest first.
fn gathered(
    folders: &[PathBuf],
    look: fn(&Path) -> platform::Result<Vec<Stored>>,
) -> anyhow::Result<Vec<Stored>> {
    let (mut all, mut closed) = (Vec::new(), None);
    for folder in folders {
        match look(folder) {
            Ok(dumps) => all.extend(dumps),
            Err(error) if error.kind == platform::ErrorKind::NotPermitted => closed = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    // A user may be allowed to read only some of the folders.
    if let Some(error) = closed.filter(|_| all.is_empty()) {
        let advice = format!("It holds no dump that you may read. {}", error.advice);
        return Err(error.advise(advice).into());
    }
    all.sort_by_cached_key(|dump| std::cmp::Reverse((moment(dump), name(dump).to_owned())));
    Ok(all)
}

/// The dumps in a folder; on Windows also those that Windows itself has written (LocalDumps).
pub(super) fn all_dumps(folder: &Path) -> std::io::Result<Vec<Stored>> {
    let mut dumps = stored_dumps(folder)?;
    if is_windows() {
        let named = |dump: &Stored| dump.path.extension().is_some_and(|end| end == "dmp");
        dumps.extend(foreign_dumps(folder)?.into_iter().filter(named));
    }
    Ok(dumps)
}

/// As [`all_dumps`]. A folder that does not exist has none.
fn dumps_in(folder: &Path) -> platform::Result<Vec<Stored>> {
    looked_into(folder, all_dumps(folder))
}

/// The dumps in a folder, of all programs; of a path that is a file, that one.
fn dumps_of_all_in(place: &Path) -> platform::Result<Vec<Stored>> {
    if place.is_file() {
        let folder = place.parent().unwrap_or(Path::new(""));
        let ours = dumps_in(folder)?.into_iter();
        let ours = ours.filter(|dump| dump.path == place);
        return Ok(ours
            .chain(foreign_dump(&place.to_owned()))
            .take(1)
            .collect());
    }
    let ours = stored_dumps(place);
    let all = ours.and_then(|ours| Ok([ours, foreign_dumps(place)?].concat()));
    looked_into(place, all)
}

fn looked_into(
    folder: &Path,
    found: std::io::Result<Vec<Stored>>,
) -> platform::Result<Vec<Stored>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        dumps => dumps.map_err(|error| {
            platform::Error::of_access(&format!("looking into {}", folder.display()), &error)
        }),
    }
}

/// When the dump was taken; 1970 if the record does not say.
fn moment(dump: &Stored) -> jiff::Timestamp {
    dump.record.taken.parse().unwrap_or_default()
}

fn name(dump: &Stored) -> &str {
    let name = dump.path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let places = args.places()?;
    let dumps = gathered(&places, dumps_of_all_in)?;
    let now = jiff::Timestamp::now();
    let chosen = dumps.iter().filter(|dump| args.wants(dump, now));
    let rows: Vec<DumpRow> = chosen.map(DumpRow::of).collect();
    if args.json {
        let lines: Vec<String> = rows
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        console::print_json(&lines.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let headers = [
        "TAKEN", "PROGRAM", "PID", "TYPE", "SIZE", "COUNT", "REASON", "DUMP",
    ];
    let mut table = console::table(&headers, &[2, 4, 5]);
    rows.iter().take(args.limit).for_each(|row| {
        table.add_row(row.cells());
    });
    console::print(&table.to_string())?;
    if rows.len() > args.limit {
        let more = rows.len() - args.limit;
        console::print(&format!("and {more} older ones: use --limit to show more"))?;
    }
    console::print(&where_they_are(&rows, &places))?;
    if rows.iter().any(|row| row.count > 1) {
        console::print(
            "COUNT has crashes that were only counted, because they came again in the same way: \
             `firstchance postmortem enable --repeat-window 0s` stores each",
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last line of the list: the folders of its dumps, or those that have none.
fn where_they_are(rows: &[DumpRow], looked_into: &[PathBuf]) -> String {
    let of_rows: BTreeSet<&Path> = rows.iter().filter_map(|row| row.path.parent()).collect();
    let text = match of_rows.is_empty() {
        true => format!("There is no such dump in {}", joined(looked_into)),
        false => format!("In {}", joined(of_rows)),
    };
    console::plain(&text)
}

/// `/a and /b`.
fn joined<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> String {
    let folders = folders.into_iter();
    let shown = folders.map(|folder| folder.as_ref().display().to_string());
    shown.collect::<Vec<_>>().join(" and ")
}

impl ListArgs {
    /// What was named, or else the folders of postmortem dumps.
    fn places(&self) -> anyhow::Result<Vec<PathBuf>> {
        match self.places.is_empty() {
            true => self.folders.chosen(),
            false => Ok([&self.places[..], &self.folders.folders].concat()),
        }
    }

    fn wants(&self, dump: &Stored, now: jiff::Timestamp) -> bool {
        let record = &dump.record;
        let program = self.program.as_ref();
        let text = self.signature.as_deref();
        let holds = |text: &str| {
            let signature = record.signature.as_deref().unwrap_or_default();
            let told = [signature, &record.reason, &record.trigger];
            told.iter().any(|told| told.contains(text))
        };
        let age = || now.duration_since(moment(dump)).unsigned_abs();
        program.is_none_or(|name| *name == record.process)
            && text.is_none_or(holds)
            && self.since.is_none_or(|since| age() <= since)
    }
}

impl<'l> DumpRow<'l> {
    fn of(dump: &'l Stored) -> Self {
        let record = &dump.record;
        Self {
            id: name(dump),
            path: &dump.path,
            program: &record.process,
            pid: Some(record.pid).filter(|&pid| pid != 0),
            taken: &record.taken,
            kind: &record.kind,
            bytes: dump.bytes,
            reason: &record.reason,
            trigger: &record.trigger,
            signature: record.signature.as_deref(),
            count: 1 + record.repeats,
            complete: record.complete,
        }
    }

    fn cells(&self) -> Vec<String> {
        let kind = match self.complete {
            true => self.kind.to_owned(),
            false => format!("{}, incomplete", self.kind),
        };
        vec![
            self.taken.get(..19).unwrap_or_default().replace('T', " "),
            console::cut(&console::plain(self.program), 24),
            self.pid.map_or(String::new(), |pid| pid.to_string()),
            kind,
            console::size(self.bytes),
            self.count.to_string(),
            console::cut(&console::plain(self.reason), 60),
            console::plain(self.id),
        ]
    }
}

/// The path of the dump that `text` means, of any program: the file at that path, or the dump of that name in the folders.
/// Fails if there is none, or several.
fn locate(text: &str, folders: &Folders) -> anyhow::Result<PathBuf> {
    let path = Path::new(text);
    let mut named = match is_name(path) {
        true => folders.dumps_of_all()?,
        false => Vec::new(),
    };
    named.retain(|dump| name(dump) == text);
    match &named[..] {
        [dump] => return Ok(dump.path.clone()),
        [] => {}
        _ => return Err(several(text)),
    }
    match platform::open_file(path) {
        Ok(_) => Ok(path.to_owned()),
        Err(_) => Err(missing(text, &places_of(path, folders)?)),
    }
}

fn is_name(path: &Path) -> bool {
    path.components().count() == 1 && !path.is_absolute()
}

/// The folders that a name may be in; the empty path of one that is a path itself.
fn places_of(path: &Path, folders: &Folders) -> anyhow::Result<Vec<PathBuf>> {
    match is_name(path) {
        true => folders.chosen(),
        false => Ok(vec![PathBuf::new()]),
    }
}

fn several(text: &str) -> anyhow::Error {
    Usage(format!(
        "several dumps are called {text}: give the path of one"
    ))
    .into()
}

/// Our dump that `text` means: the file at that path, or the dump of that name in the folders.
/// Fails if there is none, or several.
fn find(text: &str, folders: &Folders) -> anyhow::Result<Stored> {
    let path = Path::new(text);
    let is_name = is_name(path);
    let mut found: Vec<Stored> = match is_name {
        true => folders.dumps()?,
        false => dumps_in(path.parent().unwrap_or(Path::new(".")))?,
    };
    found.retain(|dump| match is_name {
        true => name(dump) == text,
        false => dump.path == path,
    });
    if found.len() > 1 {
        return Err(several(text));
    }
    let places = places_of(path, folders)?;
    found.pop().ok_or_else(|| missing(text, &places))
}

/// Why there is no dump of this name in any of the folders: it may be closed to this user, or be another tool's.
fn missing(text: &str, folders: &[PathBuf]) -> anyhow::Error {
    for path in folders.iter().map(|folder| folder.join(text)) {
        match platform::open_file(&path) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let what = format!("reading {}", path.display());
                return platform::Error::of_access(&what, &error).into();
            }
            Ok(_) => return not_ours(&path).into(),
            Err(_) => {}
        }
    }
    let what = format!("there is no dump called {}", console::plain(text));
    let missing = platform::Error::new(platform::ErrorKind::Disk, what);
    missing.advise("`firstchance dumps list` shows all.").into()
}

fn not_ours(path: &Path) -> platform::Error {
    let path = console::plain(&path.display().to_string());
    let what = format!("firstchance has not written {path}");
    platform::Error::new(platform::ErrorKind::Other, what).advise(format!(
        "`firstchance inspect {path}` shows a dump of any tool."
    ))
}

/// Deletes the dumps, once all of them have been found.
fn delete(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let find = |text: &String| find(text, &args.folders);
    let dumps: Vec<Stored> = args.dumps.iter().map(find).collect::<Result<_, _>>()?;
    for dump in dumps {
        let removed = collector::delete_dump(&dump.path);
        let what = format!("deleting {}", dump.path.display());
        removed.map_err(|e| platform::Error::of_access(&what, &e))?;
        console::print(&format!("Deleted: {}", console::plain(name(&dump))))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let OneArgs { dump, folders } = &args.dump;
    let dump = match Path::new(dump) {
        // This may be a dump that another program wrote, which is in no list.
        path if path.is_file() => path.to_owned(),
        _ => locate(dump, folders)?,
    };
    let pack = pack_for(&dump, args.output.as_deref())?;
    let existing = match args.output {
        Some(_) => Existing::Refuse,
        None => Existing::NextName,
    };
    let exported = export::export(&dump, &pack, existing)?;
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

/// The path of the pack. Refuses a name whose ending means another format.
fn pack_for(dump: &Path, output: Option<&Path>) -> Result<PathBuf, Usage> {
    let name = dump.file_name().and_then(|name| name.to_str());
    let default = || format!("{}.tar.gz", export::stem(name.unwrap_or("dump")));
    let path = output.map_or_else(|| PathBuf::from(default()), Path::to_owned);
    let text = path.to_string_lossy();
    match text.ends_with(".tar.gz") || text.ends_with(".tgz") {
        true => Ok(path),
        false => Err(Usage(format!(
            "{text}: the file is packed as .tar.gz, so its name must end in that"
        ))),
    }
}

/// Starts gdb for a core, else lldb, with the program that the dump names if it is here.
fn open(dump: &Path) -> anyhow::Result<ExitCode> {
    let content = DumpContent::open(dump)?;
    let told = formats::read(content.bytes.clone())
        .map_err(|error| anyhow::anyhow!("{}", error.of_file(dump.display())))?;
    if let Some(path) = no_file_any_more(&told.snapshot) {
        let what = format!(
            "{path} was mapped from a file, and is a pipe, a socket or a device now: a debugger that opens it may hang, or do harm"
        );
        return Err(platform::Error::new(platform::ErrorKind::Other, what)
            .advise("Remove it if it is of no use, or read the dump with `firstchance inspect`.")
            .into());
    }
    // Debuggers read no compressed file.
    let unpacked = content.packing.map(|_| Unpacked::of(dump)).transpose()?;
    let path = unpacked.as_ref().map_or(dump, |unpacked| &unpacked.0);
    let exe = PathBuf::from(&told.snapshot.process.exe);
    let exe = exe.is_absolute().then_some(exe).filter(|exe| exe.is_file());
    let is_core = told.format == snapshot::DumpFormat::Core;
    let gdb = is_core.then(|| debugger("gdb", exe.as_deref(), path));
    let lldb = debugger("lldb", exe.as_deref(), path);
    for mut command in gdb.into_iter().chain([lldb]) {
        match command.status() {
            Ok(status) => return Ok(ExitCode::from(status.code().unwrap_or(1) as u8)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("there is no debugger: install gdb or lldb")
}

/// A dump that is unpacked for a debugger, and removed when that has ended.
struct Unpacked(PathBuf);

impl Unpacked {
    fn of(dump: &Path) -> platform::Result<Self> {
        let name = dump.file_name().and_then(|name| name.to_str());
        let name = export::without_packing(name.unwrap_or("dump"));
        let folder = platform::scratch_folder();
        let (path, _) = collector::unpack(dump, &folder.join(name), Existing::NextName)?;
        Ok(Self(path))
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The name of a file that a process had mapped, where there is something else by now. gdb opens each by its name, which
/// is the choice of whoever owns its folder.
fn no_file_any_more(snapshot: &snapshot::Snapshot) -> Option<&str> {
    let regions = snapshot.regions.iter().filter(|region| region.inode != 0);
    let names = regions.map(|region| &region.name[..]);
    let modules = snapshot.modules.iter().map(|module| &module.path[..]);
    let mut paths = names.chain(modules).filter(|name| name.starts_with('/'));
    let is_of_root = |path: &str| path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
    paths.find(|path| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| !found.is_file() && !found.is_dir()) && !is_of_root(path)
    })
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
