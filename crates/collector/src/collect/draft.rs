//! One dump file, from its creation under a temporary name until it is published, kept as a partial
//! file, or removed.

use super::{
    Request, Written,
    container::Container,
    copy::{self, Copy, Copying, Progress, Source},
    kernel,
    pack::Packed,
    plain_first::When,
    series::{Series, Sharing},
    sink::Sink,
    way::Way,
};
use crate::{
    AbsentFile, Gap, Record,
    local_time::rfc3339,
    store::{
        keep::no_room_advice,
        record::{self, padded},
    },
};
use formats::{Piece, Plan};
use platform::{
    Error, ErrorKind, Existing, Facts, KernelDump, OutFile, OutStream, Result, Stop, lock,
};
use snapshot::{Compression, DumpFormat, DumpKind, Range, Selection, WallTime, total_bytes};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Instant,
};

/// The record lists this many gaps at most, and fewer where its space is too small for them.
const MOST_GAPS: usize = 200;

/// What is being copied, and how far that is.
struct Copied {
    copying: Copying,
    progress: Arc<Progress>,
}

/// What a compressed dump is expected to take of its size: memory seldom takes more than half. It is checked, and set aside,
/// before; what it really takes is known at the end.
pub(crate) fn expected(bytes: u64, compression: Option<Compression>) -> u64 {
    match compression {
        Some(_) => bytes.div_ceil(2),
        None => bytes,
    }
}

/// A dump that is being written.
pub(crate) struct Draft {
    pub(crate) number: u32,
    pub(crate) kind: DumpKind,
    pub(crate) format: DumpFormat,
    pub(crate) sink: Sink,
    pub(crate) record: Record,
    taken: WallTime,
    /// How it is compressed.
    pub(crate) compression: Option<Compression>,
    way: Way,
    /// What shares blocks with an earlier dump, if there may be any.
    sharing: Option<Arc<Sharing>>,
    /// The size of the file in bytes, once it is planned; of one that is compressed, of its content until it is written.
    size: Option<u64>,
    /// How many of them are written: a file has its holes.
    stored: u64,
    /// What may have content and was not looked at, once that is planned.
    unseen: Vec<Range>,
    /// Where the record stands in the file, once it is planned: offsets and lengths in bytes.
    records: Vec<(u64, u32)>,
    /// Whether everything that was planned was copied.
    whole: bool,
    /// What was copied from the target, once it was.
    copied: Option<Copied>,
    /// The user id of a user who may read the dump once it is whole.
    reader: Option<u32>,
    /// The kernel dump that is written beside it.
    pub(crate) kernel: Option<Arc<KernelDump>>,
    /// What is done if there is a file of its name.
    existing: Existing,
}

impl Draft {
    /// A draft with nothing planned yet; its record has what is known before the target is stopped.
    pub(crate) fn new(
        number: u32,
        kind: DumpKind,
        format: DumpFormat,
        sink: Sink,
        taken: WallTime,
        request: &Request,
        facts: &Facts,
    ) -> Self {
        let method = if request.stop != Stop::Nothing {
            "stopped"
        } else {
            "not stopped"
        };
        let container = Container::of(&facts.process);
        let record = Record {
            writing: matches!(sink, Sink::File(_)),
            comment: request.comment.clone(),
            taken: rfc3339(taken),
            kind: kind.to_string(),
            pid: facts.process.key.pid,
            process: facts.process.name.clone(),
            inner_pid: facts.process.inner_pid,
            container: facts.process.container.clone(),
            image: container.image,
            pod: container.pod,
            signature: request.signature.clone(),
            method: method.to_owned(),
            ..Record::new(&request.trigger, &request.rule)
        };
        Self {
            number,
            kind,
            format,
            sink,
            record,
            taken,
            compression: request.compress,
            way: Way::Plain,
            sharing: None,
            size: None,
            stored: 0,
            unseen: vec![],
            records: vec![],
            whole: false,
            copied: None,
            reader: request.reader,
            kernel: None,
            existing: request.existing,
        }
    }

