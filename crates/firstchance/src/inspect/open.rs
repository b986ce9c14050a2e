//! Reads a dump file and walks its stacks.

use super::symbols::{SymbolArgs, SymbolFiles};
use analysis::cause::{Cause, cause};
use analysis::waits::{self, Wait};
use analysis::{End, FRAME_LIMIT, Frame, Languages, Source, Stack, Stacks};
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
    pub(super) symbols: SymbolFiles,
}

/// The threads of a dump with their stacks, in the order of the dump, and sentences about modules
/// whose frames or names may be wrong.
pub(super) struct Walked<'a> {
    pub(super) threads: Vec<(&'a Thread, Stack)>,
    pub(super) stacks: Stacks<'a>,
    /// What the runtimes of languages tell.
    pub(super) languages: Languages,
    /// What they wait for.
    pub(super) waits: Vec<Wait>,
    /// The names of the variables that are waited on, by their addresses.
    variables: Symbols,
    pub(super) doubts: Vec<String>,
    /// Why the process died, if the dump has an exception.
    pub(super) cause: Option<Cause>,
}

fn symbols_at(stacks: &Stacks, addresses: impl Iterator<Item = u64>) -> Symbols {
    let name = |address| Some((address, stacks.symbol(address)?.to_string()));
    addresses.filter_map(name).collect()
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

    /// What stands beside the name of a frame if it may be wrong, because its module may be of another build.
    pub(super) fn doubt_of(&self, frame: &Frame) -> &'static str {
        let base = frame.ip.wrapping_sub(frame.offset);
        let mut sources = self.stacks.sources();
        let source = sources.find(|(module, _)| module.range.start == base);
        match (source, &frame.module) {
            (Some((_, Source::UnverifiedFile)), Some(_)) => "   (perhaps another build)",
            _ => "",
        }
    }

    /// The names of what is at these addresses, as far as they are known.
    pub(super) fn symbols_at(&self, addresses: &[u64]) -> Symbols {
        symbols_at(&self.stacks, addresses.iter().copied())
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
    /// Symbols come from where `symbols` says.
    pub(super) fn new(path: &Path, symbols: &SymbolArgs) -> anyhow::Result<Self> {
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
        let symbols = SymbolFiles::new(path, user_of(path, &dump), symbols)?;
        Ok(Self {
            path: path.to_owned(),
            file_bytes,
            content,
            dump,
            record,
            symbols,
        })
    }

    /// Walks the stacks of all threads. Program and debug files of this machine are used if they
    /// are of the same build as those that were loaded.
    pub(super) fn walk(&self) -> Walked<'_> {
        let snapshot = &self.dump.snapshot;
        let stacks = Stacks::new(snapshot, &*self.dump.memory, &self.symbols);
        let mut threads = walk_all(&stacks, &snapshot.threads);
        let languages = analysis::languages(&stacks, &mut threads);
        let memory = &*self.dump.memory;
        let wait =
            |(thread, stack): &(&Thread, Stack)| waits::wait(snapshot, thread, stack, memory);
        let mut waits: Vec<Wait> = threads.iter().filter_map(wait).collect();
        languages.add_waits(snapshot, &mut waits);
        let variables = symbols_at(&stacks, waits.iter().filter_map(Wait::address));
        let cause = cause_of(snapshot, &stacks, &threads);
        let mut doubts: Vec<String> = stacks.sources().filter_map(doubt).collect();
        doubts.extend(stacks.without_their_debug().map(other_debug));
        doubts.extend(self.symbols.complaints());
        Walked {
            threads,
            stacks,
            languages,
            waits,
            variables,
            doubts,
            cause,
        }
    }

    /// The names of what is at these addresses, as far as they are known.
    pub(super) fn symbols_at(&self, addresses: &[u64]) -> Symbols {
        let stacks = Stacks::new(&self.dump.snapshot, &*self.dump.memory, &self.symbols);
        symbols_at(&stacks, addresses.iter().copied())
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

fn other_debug(module: &Module) -> String {
    format!(
        "{}: the files that were found with its debug information are of other builds, and are not used",
        module.name()
    )
}
