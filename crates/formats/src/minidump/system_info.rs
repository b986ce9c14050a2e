//! The stream about the machine and its processor.

use super::body::{Body, bytes_of};
use minidump_common::format::{
    CPU_INFORMATION, MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_SYSTEM_INFO, OtherCpuInfo,
    PlatformId, ProcessorArchitecture, X86CpuInfo,
};
use snapshot::{Architecture, ForeignSystem, OperatingSystem, System};

/// `VER_PLATFORM_WIN32_NT` of `winnt.h` (minidump-common counts it from 1).
const WINDOWS_NT: u32 = 2;

/// `MINIDUMP_SYSTEM_INFO`. On Linux the version text is that of `uname -srvm`, as in Breakpad's
/// minidumps.
pub(super) fn write(body: &mut Body, system: &System) -> Location {
    let (platform_id, product_type, text) = match system.os {
        OperatingSystem::Windows => (
            WINDOWS_NT,
            system.product_type as u8,
            system.version.clone(),
        ),
        OperatingSystem::Linux => (PlatformId::Linux as u32, 0, uname(system)),
        OperatingSystem::Foreign(other) => (foreign(other), 0, system.version.clone()),
    };
    let [major_version, minor_version, build_number] = version_numbers(&system.release);
    let csd_version_rva = body.string(&text);
    let (level, revision) = level_and_revision(system.cpu_signature);
    let info = MINIDUMP_SYSTEM_INFO {
        processor_architecture: processor(system.architecture),
        processor_level: level,
        processor_revision: revision,
        number_of_processors: system.cpus.min(255) as u8,
        product_type,
        major_version,
        minor_version,
        build_number,
        platform_id,
        csd_version_rva,
        suite_mask: system.suites as u16,
        reserved2: 0,
        cpu: cpu_information(system),
    };
    body.bytes(&bytes_of(info))
}

/// Breakpad's number of the system; it has none for the BSDs.
fn foreign(system: ForeignSystem) -> u32 {
    let platform = match system {
        ForeignSystem::MacOs => PlatformId::MacOs,
        ForeignSystem::Ios => PlatformId::Ios,
        ForeignSystem::Solaris => PlatformId::Solaris,
        _ => PlatformId::Unix,
    };
    platform as u32
}

fn uname(system: &System) -> String {
    let machine = match system.architecture {
        Architecture::X86 => "i686",
        Architecture::X86_64 | Architecture::X32 => "x86_64",
        Architecture::Arm => "armv7l",
        Architecture::Aarch64 => "aarch64",
        Architecture::RiscV64 => "riscv64",
    };
    format!("Linux {} {} {machine}", system.release, system.version)
}

/// Breakpad's number of 64-bit RISC-V, which minidump-common (0.27) does not have.
pub(super) const RISCV64: u16 = 0x8006;

fn processor(architecture: Architecture) -> u16 {
    let known = match architecture {
        Architecture::X86 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_INTEL,
        Architecture::X86_64 | Architecture::X32 => {
            ProcessorArchitecture::PROCESSOR_ARCHITECTURE_AMD64
        }
        Architecture::Arm => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_ARM,
        Architecture::Aarch64 => ProcessorArchitecture::PROCESSOR_ARCHITECTURE_ARM64,
        Architecture::RiscV64 => return RISCV64,
    };
    known as u16
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

/// On 32-bit x86 what CPUID tells, on other processors of Windows what they can. Breakpad writes
/// CPUID for 64-bit x86, too, so that dumps of Linux have that.
fn cpu_information(system: &System) -> CPU_INFORMATION {
    let mut data = [0; 24];
    match (system.os, system.architecture) {
        (_, Architecture::X86) | (OperatingSystem::Linux, Architecture::X86_64) => {
            data.copy_from_slice(&bytes_of(cpuid(system)));
        }
        _ => {
            let (low, high) = system.processor_features;
            let processor_features = [low, high];
            data[..16].copy_from_slice(&bytes_of(OtherCpuInfo { processor_features }));
        }
    }
    CPU_INFORMATION { data }
}

/// CPUID leaves 0 and 1; of AMD's processors also leaf 0x8000_0001.
fn cpuid(system: &System) -> X86CpuInfo {
    let mut text = [0; 12];
    let vendor = system.cpu_vendor.bytes();
    text.iter_mut()
        .zip(vendor)
        .for_each(|(to, from)| *to = from);
    let word = |n: usize| u32::from_le_bytes([text[n], text[n + 1], text[n + 2], text[n + 3]]);
    let (feature_information, extended) = system.cpu_features;
    X86CpuInfo {
        vendor_id: [word(0), word(4), word(8)],
        version_information: system.cpu_signature,
        feature_information,
        amd_extended_cpu_features: match system.cpu_vendor.as_str() {
            "AuthenticAMD" => extended,
            _ => 0,
        },
    }
}