    /// Adds a warning to the record if the file system cannot keep others from reading the file: a
    /// dump holds secrets.
    pub(crate) fn warn_of_readers(&mut self) {
        if matches!(&self.sink, Sink::File(file) if !file.is_private()) {
            let what = "its file system has no permissions: whoever reaches the folder can read it";
            self.record.warnings.push(what.to_owned());
        }
    }

    /// The path that the dump gets when it is published. Returns `None` for standard output.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &self.sink {
            Sink::File(file) => Some(file.path()),
            Sink::Stream(_) => None,
        }
    }

    /// Notes what the plan says: the size of the file, and where the record stands in it.
    pub(crate) fn planned(&mut self, plan: &Plan, selection: &Selection) {
        self.size = Some(plan.size());
        self.stored = match self.sink {
            Sink::File(_) => plan.stored_bytes(),
            Sink::Stream(_) => plan.size(),
        };
        self.record.memory_bytes = plan.memory_bytes() + plan.mapped_bytes();
        self.unseen.clone_from(&selection.unseen);
        self.record.absent_files = selection.absent.iter().map(AbsentFile::of).collect();
        let record = |(offset, piece): (u64, &Piece)| match piece {
            Piece::Record(len) => Some((offset, *len)),
            _ => None,
        };
        self.records = plan.pieces_with_offsets().filter_map(record).collect();
    }

    /// Has the dump compressed, if that was asked for: see [`Way::to_compress`].
    pub(crate) fn compress(&mut self, plan: &Arc<Plan>, when: When<'_>) {
        let Some(asked) = self.compression else {
            return;
        };
        let (way, used, warning) = Way::to_compress(plan, &self.sink, asked, when);
        self.way = way;
        self.record.compression = Some(used.to_string());
        self.record.warnings.extend(warning);
    }

    /// Has what did not change since the last dump of a series shared with that. A small one is not worth the hashes, and the
    /// next large one would have little in common with it.
    pub(crate) fn share(&mut self, plan: &Plan, series: &Series) {
        if let (None, Sink::File(file), true) = (self.compression, &self.sink, self.kind.is_large())
        {
            self.sharing = series.begin(file, plan).map(Arc::new);
        }
    }

    /// Starts to copy what `plan` says.
    pub(crate) fn start(&mut self, plan: &Arc<Plan>, source: &Source) -> Result<Copy> {
        let copying = Copying {
            plan: plan.clone(),
            source: source.clone(),
            sink: self.plain_sink(),
            packer: self.way.packer().cloned(),
            sharing: self.sharing.clone(),
            record: self.record_bytes(),
        };
        let copy = copy::start(&copying).map_err(|e| self.failed("writing", &e))?;
        self.copied = Some(Copied {
            copying,
            progress: copy.progress.clone(),
        });
        Ok(copy)
    }

    /// Where it is copied to.
    fn plain_sink(&self) -> Sink {
        match &self.way {
            Way::PlainFirst(plain) => plain.sink(),
            Way::Plain | Way::Packed(_) => self.sink.clone(),
        }
    }

    /// Reserves disk space, so that a full disk shows before anything is copied. Of a dump that is shared with another one nobody
    /// knows how much it needs, and btrfs would not give back the reserved space of an extent that is used in part.
    pub(crate) fn reserve(&self, plan: &Plan) -> Result<()> {
        let Sink::File(file) = &self.sink else {
            return Ok(());
        };
        if self
            .sharing
            .as_ref()
            .is_some_and(|sharing| sharing.has_earlier())
        {
            return Ok(());
        }
        let parts = match self.compression {
            Some(_) => vec![(0, expected(plan.stored_bytes(), self.compression))],
            None => plan.stored_parts(),
        };
        file.reserve(&parts)
            .map_err(|e| self.failed("reserving room for", &e))
    }

    /// The record as it stands now, as JSON.
    pub(crate) fn record_bytes(&self) -> Vec<u8> {
        self.record.to_bytes(record::SPACE as usize)
    }

    /// The error for an operation on this dump that failed: `what` is its name ("writing").
    pub(crate) fn failed(&self, what: &str, error: &io::Error) -> Error {
        let name = self.path().map_or("standard output".to_owned(), |path| {
            path.display().to_string()
        });
        let failure = Error::of_file(&format!("{what} {name}"), error);
        match error.kind() {
            io::ErrorKind::StorageFull => failure.advise(no_room_advice(self.kind)),
            _ => failure,
        }
    }

    /// Notes how the copying ended. Returns `end`.
    pub(crate) fn copied(&mut self, end: Result<()>) -> Result<()> {
        self.whole = end.is_ok();
        end
    }

    /// Notes that the process changed while it was copied, so that the dump is not whole.
    pub(crate) fn lacks_something(&mut self) {
        self.whole = false;
    }

    fn discard(&self) {
        if let Sink::File(file) = &self.sink {
            file.discard();
        }
    }

    fn note_gaps(&mut self, gaps: &[Range]) {
        let gap = |range: &Range| Gap {
            address: format!("0x{:x}", range.start),
            bytes: range.len(),
        };
        self.record.gaps = gaps.iter().take(MOST_GAPS).map(gap).collect();
        self.record.gap_count = gaps.len() as u64;
        self.record.gap_bytes = total_bytes(gaps);
    }

    /// Ends the draft. A dump that is whole gets its name. A part is kept, with a warning in its
    /// record, if the target died or the time was over; else it is removed, and `None` is returned.
    /// `error` is why the dumps ended early, `start` when the request began.
    pub(crate) fn finish(
        mut self,
        error: Option<&Error>,
        start: Instant,
    ) -> Result<Option<Written>> {
        let keep = error.is_some_and(|error| is_worth_keeping(error.kind));
        if !self.whole && (!keep || self.size.is_none()) {
            self.discard();
            return Ok(None);
        }
        self.copy_rest()?;
        self.record.complete = self.whole;
        if let Some(error) = error.filter(|_| !self.whole) {
            let what = format!("this dump is not whole: {}", error.what);
            self.record.warnings.insert(0, what);
        }
        self.pack_plain();
        self.record.writing = false;
        self.allow_reader();
        self.write_kernel_dump();
        let path = match self.sink.clone() {
            Sink::File(file) => Some(self.finish_file(file)?),
            Sink::Stream(stream) => {
                self.finish_stream(&stream)
                    .map_err(|e| self.failed("writing to", &e))?;
                None
            }
        };
        Ok(Some(Written {
            number: self.number,
            path,
            bytes: self.size.unwrap_or(0),
            stored: self.stored,
            kind: self.kind,
            format: self.format,
            taken: self.taken,
            record: self.record,
            took: start.elapsed(),
        }))
    }

    /// Copies what comes from files, and notes what is missing.
    fn copy_rest(&mut self) -> Result<()> {
        let Some(copied) = self.copied.take() else {
            return Ok(());
        };
        let Copied {
            mut copying,
            progress,
        } = copied;
        let (plan, plain) = (copying.plan.clone(), copying.sink.clone());
        copying.record = self.record_bytes();
        let rest = match self.way.packer() {
            Some(packer) => copy::pack_rest(copying, packer, &progress),
            None => copy::copy_files(copying, &progress),
        };
        rest.map_err(|e| self.failed("writing", &e))?;
        if let Sink::File(file) = &plain {
            self.stored -= progress.zeros.give_back(file).min(self.stored);
        }
        if let Some(sharing) = &self.sharing {
            self.record.shared_bytes = sharing.bytes();
            self.record.warnings.extend(sharing.trouble());
            self.stored -= sharing.bytes().min(self.stored);
        }
        let mut gaps = progress.missing(&plan);
        gaps.append(&mut self.unseen);
        gaps.sort_unstable_by_key(|gap| gap.start);
        self.note_gaps(&gaps);
        Ok(())
    }

    /// Compresses what was copied as it is. If that fails, the dump stays so, and its record says it: it is whole, and there will
    /// be no better one.
    fn pack_plain(&mut self) {
        let plain = match std::mem::take(&mut self.way) {
            Way::PlainFirst(plain) => plain,
            other => {
                self.way = other;
                return;
            }
        };
        let compression = self.compression.unwrap_or_default();
        let sealed = plain.seal(&self.records, &self.sealed_record());
        let packed =
            sealed.and_then(|()| plain.pack(compression, &self.sink, &self.record_bytes()));
        match packed {
            Ok(packed) => self.packed(packed),
            Err(error) => {
                let what = format!("it is not compressed, as that failed: {error}");
                self.record.warnings.push(what);
                self.record.compression = None;
                self.discard();
                self.sink = plain.sink();
            }
        }
    }

    /// The record of the dump as it is before it is compressed: it is done, so that it is kept if we are killed then.
    fn sealed_record(&self) -> Vec<u8> {
        let record = Record {
            writing: false,
            compression: None,
            ..self.record.clone()
        };
        record.to_bytes(record::SPACE as usize)
    }

    /// Notes how large the compressed file is, and where it has the record.
    fn packed(&mut self, packed: Packed) {
        self.records = packed.records;
        (self.size, self.stored) = (Some(packed.size), packed.size);
    }

    /// Lets the reader read the dump if it is whole; a warning in the record says if that failed.
    fn allow_reader(&mut self) {
        if let (Some(uid), Sink::File(file)) = (self.reader.filter(|_| self.whole), &self.sink) {
            self.record.warnings.extend(allow(file, uid));
        }
    }

    /// Writes the kernel dump beside a whole dump; a warning in the record says if that failed.
    fn write_kernel_dump(&mut self) {
        let kernel = self.kernel.take().filter(|_| self.whole);
        if let (Some(dump), Some(path)) = (kernel, self.path()) {
            let written = kernel::write_beside(&path, self.existing, &dump);
            let warning = written.err().map(|error| error.to_string());
            self.record.warnings.extend(warning);
        }
    }

    /// Writes the record at the end of a stream.
    fn finish_stream(&mut self, stream: &Mutex<OutStream>) -> io::Result<()> {
        let text = self.record_bytes();
        if self.finish_packed(&text)? {
            return Ok(());
        }
        let tail = self.records.last().map_or(0, |(_, len)| *len);
        lock(stream).write(&padded(&text, tail))
    }

    /// Writes the end of a compressed dump. Returns whether it is one.
    fn finish_packed(&mut self, text: &[u8]) -> io::Result<bool> {
        let Way::Packed(packer) = std::mem::take(&mut self.way) else {
            return Ok(false);
        };
        self.packed(packer.finish(text)?);
        Ok(true)
    }

    /// Writes the final record, and publishes the file or keeps it as a partial one. Returns the
    /// path of the file.
    fn finish_file(&mut self, file: Arc<OutFile>) -> Result<PathBuf> {
        let text = self.record_bytes();
        self.finish_packed(&text)
            .map_err(|e| self.failed("writing", &e))?;
        for &(offset, len) in &self.records {
            file.write_at(offset, &padded(&text, len))
                .map_err(|e| self.failed("writing", &e))?;
        }
        // A partial file has its full length too, so that readers find every segment in it.
        let size = self.size.unwrap_or(0);
        file.set_len(size).map_err(|e| self.failed("writing", &e))?;
        file.sync().map_err(|e| self.failed("writing", &e))?;
        drop(std::mem::replace(
            &mut self.sink,
            Sink::Stream(Arc::default()),
        ));
        match Arc::try_unwrap(file) {
            Ok(file) if self.whole => self.publish(file),
            Ok(file) => file.keep_partial(),
            // A copying thread that hangs still has the file.
            Err(file) => file.keep_partial(),
        }
    }

    fn publish(&self, file: OutFile) -> Result<PathBuf> {
        let (path, identity) = file.publish_and_identify()?;
        if let (Some(sharing), Some(identity)) = (&self.sharing, identity) {
            sharing.ended(path.clone(), identity);
        }
        Ok(path)
    }
}

/// Lets a user read a dump. Returns a warning if that failed.
pub(crate) fn allow(file: &OutFile, uid: u32) -> Option<String> {
    let error = file.allow_reader(uid).err()?;
    Some(format!(
        "user {uid}, whose process it was, cannot read it: an access list for them failed: {error}"
    ))
}

/// Whether a part of a dump is kept. It is if the target or its clone died or the time was over, as there will be
/// no better one. On a full disk it would only take room, and a user who cancels wants nothing.
fn is_worth_keeping(kind: ErrorKind) -> bool {
    use ErrorKind::{CloneLost, Executed, TargetDied, TimedOut};
    matches!(kind, CloneLost | TargetDied | Executed | TimedOut)
}
