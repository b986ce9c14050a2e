//! Facts about the machine and its Windows.

use super::sys::{check, narrow, wide, wine_version};
use crate::{ARCHITECTURE, OS};
use snapshot::System;
use std::{
    arch::x86_64::{__cpuid, CpuidResult},
    mem::zeroed,
    time::Duration,
};
use windows_sys::{
    Wdk::System::SystemServices::RtlGetVersion,
    Win32::System::{
        Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RRF_RT_REG_SZ, RegGetValueW},
        SystemInformation::{
            ComputerNamePhysicalDnsHostname, GetComputerNameExW, GetNativeSystemInfo,
            GetTickCount64, GlobalMemoryStatusEx, MEMORYSTATUSEX, OSVERSIONINFOEXW, SYSTEM_INFO,
        },
        Threading::{ALL_PROCESSOR_GROUPS, GetActiveProcessorCount, IsProcessorFeaturePresent},
    },
};

const CURRENT_VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";

/// How many features `IsProcessorFeaturePresent` is asked for: so many fit into a minidump.
const MOST_FEATURES: u32 = 128;

/// Returns facts about this machine.
pub(crate) fn system() -> System {
    let version = version();
    let memory = memory();
    // SAFETY: zeros are valid for the structure, which the call fills; the other calls take plain
    // numbers.
    let (info, uptime, cpus) = unsafe {
        let mut info: SYSTEM_INFO = zeroed();
        GetNativeSystemInfo(&raw mut info);
        (
            info,
            GetTickCount64(),
            GetActiveProcessorCount(ALL_PROCESSOR_GROUPS),
        )
    };
    System {
        os: OS,
        architecture: ARCHITECTURE,
        release: release(&version),
        version: narrow(&version.szCSDVersion),
        distribution: distribution(),
        host: host_name(),
        cpu_vendor: cpu_vendor(),
        cpu_model: cpu_model(),
        // Every 64-bit processor has CPUID.
        cpu_signature: __cpuid(1).eax,
        cpu_features: (__cpuid(1).edx, extended_features()),
        processor_features: processor_features(),
        product_type: version.wProductType.into(),
        suites: version.wSuiteMask.into(),
        // Wine 10 says one for all groups, however many there are.
        cpus: cpus.max(info.dwNumberOfProcessors).max(1),
        page_size: info.dwPageSize.into(),
        memory_total: memory.ullTotalPhys,
        memory_available: memory.ullAvailPhys,
        uptime: Duration::from_millis(uptime),
    }
}

/// Returns the version as in `10.0.19045.3803`: what `RtlGetVersion` tells, which tells every
/// program the truth, and the number of the update.
fn release(version: &OSVERSIONINFOEXW) -> String {
    let numbers = format!(
        "{}.{}.{}",
        version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber
    );
    match number_in_registry(CURRENT_VERSION, "UBR") {
        Some(update) => format!("{numbers}.{update}"),
        None => numbers,
    }
}

fn version() -> OSVERSIONINFOEXW {
    let mut version = OSVERSIONINFOEXW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOEXW>() as u32,
        ..OSVERSIONINFOEXW::default()
    };
    // SAFETY: a structure that says its size, by which the call knows which of the two it is.
    unsafe { RtlGetVersion((&raw mut version).cast()) };
    version
}

fn extended_features() -> u32 {
    const LEAF: u32 = 0x8000_0001;
    match __cpuid(0x8000_0000).eax {
        LEAF.. => __cpuid(LEAF).edx,
        _ => 0,
    }
}

/// Returns a bit for each feature that the processor has.
fn processor_features() -> (u64, u64) {
    // SAFETY: the call takes a plain number.
    let has = |feature| unsafe { IsProcessorFeaturePresent(feature) != 0 };
    let features = (0..MOST_FEATURES).filter(|feature| has(*feature));
    let bits = features.fold(0u128, |bits, feature| bits | 1 << feature);
    (bits as u64, (bits >> 64) as u64)
}

fn memory() -> MEMORYSTATUSEX {
    let mut memory = MEMORYSTATUSEX {
        dwLength: size_of::<MEMORYSTATUSEX>() as u32,
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: a structure that says its size.
    unsafe { GlobalMemoryStatusEx(&raw mut memory) };
    memory
}

/// Returns the name of the product as in `Windows 10 Pro 22H2`, with Wine's version if this is
/// Wine.
fn distribution() -> String {
    let value = |name| text_in_registry(CURRENT_VERSION, name).unwrap_or_default();
    let product = value("ProductName");
    let edition = format!("{product} {}", value("DisplayVersion"));
    match wine_version() {
        Some(wine) => format!("Wine {wine} ({})", product.trim()),
        None => edition.trim().to_owned(),
    }
}

fn host_name() -> String {
    let mut name = [0u16; 256];
    let mut size = name.len() as u32;
    let kind = ComputerNamePhysicalDnsHostname;
    // SAFETY: a buffer with its size.
    let told = check(unsafe { GetComputerNameExW(kind, name.as_mut_ptr(), &raw mut size) });
    told.map_or(String::new(), |()| narrow(&name))
}

fn cpu_vendor() -> String {
    let leaf = __cpuid(0);
    ascii(&[leaf.ebx, leaf.edx, leaf.ecx])
}

fn cpu_model() -> String {
    let words = |leaf: CpuidResult| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx];
    if __cpuid(0x8000_0000).eax < 0x8000_0004 {
        return String::new();
    }
    let all: Vec<u32> = (0x8000_0002..=0x8000_0004)
        .flat_map(|leaf| words(__cpuid(leaf)))
        .collect();
    ascii(&all)
}

fn ascii(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_matches(['\0', ' ']).to_owned()
}

/// Reads a text below HKEY_LOCAL_MACHINE.
pub(crate) fn text_in_registry(key: &str, name: &str) -> Option<String> {
    let mut text = [0u16; 1024];
    let mut size = size_of_val(&text) as u32;
    let (key, name) = (wide(key), wide(name));
    // SAFETY: the names end with a NUL; a buffer with its size in bytes.
    let status = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_REG_SZ,
            std::ptr::null_mut(),
            text.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    (status == 0).then(|| narrow(&text))
}

fn number_in_registry(key: &str, name: &str) -> Option<u32> {
    let mut number = 0u32;
    let mut size = size_of::<u32>() as u32;
    let (key, name) = (wide(key), wide(name));
    // SAFETY: the names end with a NUL; a live local with its size in bytes.
    let status = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_REG_DWORD,
            std::ptr::null_mut(),
            (&raw mut number).cast(),
            &raw mut size,
        )
    };
    (status == 0).then_some(number)
}
