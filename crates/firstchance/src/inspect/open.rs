//! Reads a dump file and walks its stacks.

use super::symbols::{SymbolArgs, SymbolFiles};
use analysis::waits::Wait;
use analysis::{Examined, Frame, Source, Stacks};
use collector::{DumpContent, Record};
use formats::Dump;
use platform::{Error, ErrorKind};
use snapshot::{Exception, Module, Thread};
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

/// What a dump tells of its threads, and sentences about modules whose frames or names may be wrong.
pub(super) struct Walked<'a> {
    pub(super) examined: Examined<'a>,
    pub(super) doubts: Vec<String>,
}

impl<'a> std::ops::Deref for Walked<'a> {
    type Target = Examined<'a>;

    fn deref(&self) -> &Examined<'a> {
        &self.examined
    }
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

    /// The name of a thread: that in its language, which is longer than the system's, or else that of the system.
    pub(super) fn name_of<'n>(&'n self, thread: &'n Thread) -> &'n str {
        let java = self.languages.java_thread(thread.id);
        let name = java.and_then(|java| java.name.as_deref());
        name.unwrap_or(&thread.name)
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
        self.stacks.names(addresses.iter().copied())
    }

    /// The name of the variable that is waited on at this address.
    pub(super) fn variable(&self, address: u64) -> Option<&str> {
        self.variables.get(&address).map(|name| &name[..])
    }

    /// An address, with the name of the variable that is there if that is known.
    pub(super) fn place(&self, address: u64) -> String {
        match self.variable(address) {
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
        let memory = &*self.dump.memory;
        let examined = analysis::examine(&self.dump.snapshot, memory, self.stacks());
        let stacks = &examined.stacks;
        let mut doubts: Vec<String> = stacks.sources().filter_map(doubt).collect();
        doubts.extend(stacks.without_their_debug().map(other_debug));
        doubts.extend(self.symbols.complaints());
        Walked { examined, doubts }
    }

    fn stacks(&self) -> Stacks<'_> {
        Stacks::new(&self.dump.snapshot, &*self.dump.memory, &self.symbols)
    }

    /// The names of what is at these addresses, as far as they are known.
    pub(super) fn symbols_at(&self, addresses: &[u64]) -> Symbols {
        self.stacks().names(addresses.iter().copied())
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
