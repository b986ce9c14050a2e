//! Stores the kernel's own core as it comes. That is done where we cannot take a dump ourselves.

use super::{CoreHead, Request, draft::allow, names::Names, output_folder};
use crate::{
    Record,
    local_time::rfc3339,
    sparse::{CHUNK, HOLE, is_hole, read_full},
    store::{
        content::LEFT_FREE,
        keep,
        record::{SPACE, padded},
    },
};
use platform::{Error, ErrorKind, Existing, OutFile, Result};
use policy::Coming;
use snapshot::{DumpFormat, DumpKind};
use std::{
    io::{self, Read},
    path::PathBuf,
    time::Instant,
};

/// The most of the kernel's core that is kept where a mini dump was asked for, in bytes.
const MINI: u64 = 64 << 20;
/// Headers that describe more bytes than this beyond those that came are wrong.
const FARTHEST: u64 = 1 << 40;

/// Stores the head of a core and the rest of its stream, with a record behind it. `about` is the
/// record with what is known before: the reason, the process, and why there is no dump of ours.
/// Returns the path of the file.
///
/// # Errors
/// If there is no room for anything, or the file cannot be written. A core that is cut is not an
/// error: its record says so.
pub fn store_stream(
    head: &CoreHead,
    stream: &mut dyn Read,
    request: &Request,
    about: Record,
) -> Result<PathBuf> {
    let folder = output_folder(&request.destination).unwrap_or_default();
    let most = Coming {
        bytes: head.end.unwrap_or(FARTHEST).min(most(request)?),
        user: about.user,
    };
    let room = keep::make_some_room(&folder, &request.keep, most)?;
    let taken = keep::now();
    let names = Names {
        process: &about.process,
        command: &about.process,
        script: None,
        pid: about.pid,
        when: taken,
        trigger: &request.trigger,
        has_pid: request.names_pid,
        compression: None,
    };
    let path = names.path(
        &request.destination,
        DumpKind::Full,
        DumpFormat::Core,
        false,
    )?;
    let path = path.ok_or_else(|| Error::new(ErrorKind::Disk, "a crash is kept in a folder"))?;
    let file = OutFile::create(&path, Existing::NextName)?;
    let failed = |e: io::Error| Error::of_file(&format!("writing {}", path.display()), &e);
    let mut pour = Pour {
        file: &file,
        folder: &folder,
        at: 0,
        room,
        deadline: request.timeout.map(|timeout| Instant::now() + timeout),
    };
    let ended = pour.all(head, stream).map_err(failed)?;
    let len = pour.at;
    let end = head.end.unwrap_or(len);
    let mut record = Record {
        taken: rfc3339(taken),
        kind: "kernel core".to_owned(),
        method: "kernel core".to_owned(),
        complete: ended && len >= end,
        ..about
    };
    let reader = request.reader.filter(|_| record.complete);
    let warning = reader.and_then(|uid| allow(&file, uid));
    record.warnings.extend(warning);
    if !record.complete {
        let what =
            format!("this core is not whole: {len} of {end} bytes came in time and found room");
        record.warnings.insert(0, what);
    }
    // Padded, so that the number of repeats can be written into it later.
    let text = formats::trailer(&padded(&record.to_bytes(SPACE as usize), SPACE));
    // Behind what the headers describe, so that no debugger takes the record for memory.
    let behind = if end < len.saturating_add(FARTHEST) {
        len.max(end)
    } else {
        len
    };
    file.write_at(behind, &text).map_err(failed)?;
    file.sync().map_err(failed)?;
    match record.complete {
        true => file.publish(),
        false => file.keep_partial(),
    }
}

/// The most that is kept of the kernel's core, in bytes: no more than the type that was asked for means.
///
/// # Errors
/// If a triage dump was asked for: the kernel's core has what such a dump must not have.
fn most(request: &Request) -> Result<u64> {
    let largest = request.kinds.iter().map(|(kind, _)| *kind).max();
    match largest.unwrap_or_default() {
        DumpKind::Triage => {
            let what = "a triage dump could not be taken, and the kernel's core has more than one may have";
            Err(Error::new(ErrorKind::Other, what))
        }
        DumpKind::Mini => Ok(MINI),
        _ => Ok(FARTHEST),
    }
}

/// Writes a stream into a file, with holes for zeros.
struct Pour<'p> {
    file: &'p OutFile,
    folder: &'p std::path::Path,
    /// The offset in the file, in bytes.
    at: u64,
    /// How many bytes may still be written; holes take none.
    room: u64,
    deadline: Option<Instant>,
}

impl Pour<'_> {
    /// Writes the head and the stream. Returns false if the time or the room ran out first. Zeros
    /// take time too, although they take no room: a process may have terabytes of address space.
    fn all(&mut self, head: &CoreHead, stream: &mut dyn Read) -> io::Result<bool> {
        for part in head.pieces() {
            self.put(&part)?;
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            let got = match read_full(stream, &mut buffer) {
                // The kernel waits for a page of the process itself, which nobody gives.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(false),
                got => got?,
            };
            if got == 0 {
                return Ok(true);
            }
            let is_late = self.deadline.is_some_and(|end| Instant::now() > end);
            if is_late || self.room == 0 || platform::space_at(self.folder)?.free < LEFT_FREE {
                return Ok(false);
            }
            for part in buffer[..got].chunks(HOLE) {
                self.put(part)?;
            }
        }
    }

    /// Writes the next bytes, or skips them if they are all zeros.
    fn put(&mut self, part: &[u8]) -> io::Result<()> {
        let is_hole = self.at > 0 && is_hole(part);
        if !is_hole {
            self.file.write_at(self.at, part)?;
            self.room = self.room.saturating_sub(part.len() as u64);
        }
        self.at += part.len() as u64;
        Ok(())
    }
}
