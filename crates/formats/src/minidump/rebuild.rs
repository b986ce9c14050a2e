//! A snapshot from the streams of a minidump of another program.

mod handles;
mod process;
mod space;
mod threads;

use super::{file::File, names};
use minidump::system_info::Os;
use minidump::{MinidumpException, MinidumpSystemInfo};
use minidump_common::format::ProcessorArchitecture as Processor;
use snapshot::{
    Architecture, Exception, OperatingSystem, Range, Snapshot, System, WallTime, Warning,
};

pub(super) fn snapshot(
    minidump: &File<'_>,
    there: &[Range],
    warnings: &mut Vec<Warning>,
) -> Snapshot {
    let system = system(minidump, warnings);
    warnings.extend(names::not_read(minidump));
    let mut modules = space::modules(minidump);
    // The first one is the program's, whatever its address.
    let process = process::process(minidump, modules.first());
    modules.sort_by_key(|module| module.range.start);
    let mut threads = threads::threads(minidump, system.architecture);
    let exception = exception(minidump, system.os);
    let regions = space::regions(minidump, there, &modules, &threads);
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
        return System::default();
    };
    let os = match info.os {
        Os::Windows => OperatingSystem::Windows,
        _ => OperatingSystem::Linux,
    };
    let csd = info.csd_version().unwrap_or_default().into_owned();
    let (release, version) = match os {
        OperatingSystem::Linux => uname(&csd),
        OperatingSystem::Windows => (
            format!(
                "{}.{}.{}",
                info.raw.major_version, info.raw.minor_version, info.raw.build_number
            ),
            csd,
        ),
    };
    System {
        os,
        architecture: architecture(info.raw.processor_architecture, warnings),
        release,
        version,
        cpu_vendor: vendor(&info.raw.cpu.data),
        product_type: info.raw.product_type.into(),
        suites: info.raw.suite_mask.into(),
        cpus: info.raw.number_of_processors.into(),
        page_size: 4096,
        ..System::default()
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

fn architecture(raw: u16, warnings: &mut Vec<Warning>) -> Architecture {
    const INTEL: u16 = Processor::PROCESSOR_ARCHITECTURE_INTEL as u16;
    const WOW64: u16 = Processor::PROCESSOR_ARCHITECTURE_IA32_ON_WIN64 as u16;
    const AMD64: u16 = Processor::PROCESSOR_ARCHITECTURE_AMD64 as u16;
    const ARM64: u16 = Processor::PROCESSOR_ARCHITECTURE_ARM64 as u16;
    match raw {
        INTEL | WOW64 => Architecture::X86,
        AMD64 => Architecture::X86_64,
        ARM64 => Architecture::Aarch64,
        other => {
            warnings.push(format!("processor {other} is not supported: no registers"));
            Architecture::default()
        }
    }
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
        OperatingSystem::Windows => record.exception_information[..count].to_vec(),
        OperatingSystem::Linux => vec![],
    };
    let exception = Exception {
        thread: stream.raw.thread_id,
        code: record.exception_code,
        flags: record.exception_flags,
        address: record.exception_address,
        parameters,
        ..Exception::default()
    };
    Some((
        exception,
        threads::part(minidump, stream.raw.thread_context),
    ))
}
