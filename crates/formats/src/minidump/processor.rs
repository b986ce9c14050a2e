//! The processors of minidumps, by their numbers in `MINIDUMP_SYSTEM_INFO`.

use super::system_info::RISCV64;
use crate::ReadError;
use minidump_common::format::ProcessorArchitecture as Processor;
use snapshot::Architecture;

const X86: u16 = Processor::PROCESSOR_ARCHITECTURE_INTEL as u16;
const WOW64: u16 = Processor::PROCESSOR_ARCHITECTURE_IA32_ON_WIN64 as u16;
const AMD64: u16 = Processor::PROCESSOR_ARCHITECTURE_AMD64 as u16;
const ARM: u16 = Processor::PROCESSOR_ARCHITECTURE_ARM as u16;
const ARM64: u16 = Processor::PROCESSOR_ARCHITECTURE_ARM64 as u16;
const OLD_ARM64: u16 = Processor::PROCESSOR_ARCHITECTURE_ARM64_OLD as u16;
const UNKNOWN: u16 = Processor::PROCESSOR_ARCHITECTURE_UNKNOWN as u16;

/// `None` if it is not one whose dumps are read.
pub(super) fn architecture(number: u16) -> Option<Architecture> {
    Some(match number {
        X86 | WOW64 => Architecture::X86,
        AMD64 => Architecture::X86_64,
        ARM => Architecture::Arm,
        ARM64 | OLD_ARM64 => Architecture::Aarch64,
        RISCV64 => Architecture::RiscV64,
        _ => return None,
    })
}

/// The error for a dump of a processor that is known, but whose dumps are not read.
pub(super) fn refused(number: u16) -> Option<ReadError> {
    let name = match number {
        UNKNOWN => return None,
        _ if architecture(number).is_some() => return None,
        1 => "MIPS",
        2 | 7 => "Alpha",
        3 => "PowerPC",
        4 => "SuperH",
        6 => "Itanium",
        0x8001 => "SPARC",
        0x8002 => "64-bit PowerPC",
        0x8004 => "64-bit MIPS",
        0x8005 => "32-bit RISC-V",
        other => return Some(other_dump(&format!("a processor with the number {other}"))),
    };
    Some(other_dump(&format!("a {name} processor")))
}

fn other_dump(processor: &str) -> ReadError {
    ReadError::Other {
        what: format!("a minidump of {processor}"),
        reader: "minidump-stackwalk reads it",
    }
}
