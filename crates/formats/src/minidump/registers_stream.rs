//! Our own stream with the extended registers of the threads: a `CONTEXT` has no more of them than
//! AVX.
//!
//! ```text
//! stream = entry...
//! entry  = thread id, length of its registers, number of runs, run...
//! run    = offset in the registers, length, bytes; what is in no run is zeros
//! ```
//!
//! Numbers have 4 bytes. The registers are those of `snapshot::Thread::extended`.

use super::body::Body;
use crate::LazyRegisters;
use crate::bytes::{Put, Take};
use minidump_common::format::MINIDUMP_LOCATION_DESCRIPTOR as Location;
use snapshot::{Detail, Snapshot, SparseBytes, Thread};

/// Appends the stream, with what `detail` tells.
pub(super) fn write(body: &mut Body, snapshot: &Snapshot, detail: Detail) -> Location {
    let start = body.aligned(8);
    for thread in &snapshot.threads {
        let extended = thread.extended_for(detail);
        if !extended.is_empty() {
            let id = thread.id;
            let form = move |extended: &SparseBytes| entry(id, extended);
            body.pieces.registers(LazyRegisters::new(&extended, form));
        }
    }
    Location {
        data_size: (body.next() - start) as u32,
        rva: start as u32,
    }
}

/// The entry of a thread.
fn entry(thread: u32, extended: &SparseBytes) -> Vec<u8> {
    let extended = extended.in_memory();
    let mut out = Vec::new();
    for word in [thread as usize, extended.len(), extended.runs().count()] {
        out.u32(word as u32);
    }
    for (offset, run) in extended.runs() {
        out.u32(offset as u32);
        out.u32(run.len() as u32);
        out.put(run);
    }
    out
}

/// Gives the threads the registers that the stream tells, as far as it is whole.
pub(super) fn read(stream: &[u8], threads: &mut [Thread]) {
    let by_id = threads.iter().enumerate().map(|(at, t)| (t.id, at));
    let by_id: std::collections::HashMap<u32, usize> = by_id.collect();
    let mut rest = Take(stream);
    while let Some((id, extended)) = take_entry(&mut rest) {
        if let Some(&at) = by_id.get(&id) {
            threads[at].extended = extended;
        }
    }
}

/// The extended registers of a thread at most, in bytes. Today's largest are 11,024.
const LARGEST: usize = 64 << 10;

fn take_entry(rest: &mut Take<'_>) -> Option<(u32, SparseBytes)> {
    let (id, length, runs) = (rest.u32()?, rest.u32()? as usize, rest.u32()?);
    let mut all = vec![0; length.min(LARGEST)];
    for _ in 0..runs {
        let (offset, size) = (rest.u32()? as usize, rest.u32()? as usize);
        let run = rest.bytes(size)?;
        let place = all.get_mut(offset..offset.checked_add(size)?)?;
        place.copy_from_slice(run);
    }
    Some((id, SparseBytes::new(&all)))
}
