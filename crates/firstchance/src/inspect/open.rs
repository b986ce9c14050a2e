//! Reads a dump file and walks its stacks.

use analysis::cause::{Cause, cause};
use analysis::waits::{self, Wait};
use analysis::{DebugFile, End, FRAME_LIMIT, FileBytes, Files, Source, Stack, Stacks};
use collector::{DumpContent, Record};
use formats::Dump;
use platform::{Error, ErrorKind};
use snapshot::{Exception, Module, Snapshot, Thread};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// A dump file that was read.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) file_bytes: u64,
    pub(super) content: DumpContent,
    pub(super) dump: Dump,
    pub(super) record: Option<Record>,
}

/// The threads of a dump with their stacks, in the order of the dump, and sentences about modules
/// whose frames or names may be wrong.
pub(super) struct Walked<'a> {
    pub(super) threads: Vec<(&'a Thread, Stack)>,
    /// What they wait for.
    pub(super) waits: Vec<Wait>,
    /// The names of the variables that are waited on, by their addresses.
    variables: Symbols,
    pub(super) doubts: Vec<String>,
    /// Why the process died, if the dump has an exception.
    pub(super) cause: Option<Cause>,
}

/// The error of a file that cannot be read; where there is none, or the user may not read it, it has an exit code of its own.
fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::of_access(&format!("reading {}", path.display()), error).into()
        }
        io::ErrorKind::NotFound => {
            let what = format!("{} cannot be read: {error}", path.display());
            Error::new(ErrorKind::Disk, what).into()
        }
        _ => anyhow::anyhow!("{} cannot be read: {error}", path.display()),
    }
}

/// Names by their addresses.
pub(super) type Symbols = BTreeMap<u64, String>;

impl Walked<'_> {
    /// What a thread waits for, if that is known.
    pub(super) fn wait_of(&self, thread: &Thread) -> Option<&Wait> {
        self.waits.iter().find(|wait| wait.thread == thread.id)
    }

    /// An address, with the name of the variable that is there if that is known.
    pub(super) fn place(&self, address: u64) -> String {
        match self.variables.get(&address) {
            Some(name) => format!("{name} ({address:#x})"),
            None => format!("{address:#x}"),
        }
    }
}

impl Opened {
    /// Reads a file. The error is a sentence that says what is wrong with it.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        let content = DumpContent::open(path).map_err(|error| unreadable(path, &error))?;
        let file_bytes = content.file_bytes;
        let dump = formats::read(content.bytes.clone())
            .map_err(|error| anyhow::anyhow!("{}", error.of_file(path.display())))?;
        let record = dump.record.as_deref().and_then(Record::parse);
        let (format, has_record) = (dump.format, record.is_some());
        log::debug!(
            "{}: {format:?}, {file_bytes} bytes, record: {has_record}",
            path.display()
        );
        Ok(Self {
            path: path.to_owned(),
            file_bytes,
            content,
            dump,
            record,
        })
    }

    /// Walks the stacks of all threads. Program and debug files of this machine are used if they
    /// are of the same build as those that were loaded.
    pub(super) fn walk(&self) -> Walked<'_> {
        let user = self.user();
        let image = |module: &Module| image(module, user);
        let files = Files {
            image: &image,
            debug: &|wanted: &DebugFile| debug(wanted, user),
        };
        let snapshot = &self.dump.snapshot;
        let stacks = Stacks::new(snapshot, &*self.dump.memory, files);
        let threads = walk_all(&stacks, &snapshot.threads);
        let memory = &*self.dump.memory;
        let wait =
            |(thread, stack): &(&Thread, Stack)| waits::wait(snapshot, thread, stack, memory);
        let waits: Vec<Wait> = threads.iter().filter_map(wait).collect();
        let variable = |address| Some((address, stacks.symbol(address)?.to_string()));
        let variables = waits.iter().filter_map(Wait::address).filter_map(variable);
        let variables = variables.collect();
        let cause = cause_of(snapshot, &stacks, &threads);
        let doubts = stacks.sources().filter_map(doubt).collect();
        Walked {
            threads,
            waits,
            variables,
            doubts,
            cause,
        }
    }

    /// The names of what is at these addresses, as far as they are known.
    pub(super) fn symbols_at(&self, addresses: &[u64]) -> Symbols {
        let user = self.user();
        let image = |module: &Module| image(module, user);
        let files = Files {
            image: &image,
            debug: &|wanted: &DebugFile| debug(wanted, user),
        };
        let stacks = Stacks::new(&self.dump.snapshot, &*self.dump.memory, files);
        let name = |address: &u64| Some((*address, stacks.symbol(*address)?.to_string()));
        addresses.iter().filter_map(name).collect()
    }

    fn user(&self) -> Option<u32> {
        user_of(&self.path, &self.dump)
    }

    /// The printed name of the fault. It is computed if the dump's writer gave none.
    pub(super) fn fault_name(&self, exception: &Exception) -> String {
        if !exception.name.is_empty() {
            return exception.name.clone();
        }
        let system = &self.dump.snapshot.system;
        analysis::exception_name(
            exception,
            system.os,
            system.architecture,
            &*self.dump.memory,
        )
    }

    /// The command that shows a whole section, for the end of a line.
    pub(super) fn hint(&self, section: &str) -> String {
        format!("   firstchance inspect {} {section}", self.path.display())
    }

    /// Warnings of the record, and of the reader about what is broken or missing in the file.
    pub(super) fn warnings(&self) -> Vec<String> {
        let recorded = self.record.iter().flat_map(|record| &record.warnings);
        let mut warnings: Vec<String> = recorded.chain(&self.dump.warnings).cloned().collect();
        warnings.extend(self.content.trouble());
        if self.dump.record.is_some() && self.record.is_none() {
            warnings.push("the record of the dump cannot be read".to_owned());
        }
        warnings
    }
}

