//! The streams about threads that need no registers: their names, and what Windows knows of them.

use super::body::{Body, put};
use crate::bytes::Put;
use minidump_common::format::{
    MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_THREAD_INFO, MINIDUMP_THREAD_NAME,
};
use scroll::{LE, ctx::SizeWith};
use snapshot::{Thread, WallTime};
use std::time::Duration;

/// `MINIDUMP_THREAD_INFO_…` flags (`minidumpapiset.h`): it has ended; it has no context.
const EXITED_THREAD: u32 = 0x4;
const INVALID_CONTEXT: u32 = 0x10;

/// Appends `MINIDUMP_THREAD_NAME_LIST`.
pub(super) fn names(body: &mut Body, threads: &[Thread]) -> Location {
    let named = threads.iter().filter(|t| !t.name.is_empty());
    let mut out = vec![0; 4];
    let mut count = 0u32;
    for thread in named {
        let entry = MINIDUMP_THREAD_NAME {
            thread_id: thread.id,
            thread_name_rva: body.string(&thread.name).into(),
        };
        put(&mut out, entry);
        count += 1;
    }
    out[..4].copy_from_slice(&count.to_le_bytes());
    body.bytes(&out)
}

/// `MINIDUMP_THREAD_INFO_LIST`: when each thread began and ended, its times, where it began, and
/// where it may run.
pub(super) fn infos(threads: &[Thread]) -> Vec<u8> {
    let size = MINIDUMP_THREAD_INFO::size_with(&LE);
    let mut out = Vec::with_capacity(12 + size * threads.len());
    [12, size as u32, threads.len() as u32]
        .into_iter()
        .for_each(|word| out.u32(word));
    threads
        .iter()
        .for_each(|thread| put(&mut out, info(thread)));
    out
}

fn info(thread: &Thread) -> MINIDUMP_THREAD_INFO {
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    let ticks = |time: Duration| (time.as_nanos() / 100) as u64;
    MINIDUMP_THREAD_INFO {
        thread_id: thread.id,
        dump_flags: flag(EXITED_THREAD, thread.ended != WallTime::default())
            | flag(INVALID_CONTEXT, thread.registers.is_none()),
        dump_error: 0,
        exit_status: thread.exit_code,
        create_time: thread.began.filetime(),
        exit_time: thread.ended.filetime(),
        kernel_time: ticks(thread.kernel_time),
        user_time: ticks(thread.user_time),
        start_address: thread.start_address,
        affinity: thread.affinity,
    }
}
