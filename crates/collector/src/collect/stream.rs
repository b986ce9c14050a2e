//! The kernel's own core, kept as it comes: what is left when a dump of our own cannot be had.

use super::{CoreHead, Names, Request, finish::allow, names::output_folder};
use crate::Record;
use crate::local_time::rfc3339;
use crate::store::{keep, record::padded};
use platform::{Error, ErrorKind, OutFile, Result};
use snapshot::{DumpFormat, DumpKind};
use std::{
    io::{self, Read},
    path::PathBuf,
    time::Instant,
};

const CHUNK: usize = 1 << 20;
/// Zeros of this length and place become a hole.
const HOLE: usize = 64 << 10;
/// The disk is never filled beyond this.
const LEFT_FREE: u64 = 64 << 20;

/// Stores what was read of a core and what still comes, with a record behind it. `about` is the
/// record as far as it is known: whose crash it was, and why this is what there is of it.
pub fn store_stream(
    head: &CoreHead,
    stream: &mut dyn Read,
    request: &Request,
    about: Record,
) -> Result<PathBuf> {
    let folder = output_folder(&request.destination).unwrap_or_default();
    keep::make_room(&folder, &request.keep, LEFT_FREE)?;
    let taken = keep::now();
    let names = Names {
        process: &about.process,
        pid: about.pid,
        when: taken,
        exception: None,
        trigger: &about.reason,
    };
    let path = names.path(
        &request.destination,
        DumpKind::Full,
        DumpFormat::Core,
        false,
    )?;
    let path = path.ok_or_else(|| Error::new(ErrorKind::Disk, "a crash is kept in a folder"))?;
    let file = OutFile::create(&path, false)?;
    let failed = |e: io::Error| Error::of_file(&format!("writing {}", path.display()), &e);
    let mut pour = Pour {
        file: &file,
        folder: &folder,
        at: 0,
        deadline: request.timeout.map(|timeout| Instant::now() + timeout),
    };
    let ended = pour.all(head, stream).map_err(failed)?;
    let len = pour.at;
    let end = head.end.unwrap_or(len);
    let mut record = Record {
        producer: concat!("firstchance ", env!("CARGO_PKG_VERSION")).to_owned(),
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
    // With room to tell repeats later.
    let space = crate::store::record::SPACE;
    let text = formats::trailer(&padded(&record.to_bytes(space as usize), space));
    // Behind what the headers describe: no debugger may take the record for memory.
    let behind = if end < len.saturating_add(FARTHEST) {
        len.max(end)
    } else {
        len
    };
    file.write_at(behind, &text).map_err(failed)?;
    file.sync().map_err(failed)?;
    match record.complete {
        true => file.publish(),
        false => Ok(file.keep_partial()),
    }
}

/// Headers that promise more than this beyond what came lie.
const FARTHEST: u64 = 1 << 40;

struct Pour<'p> {
    file: &'p OutFile,
    folder: &'p std::path::Path,
    at: u64,
    deadline: Option<Instant>,
}

impl Pour<'_> {
    /// Whether all of it came in time and found room. Zeros cost no room, but time: a process may
    /// have terabytes of address space.
    fn all(&mut self, head: &CoreHead, stream: &mut dyn Read) -> io::Result<bool> {
        for part in head.pieces() {
            self.put(&part)?;
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            let got = read_full(stream, &mut buffer)?;
            if got == 0 {
                return Ok(true);
            }
            let is_late = self.deadline.is_some_and(|end| Instant::now() > end);
            if is_late || platform::space_at(self.folder)?.free < LEFT_FREE {
                return Ok(false);
            }
            for part in buffer[..got].chunks(HOLE) {
                self.put(part)?;
            }
        }
    }

    fn put(&mut self, part: &[u8]) -> io::Result<()> {
        let is_hole = self.at > 0 && part.iter().all(|&byte| byte == 0);
        if !is_hole {
            self.file.write_at(self.at, part)?;
        }
        self.at += part.len() as u64;
        Ok(())
    }
}

fn read_full(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match stream.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
