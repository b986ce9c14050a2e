//! A dump file between its making and its name.

use super::{
    Request, Written,
    container::Container,
    copy::{Copy, Sink},
};
use crate::local_time::rfc3339;
use crate::store::record::{self, padded};
use crate::{Gap, Record};
use formats::{Piece, Plan};
use platform::{Error, ErrorKind, Facts, Result, Stop};
use snapshot::{DumpFormat, DumpKind, Range, WallTime, coalesce, total_bytes};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Instant,
};

/// How many gaps are told in the record, before it is cut to its space.
const MOST_GAPS: usize = 200;

/// A dump that is being written.
pub(crate) struct Draft {
    pub(crate) number: u32,
    pub(crate) kind: DumpKind,
    pub(crate) format: DumpFormat,
    pub(crate) sink: Sink,
    pub(crate) record: Record,
    taken: WallTime,
    /// Size of the file and places of its records, once planned.
    size: Option<u64>,
    records: Vec<(u64, u32)>,
    /// Everything that was planned was copied.
    whole: bool,
    /// Who else may read it, when it is whole.
    reader: Option<u32>,
}

impl Draft {
    pub(crate) fn new(
        number: u32,
        kind: DumpKind,
        format: DumpFormat,
        sink: Sink,
        taken: WallTime,
        request: &Request,
        facts: &Facts,
    ) -> Self {
        let method = if request.stop == Stop::Threads {
            "stopped"
        } else {
            "not stopped"
        };
        let container = Container::of(&facts.process);
        let record = Record {
            writing: matches!(sink, Sink::File(_)),
            producer: concat!("firstchance ", env!("CARGO_PKG_VERSION")).to_owned(),
            reason: request.reason.clone(),
            rule: request.rule.clone(),
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
            ..Record::default()
        };
        Self {
            number,
            kind,
            format,
            sink,
            record,
            taken,
            size: None,
            records: vec![],
            whole: false,
            reader: request.reader,
        }
    }

    /// Dumps are secrets: says so where the file system keeps nobody from reading them.
    pub(crate) fn warn_of_readers(&mut self) {
        if matches!(&self.sink, Sink::File(file) if !file.is_private()) {
            let what = "its file system has no permissions: whoever reaches the folder can read it";
            self.record.warnings.push(what.to_owned());
        }
    }

    /// Lets one user more read it; says so where that cannot be.
    fn allow_reader(&mut self) {
        if let (Some(uid), Sink::File(file)) = (self.reader.filter(|_| self.whole), &self.sink) {
            self.record.warnings.extend(allow(file, uid));
        }
    }

    /// The name it will have; `None` for standard output.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &self.sink {
            Sink::File(file) => Some(file.path()),
            Sink::Stream(_) => None,
        }
    }

    pub(crate) fn planned(&mut self, plan: &Plan) {
        self.size = Some(plan.size());
        self.record.memory_bytes = plan.memory_bytes();
        let record = |(offset, piece): (u64, &Piece)| match piece {
            Piece::Record(len) => Some((offset, *len)),
            _ => None,
        };
        self.records = plan.pieces_with_offsets().filter_map(record).collect();
    }

    pub(crate) fn reserve(&self, bytes: u64) -> Result<()> {
        match &self.sink {
            Sink::File(file) => file
                .reserve(bytes)
                .map_err(|e| self.failed("reserving room for", &e)),
            Sink::Stream(_) => Ok(()),
        }
    }

    pub(crate) fn record_bytes(&self) -> Vec<u8> {
        self.record.to_bytes(record::SPACE as usize)
    }

    pub(crate) fn failed(&self, what: &str, error: &io::Error) -> Error {
        let name = self.path().map_or("standard output".to_owned(), |path| {
            path.display().to_string()
        });
        let failure = Error::of_file(&format!("{what} {name}"), error);
        match error.kind() {
            io::ErrorKind::StorageFull => {
                failure.advise("Write elsewhere with -o, or take a --mini dump.")
            }
            _ => failure,
        }
    }

    /// Takes down how the copying went.
    pub(crate) fn copied(&mut self, copy: &Copy, end: Result<()>) -> Result<()> {
        let gaps = copy
            .progress
            .gaps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.note_gaps(&coalesce(gaps, 0));
        self.whole = end.is_ok();
        end
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
}

/// Ends a draft: names it when it is whole, labels and keeps what a deadline or the target's
/// death left, removes it otherwise (`None`).
pub(crate) fn finish(
    mut draft: Draft,
    error: Option<&Error>,
    start: Instant,
) -> Result<Option<Written>> {
    let keep = error.is_some_and(|error| is_worth_keeping(error.kind));
    if !draft.whole && (!keep || draft.size.is_none()) {
        return Ok(None);
    }
    draft.record.complete = draft.whole;
    draft.record.writing = false;
    if let Some(error) = error.filter(|_| !draft.whole) {
        draft
            .record
            .warnings
            .insert(0, format!("this dump is not whole: {}", error.what));
    }
    draft.allow_reader();
    let path = match draft.sink.clone() {
        Sink::File(file) => Some(finish_file(&mut draft, file)?),
        Sink::Stream(stream) => {
            let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
            let tail = draft.records.last().map_or(0, |(_, len)| *len);
            let written = stream.write(&padded(&draft.record_bytes(), tail));
            written.map_err(|e| draft.failed("writing to", &e))?;
            None
        }
    };
    Ok(Some(Written {
        number: draft.number,
        path,
        bytes: draft.size.unwrap_or(0),
        kind: draft.kind,
        format: draft.format,
        taken: draft.taken,
        record: draft.record,
        took: start.elapsed(),
    }))
}

/// What is there of a dump is worth something when the target or the time was the cause; when the
/// disk was, it only fills the disk; a user who cancelled wants nothing.
fn is_worth_keeping(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TargetDied | ErrorKind::TimedOut)
}

/// Lets a user read a dump; a warning where they cannot.
pub(crate) fn allow(file: &platform::OutFile, uid: u32) -> Option<String> {
    let error = file.allow_reader(uid).err()?;
    Some(format!(
        "user {uid}, whose process it was, cannot read it: an access list for them failed: {error}"
    ))
}

fn finish_file(draft: &mut Draft, file: Arc<platform::OutFile>) -> Result<PathBuf> {
    let text = draft.record_bytes();
    for &(offset, len) in &draft.records {
        file.write_at(offset, &padded(&text, len))
            .map_err(|e| draft.failed("writing", &e))?;
    }
    // A partial file has its full length too, so that readers find every segment in it.
    let size = draft.size.unwrap_or(0);
    file.set_len(size)
        .map_err(|e| draft.failed("writing", &e))?;
    file.sync().map_err(|e| draft.failed("writing", &e))?;
    let partial = file.partial_path();
    drop(std::mem::replace(
        &mut draft.sink,
        Sink::Stream(Arc::default()),
    ));
    // A copying thread that hangs still has the file; then it keeps its temporary name.
    let Ok(file) = Arc::try_unwrap(file) else {
        return Ok(partial);
    };
    if draft.whole {
        file.publish()
    } else {
        Ok(file.keep_partial())
    }
}
