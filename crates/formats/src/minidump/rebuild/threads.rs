//! The threads, by the list of threads, the list of names, and the list of times of Windows.

use crate::minidump::{context, file::File, names};
use minidump::{MinidumpThreadInfoList, MinidumpThreadList, MinidumpThreadNames};
use minidump_common::format::{
    MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_STREAM_TYPE as Stream,
};
use snapshot::{Architecture, Thread, WallTime};
use std::time::Duration;

pub(super) fn threads(minidump: &File<'_>, architecture: Architecture) -> Vec<Thread> {
    let Ok(list) = minidump.get_stream::<MinidumpThreadList<'_>>() else {
        return vec![];
    };
    let names = names::fit(minidump, Stream::ThreadNamesStream)
        .then(|| minidump.get_stream::<MinidumpThreadNames>().ok());
    let names = names.flatten().unwrap_or_default();
    let info = minidump.get_stream::<MinidumpThreadInfoList>().ok();
    let thread = |raw: &minidump::MinidumpThread<'_>| {
        let raw = &raw.raw;
        let name = names.get_name(raw.thread_id).unwrap_or_default();
        let mut thread = Thread {
            id: raw.thread_id,
            name: name.into_owned(),
            letter: ' ',
            priority: raw.priority as i32,
            teb: raw.teb,
            ..Thread::default()
        };
        set_context(
            &mut thread,
            architecture,
            part(minidump, raw.thread_context),
        );
        if let Some(info) = info.as_ref().and_then(|i| i.get_thread_info(raw.thread_id)) {
            thread.user_time = ticks(info.raw.user_time);
            thread.kernel_time = ticks(info.raw.kernel_time);
            thread.start_address = info.raw.start_address;
            thread.began = WallTime::from_filetime(info.raw.create_time);
            thread.ended = WallTime::from_filetime(info.raw.exit_time);
            thread.exit_code = info.raw.exit_status;
            thread.affinity = info.raw.affinity;
        }
        thread
    };
    list.threads.iter().map(thread).collect()
}

/// Sets the thread's registers to those in `bytes`, if there are any.
pub(super) fn set_context(thread: &mut Thread, architecture: Architecture, bytes: Option<&[u8]>) {
    if let Some((registers, extended)) = bytes.and_then(|b| context::read(architecture, b)) {
        thread.registers = Some(registers);
        thread.extended = extended;
    }
}

/// A part of the file; `None` if the file does not have all of it.
pub(super) fn part<'a>(minidump: &'a File<'_>, place: Location) -> Option<&'a [u8]> {
    let start = place.rva as usize;
    let end = start.checked_add(place.data_size as usize)?;
    minidump
        .bytes
        .get(start..end)
        .filter(|part| !part.is_empty())
}

/// A duration in units of 100 ns.
fn ticks(count: u64) -> Duration {
    Duration::from_nanos(count.saturating_mul(100))
}