/// The user whose paths a dump has: nothing is opened by them that this user may not read. It is the owner of the file,
/// or where that is root, who took it, the user of whom the dump tells.
pub(crate) fn user_of(path: &Path, dump: &Dump) -> Option<u32> {
    let record = dump.record.as_deref().and_then(Record::parse);
    let told = record.and_then(|record| record.user);
    let told = told.unwrap_or(dump.snapshot.process.user.uid);
    platform::owner_of(path).map(|owner| if owner == 0 { told } else { owner })
}

/// The most frames that are walked of all threads together, beyond those of shallow stacks: enough for a full stack of 8 MiB, in less
/// than a second.
const DEEPEST: usize = 300_000;

/// The stacks of all threads, the first ones as deep as they are.
fn walk_all<'a>(stacks: &Stacks, threads: &'a [Thread]) -> Vec<(&'a Thread, Stack)> {
    let mut left = DEEPEST;
    let walk = |thread| {
        let stack = stacks.deep(thread, FRAME_LIMIT + left);
        left -= stack.depth().saturating_sub(FRAME_LIMIT).min(left);
        (thread, stack)
    };
    threads.iter().map(walk).collect()
}

/// Why the process died, by the stack of the thread with the exception.
fn cause_of(snapshot: &Snapshot, stacks: &Stacks, threads: &[(&Thread, Stack)]) -> Option<Cause> {
    let exception = snapshot.exception.as_ref()?;
    let own = threads
        .iter()
        .find(|(thread, _)| thread.id == exception.thread);
    let none = Stack::whole(vec![], End::NoRegisters);
    cause(snapshot, stacks, own.map_or(&none, |(_, stack)| stack))
}

fn image(module: &Module, user: Option<u32>) -> Option<FileBytes> {
    // Only an absolute path: a relative one would be looked up in the current folder.
    let path = Path::new(&module.path);
    path.is_absolute()
        .then(|| read_logged(path, user))
        .flatten()
}

fn read_logged(path: &Path, user: Option<u32>) -> Option<FileBytes> {
    let bytes = platform::open_file_of(path, user);
    match &bytes {
        Ok(_) => log::debug!("opened {}", path.display()),
        Err(error) => log::debug!("not opened: {}: {error}", path.display()),
    }
    bytes.ok()
}

fn debug(wanted: &DebugFile, user: Option<u32>) -> Option<FileBytes> {
    wanted
        .paths()
        .iter()
        .find_map(|path| read_logged(Path::new(path), user))
}

/// A sentence about a module whose symbols or unwind tables may be missing, or of another build;
/// `None` if there is no doubt.
fn doubt((module, source): (&Module, Source)) -> Option<String> {
    let name = module.name();
    match source {
        Source::File | Source::Memory => None,
        Source::UnverifiedFile => Some(format!(
            "{name}: its symbols are those of the file that is here now; the dump does not say \
             whether it is the same build"
        )),
        Source::OtherBuild => Some(format!(
            "{name}: the file that is here now is another build; its symbols are not used"
        )),
        Source::Nowhere => Some(format!(
            "{name}: neither its file nor its unwind tables are here, so frames may be missing or guessed"
        )),
    }
}
