//! A snapshot from the streams of a minidump of another program.

mod handles;
mod process;
mod space;
mod threads;

use super::{file::File, names};
use crate::memory::FileMemory;
use minidump::system_info::Os;
use minidump::{MinidumpException, MinidumpSystemInfo};
use minidump_common::format::{MINIDUMP_STREAM_TYPE as Stream, MINIDUMP_SYSTEM_INFO};
use snapshot::{
    Exception, ForeignSystem, OperatingSystem, Snapshot, System, Told, WallTime, Warning,
};

pub(super) fn snapshot(
    minidump: &File<'_>,
    memory: &FileMemory,
    warnings: &mut Vec<Warning>,
) -> Snapshot {
    let system = system(minidump, warnings);
    warnings.extend(names::not_read(minidump));
    let mut modules = space::modules(minidump, memory);
    // The first one is the program's, whatever its address.
    let process = process::process(minidump, modules.first(), system.architecture);
    modules.sort_by_key(|module| module.range.start);
    let mut threads = threads::threads(minidump, system.architecture);
    let exception = exception(minidump, system.os);
    let regions = space::regions(minidump, &memory.ranges(), &modules, &threads);
    let fault = exception.as_ref().map(|(exception, _)| exception.thread);
    if let Some(thread) = threads.iter_mut().find(|t| Some(t.id) == fault) {
        // Where the fault was, rather than in the handler that wrote the dump.
        let context = exception.as_ref().and_then(|(_, context)| *context);
        threads::set_context(thread, system.architecture, context);
    }
    threads.sort_by_key(|thread| Some(thread.id) != fault);
    Snapshot {
        taken: WallTime(i64::from(minidump.header.time_date_stamp) * 1_000_000_000),
        process,
        system,
        threads,
        modules,
        unloaded: space::unloaded(minidump),
        function_tables: vec![],
        regions,
        handles: handles::handles(minidump, warnings),
        exception: exception.map(|(exception, _)| exception),
    }
}

fn system(minidump: &File<'_>, warnings: &mut Vec<Warning>) -> System {
    let Ok(info) = minidump.get_stream::<MinidumpSystemInfo>() else {
        warnings.push("no system information: processor and registers are not known".to_owned());
        return System {
            os: OperatingSystem::Foreign(ForeignSystem::Unknown),
            ..System::default()
        };
    };
    let os = operating_system(info.os);
    let csd = info.csd_version().unwrap_or_default().into_owned();
    let raw = &info.raw;
    let (release, version) = match os {
        OperatingSystem::Linux if csd.starts_with("Linux ") => uname(&csd),
        _ => (numbers(raw), csd),
    };
    let distribution = match info.os {
        Os::Android => "Android",
        _ => "",
    };
    System {
        os,
        architecture: minidump.architecture().unwrap_or_default(),
        release,
        version,
        distribution: distribution.to_owned(),
        cpu_vendor: vendor(&raw.cpu.data),
        product_type: raw.product_type.into(),
        suites: raw.suite_mask.into(),
        cpus: raw.number_of_processors.into(),
        page_size: 4096,
        ..System::default()
    }
}

fn operating_system(told: Os) -> OperatingSystem {
    OperatingSystem::Foreign(match told {
        Os::Windows => return OperatingSystem::Windows,
        Os::Linux | Os::Android => return OperatingSystem::Linux,
        Os::MacOs => ForeignSystem::MacOs,
        Os::Ios => ForeignSystem::Ios,
        Os::Solaris => ForeignSystem::Solaris,
        _ => ForeignSystem::Unknown,
    })
}

/// `10.13.2`; empty if it is not told.
fn numbers(raw: &MINIDUMP_SYSTEM_INFO) -> String {
    let numbers = [raw.major_version, raw.minor_version, raw.build_number];
    match numbers {
        [0, 0, 0] => String::new(),
        _ => numbers.map(|number| number.to_string()).join("."),
    }
}

/// Release and version from `Linux RELEASE VERSION… MACHINE`.
fn uname(text: &str) -> (String, String) {
    let mut words = text.splitn(3, ' ');
    let (_system, release, rest) = (words.next(), words.next(), words.next());
    let version = rest.and_then(|rest| rest.rsplit_once(' ')).map(|(v, _)| v);
    (
        release.unwrap_or_default().to_owned(),
        version.unwrap_or_default().to_owned(),
    )
}

/// The vendor of an x86 processor, `GenuineIntel`.
fn vendor(cpu_information: &[u8; 24]) -> String {
    let text = &cpu_information[..12];
    let readable = text.iter().all(u8::is_ascii_graphic);
    String::from_utf8_lossy(if readable { text } else { &[] }).into_owned()
}

/// The exception, and the bytes of its thread's context. `None` if there is no exception.
fn exception<'a>(
    minidump: &'a File<'_>,
    os: OperatingSystem,
) -> Option<(Exception, Option<&'a [u8]>)> {
    let stream = minidump.get_stream::<MinidumpException<'_>>().ok()?;
    let record = &stream.raw.exception_record;
    let count = record.number_parameters.min(15) as usize;
    let parameters = match os {
        OperatingSystem::Windows => &record.exception_information[..count],
        _ => &[],
    };
    let exception = Exception {
        thread: stream.raw.thread_id,
        code: record.exception_code,
        flags: record.exception_flags,
        address: minidump.address(record.exception_address),
        parameters: parameters.iter().map(|p| minidump.address(*p)).collect(),
        told: told(minidump, os, record.exception_flags),
        ..Exception::default()
    };
    Some((
        exception,
        threads::part(minidump, stream.raw.thread_context),
    ))
}

/// Breakpad has `si_code` in the flags since 2018, and left them 0 before. The code 0, by which it would say that a program
/// sent the signal, is not told from that. Crashpad has always had it.
fn told(minidump: &File<'_>, os: OperatingSystem, flags: u32) -> Told {
    let is_of_crashpad = minidump
        .get_raw_stream(Stream::CrashpadInfoStream as u32)
        .is_ok();
    match os {
        OperatingSystem::Linux if flags == 0 && !is_of_crashpad => Told::NoReason,
        _ => Told::All,
    }
}
