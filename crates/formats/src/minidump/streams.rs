//! The streams that every minidump has: system, process, modules, regions, handles, exception.

use super::body::{Body, bytes_of, put};
use super::{modules, process_streams, windows_streams, xstate};
use crate::bytes::Put;
use minidump_common::format::{
    CPU_INFORMATION, MINIDUMP_EXCEPTION, MINIDUMP_EXCEPTION_STREAM,
    MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_MEMORY_INFO, MINIDUMP_MISC_INFO,
    MINIDUMP_STREAM_TYPE as Stream, MINIDUMP_SYSTEM_INFO, MINIDUMP_THREAD_NAME, PlatformId,
    ProcessorArchitecture, X86CpuInfo,
};
use snapshot::{
    Architecture, Detail, OperatingSystem, Process, Region, RegionKind, Snapshot, System, Thread,
};
use std::time::Duration;

/// `VER_PLATFORM_WIN32_NT` and `VER_NT_WORKSTATION` of `winnt.h` (minidump-common counts the
/// former from 1).
const WINDOWS_NT: u32 = 2;
const WORKSTATION: u8 = 1;

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
        Stream::SystemInfoStream => system_info(body, &snapshot.system),
        Stream::MiscInfoStream => body.bytes(&misc_info(snapshot)),
        Stream::ModuleListStream => modules::module_list(body, snapshot),
        Stream::ThreadNamesStream => thread_names(body, snapshot),
        Stream::ThreadInfoListStream => body.own_bytes(thread_info_list(&snapshot.threads)),
        Stream::MemoryInfoListStream => body.own_bytes(memory_info_list(&snapshot.regions)),
        Stream::SystemMemoryInfoStream => windows_streams::system_memory(body, &snapshot.system),
        Stream::UnloadedModuleListStream => {
            windows_streams::unloaded_modules(body, &snapshot.unloaded)
        }
        Stream::HandleDataStream => modules::handle_data(body, &snapshot.handles),
        other => {
            let bytes = process_streams::bytes(other, snapshot, detail);
            body.own_bytes(bytes.unwrap_or_default())
        }
    }
}

/// `MINIDUMP_SYSTEM_INFO`. On Linux the version text is that of `uname -srvm`, as in Breakpad's
/// minidumps.
fn system_info(body: &mut Body, system: &System) -> Location {
    let (platform_id, product_type, text) = match system.os {
        OperatingSystem::Windows => (WINDOWS_NT, WORKSTATION, system.version.clone()),
        OperatingSystem::Linux => (PlatformId::Linux as u32, 0, uname(system)),
    };
    let [major_version, minor_version, build_number] = version_numbers(&system.release);
    let csd_version_rva = body.string(&text);
    let (level, revision) = level_and_revision(system.cpu_signature);
    let info = MINIDUMP_SYSTEM_INFO {
        processor_architecture: processor(system.architecture) as u16,
        processor_level: level,
        processor_revision: revision,
        number_of_processors: system.cpus.min(255) as u8,
        product_type,
        major_version,
        minor_version,
        build_number,
        platform_id,
        csd_version_rva,
        suite_mask: 0,
        reserved2: 0,
        cpu: cpu_information(system),
    };
    body.bytes(&bytes_of(info))
}

fn uname(system: &System) -> String {
    let machine = match system.architecture {
        Architecture::X86 => "i686",
        Architecture::X86_64 => "x86_64",
        Architecture::Aarch64 => "aarch64",
    };
    format!("Linux {} {} {machine}", system.release, system.version)
}

fn processor(architecture: Architecture) -> ProcessorArchitecture {
    match architecture {
        Architecture::X86 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_INTEL,
        Architecture::X86_64 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_AMD64,
        Architecture::Aarch64 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_ARM64,
    }
}

/// The first three numbers of `6.18.44-generic`.
fn version_numbers(release: &str) -> [u32; 3] {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    [next(), next(), next()]
}

/// The family of an x86 processor, and its model and stepping as `0xMMSS` (Intel SDM volume 2,
/// CPUID leaf 1).
fn level_and_revision(signature: u32) -> (u16, u16) {
    let field = |shift: u32, bits: u32| (signature >> shift & ((1 << bits) - 1)) as u16;
    let (stepping, model, family) = (field(0, 4), field(4, 4), field(8, 4));
    let (more_model, more_family) = (field(16, 4), field(20, 8));
    let level = if family == 15 {
        family + more_family
    } else {
        family
    };
    (level, (more_model << 4 | model) << 8 | stepping)
}

fn cpu_information(system: &System) -> CPU_INFORMATION {
    let mut data = [0; 24];
    if system.architecture != Architecture::Aarch64 {
        let vendor = system.cpu_vendor.as_bytes();
        let mut text = [0; 12];
        text.iter_mut()
            .zip(vendor)
            .for_each(|(to, from)| *to = *from);
        let word = |n: usize| u32::from_le_bytes([text[n], text[n + 1], text[n + 2], text[n + 3]]);
        let info = X86CpuInfo {
            vendor_id: [word(0), word(4), word(8)],
            version_information: system.cpu_signature,
            feature_information: 0,
            amd_extended_cpu_features: 0,
        };
        data.copy_from_slice(&bytes_of(info));
    }
    CPU_INFORMATION { data }
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

/// `MINIDUMP_THREAD_NAME_LIST`.
fn thread_names(body: &mut Body, snapshot: &Snapshot) -> Location {
    let named = snapshot.threads.iter().filter(|t| !t.name.is_empty());
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

/// `MINIDUMP_THREAD_INFO_LIST`: times in 100 ns and start addresses.
fn thread_info_list(threads: &[Thread]) -> Vec<u8> {
    /// `STATUS_PENDING`: it has not ended.
    const STILL_ACTIVE: u32 = 0x103;
    let mut out = Vec::with_capacity(12 + 64 * threads.len());
    [12, 64, threads.len() as u32]
        .into_iter()
        .for_each(|word| out.u32(word));
    for thread in threads {
        let time = |time: Duration| (time.as_nanos() / 100) as u64;
        // Id, flags, error, exit status.
        [thread.id, 0, 0, STILL_ACTIVE]
            .into_iter()
            .for_each(|word| out.u32(word));
        let (kernel, user) = (time(thread.kernel_time), time(thread.user_time));
        // Its begin (not known), its end, times, start address, affinity (not known).
        [0, 0, kernel, user, thread.start_address, 0]
            .into_iter()
            .for_each(|word| out.u64(word));
    }
    out
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
