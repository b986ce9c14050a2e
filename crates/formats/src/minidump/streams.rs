//! The streams that every minidump has: system, process, modules, regions, handles, exception.

use super::body::{Body, bytes_of, put};
use super::{modules, process_streams, system_info, thread_streams, windows_streams, xstate};
use crate::bytes::Put;
use minidump_common::format::{
    MINIDUMP_EXCEPTION, MINIDUMP_EXCEPTION_STREAM, MINIDUMP_LOCATION_DESCRIPTOR as Location,
    MINIDUMP_MEMORY_INFO, MINIDUMP_MISC_INFO, MINIDUMP_STREAM_TYPE as Stream,
};
use snapshot::{Architecture, Detail, OperatingSystem, Process, Region, RegionKind, Snapshot};

/// The streams that do not depend on others, in the order of the file.
pub(super) fn wanted(snapshot: &Snapshot, detail: Detail) -> Vec<Stream> {
    let mut wanted = vec![Stream::SystemInfoStream, Stream::MiscInfoStream];
    if snapshot.system.os == OperatingSystem::Linux {
        wanted.extend(process_streams::wanted(snapshot, detail));
    }
    wanted.push(Stream::ModuleListStream);
    wanted.push(Stream::ThreadNamesStream);
    if snapshot.system.os == OperatingSystem::Windows {
        wanted.push(Stream::ThreadInfoListStream);
        wanted.push(Stream::SystemMemoryInfoStream);
    }
    if !snapshot.unloaded.is_empty() {
        wanted.push(Stream::UnloadedModuleListStream);
    }
    if !snapshot.function_tables.is_empty() {
        wanted.push(Stream::FunctionTable);
    }
    wanted.push(Stream::MemoryInfoListStream);
    if detail == Detail::All && !snapshot.handles.is_empty() {
        wanted.push(Stream::HandleDataStream);
    }
    wanted
}

/// Appends a stream; returns its place.
pub(super) fn write(
    kind: Stream,
    body: &mut Body,
    snapshot: &Snapshot,
    detail: Detail,
) -> Location {
    match kind {
        Stream::SystemInfoStream => system_info::write(body, &snapshot.system),
        Stream::MiscInfoStream => body.bytes(&misc_info(snapshot)),
        Stream::ModuleListStream => modules::module_list(body, snapshot),
        Stream::ThreadNamesStream => thread_streams::names(body, &snapshot.threads),
        Stream::ThreadInfoListStream => body.own_bytes(thread_streams::infos(&snapshot.threads)),
        Stream::MemoryInfoListStream => body.own_bytes(memory_info_list(&snapshot.regions)),
        Stream::SystemMemoryInfoStream => windows_streams::system_memory(body, &snapshot.system),
        Stream::UnloadedModuleListStream => {
            windows_streams::unloaded_modules(body, &snapshot.unloaded)
        }
        Stream::FunctionTable => {
            body.own_bytes(windows_streams::function_tables(&snapshot.function_tables))
        }
        Stream::HandleDataStream => modules::handle_data(body, &snapshot.handles),
        other => {
            let bytes = process_streams::bytes(other, snapshot, detail);
            body.own_bytes(bytes.unwrap_or_default())
        }
    }
}

/// `MINIDUMP_MISC_INFO`: pid, and times in seconds. If contexts hold more than `CONTEXT` it is a
/// `MINIDUMP_MISC_INFO_5`, which describes that.
fn misc_info(snapshot: &Snapshot) -> Vec<u8> {
    /// The offset of that description, and the size of the whole structure, in bytes.
    const XSTATE: usize = 832;
    const SIZE: u32 = 1364;
    let mut info = plain_misc_info(&snapshot.process);
    if snapshot.system.architecture != Architecture::X86_64 {
        return bytes_of(info);
    }
    info.size_of_info = SIZE;
    let mut out = bytes_of(info);
    out.resize(XSTATE, 0);
    out.put(&xstate::description());
    out.resize(SIZE as usize, 0);
    out
}

fn plain_misc_info(process: &Process) -> MINIDUMP_MISC_INFO {
    const PROCESS_ID: u32 = 1;
    const PROCESS_TIMES: u32 = 2;
    MINIDUMP_MISC_INFO {
        size_of_info: 24,
        flags1: PROCESS_ID | PROCESS_TIMES,
        process_id: process.key.pid,
        process_create_time: process.started.seconds() as u32,
        process_user_time: process.user_time.as_secs() as u32,
        process_kernel_time: process.kernel_time.as_secs() as u32,
    }
}

/// `MINIDUMP_MEMORY_INFO_LIST`.
fn memory_info_list(regions: &[Region]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 48 * regions.len());
    out.u32(16);
    out.u32(48);
    out.u64(regions.len() as u64);
    regions
        .iter()
        .for_each(|region| put(&mut out, memory_info(region)));
    out
}

/// State, protection and type of a region in the terms of Windows; on Linux, what is nearest to
/// them.
fn memory_info(region: &Region) -> MINIDUMP_MEMORY_INFO {
    let [state, protection, kind, allocation_protection] = match region.windows {
        [0, ..] => like_windows(region),
        told => told,
    };
    MINIDUMP_MEMORY_INFO {
        base_address: region.range.start,
        allocation_base: match region.allocation_base {
            0 => region.range.start,
            base => base,
        },
        allocation_protection,
        __alignment1: 0,
        region_size: region.range.len(),
        state,
        protection,
        _type: kind,
        __alignment2: 0,
    }
}

/// `MEM_COMMIT`, a `PAGE_…` and a `MEM_…` constant (winnt.h).
fn like_windows(region: &Region) -> [u32; 4] {
    let p = region.protection;
    let protection = match (p.read, p.write, p.execute) {
        (false, false, false) => 0x01,
        (true, false, false) => 0x02,
        (_, true, false) => 0x04,
        (false, false, true) => 0x10,
        (true, false, true) => 0x20,
        (_, true, true) => 0x40,
    };
    let kind = match region.kind {
        RegionKind::Image => 0x0100_0000,
        RegionKind::Mapped => 0x0004_0000,
        _ => 0x0002_0000,
    };
    [0x1000, protection, kind, protection]
}

/// `MINIDUMP_EXCEPTION_STREAM`, if there is an exception. On Linux the code is the signal, the
/// flags are `si_code`, and the address is `si_addr`, as in Breakpad's minidumps.
pub(super) fn exception(
    body: &mut Body,
    snapshot: &Snapshot,
    contexts: &[Location],
) -> Option<Location> {
    let exception = snapshot.exception.as_ref()?;
    let thread = snapshot
        .threads
        .iter()
        .position(|t| t.id == exception.thread);
    let mut record = MINIDUMP_EXCEPTION {
        exception_code: exception.code,
        exception_flags: exception.flags,
        exception_address: exception.address,
        number_parameters: exception.parameters.len().min(15) as u32,
        ..MINIDUMP_EXCEPTION::default()
    };
    let slots = record.exception_information.iter_mut();
    slots
        .zip(&exception.parameters)
        .for_each(|(to, from)| *to = *from);
    let stream = MINIDUMP_EXCEPTION_STREAM {
        thread_id: exception.thread,
        __align: 0,
        exception_record: record,
        thread_context: thread.map(|n| contexts[n]).unwrap_or_default(),
    };
    Some(body.bytes(&bytes_of(stream)))
}
