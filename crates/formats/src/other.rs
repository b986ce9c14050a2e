//! Dumps of kinds that are not read here: what they are, and which tool reads them.

use crate::ReadError;
use crate::bytes::Take;
use crate::elf::{Head, notes, segments};
use object::elf;

/// A microdump is text, in which a line ends so first; what logged it may have put its own before it.
const MICRODUMP: &[u8] = b"-----BEGIN BREAKPAD MICRODUMP-----";
/// So many bytes of a text are searched for it.
const SEARCHED: usize = 64 << 10;

/// The error for a file that is recognised as a dump of another kind; `None` for all others.
pub(crate) fn recognise(bytes: &[u8]) -> Option<ReadError> {
    by_magic(bytes)
        .or_else(|| mach_core(bytes))
        .or_else(|| microdump(bytes))
        .map(|(what, reader)| other(what, reader))
}

fn other(what: impl Into<String>, reader: &'static str) -> ReadError {
    ReadError::Other {
        what: what.into(),
        reader,
    }
}

/// Dumps that are known by their first bytes.
fn by_magic(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const KNOWN: [(&[u8], &str, &str); 10] = [
        (
            b"PAGEDUMP",
            "a dump of the Windows kernel (32-bit)",
            "WinDbg reads it",
        ),
        (
            b"PAGEDU64",
            "a dump of the Windows kernel (64-bit)",
            "WinDbg reads it",
        ),
        (
            b"PMDM",
            "a minidump of a big-endian processor",
            "minidump-stackwalk reads it",
        ),
        (
            b"KDUMP   ",
            "a compressed dump of the Linux kernel (makedumpfile)",
            "crash reads it",
        ),
        (
            b"makedumpfile",
            "a flattened dump of the Linux kernel (makedumpfile)",
            "makedumpfile -R and crash read it",
        ),
        (
            b"DISKDUMP",
            "a dump of the Linux kernel (diskdump)",
            "crash reads it",
        ),
        (
            b"EMiL",
            "a copy of a machine's memory (LiME)",
            "Volatility reads it",
        ),
        (
            b"AVML",
            "a copy of a machine's memory (AVML)",
            "Volatility reads it",
        ),
        (
            b"JAVA PROFILE 1.0.",
            "a heap dump of Java (hprof)",
            "Eclipse Memory Analyzer reads it",
        ),
        (b"minidump", "a dump of the FreeBSD kernel", "kgdb reads it"),
    ];
    let mut known = KNOWN.into_iter();
    let (_, what, reader) = known.find(|(magic, ..)| bytes.starts_with(magic))?;
    Some((what, reader))
}

/// Mach-O files of the type `MH_CORE` (mach-o/loader.h), of either byte order.
fn mach_core(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const MAGIC: [u32; 2] = [0xfeed_face, 0xfeed_facf];
    const MH_CORE: u32 = 4;
    let word = |at: usize| Take(bytes.get(at..)?).u32();
    let (magic, kind) = (word(0)?, word(12)?);
    let is_core = |magic, kind| MAGIC.contains(&magic) && kind == MH_CORE;
    (is_core(magic, kind) || is_core(magic.swap_bytes(), kind.swap_bytes()))
        .then_some(("a core of macOS (Mach-O)", "lldb reads it"))
}

fn microdump(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = &bytes[..bytes.len().min(SEARCHED)];
    // In a source of Breakpad, a quote follows.
    let begins = |line: &[u8]| line.trim_ascii_end().ends_with(MICRODUMP);
    let mut lines = text.split(|&byte| byte == b'\n');
    lines.any(begins).then_some((
        "a microdump of Breakpad, a text without the process's memory",
        "microdump_stackwalk reads it",
    ))
}

/// The error for a big-endian ELF core; `None` for other files.
pub(crate) fn big_endian_core(bytes: &[u8]) -> Option<ReadError> {
    const BIG: u8 = 2;
    let half = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let is_big = bytes.get(5) == Some(&BIG);
    let is_core = half(16)? == elf::ET_CORE.0;
    (is_big && is_core).then_some(())?;
    Some(unread_processor(half(18)?, "big-endian "))
}

/// The error for a core of a processor whose cores are not read. `order` is empty, or the order of its bytes.
pub(crate) fn unread_processor(machine: u16, order: &str) -> ReadError {
    let processor = match name(machine) {
        Some(name) => format!("{order}{name} processor"),
        None => format!("{order}processor with the ELF number {machine}"),
    };
    other(
        format!("a core of a {processor}"),
        "gdb-multiarch, lldb or eu-readelf reads it",
    )
}

/// Processors by their numbers (elf.h).
fn name(machine: u16) -> Option<&'static str> {
    Some(match machine {
        2 | 18 | 43 => "SPARC",
        3 => "32-bit x86",
        4 => "Motorola 68000",
        8 => "MIPS",
        15 => "PA-RISC",
        20 => "PowerPC",
        21 => "64-bit PowerPC",
        22 => "S/390",
        40 => "ARM",
        42 => "SuperH",
        50 => "Itanium",
        62 => "x86-64",
        183 => "64-bit ARM",
        243 => "RISC-V",
        258 => "LoongArch",
        0x9026 => "Alpha",
        _ => return None,
    })
}

/// The error for an ELF core that holds not a process but the memory of a machine: `/proc/vmcore` and `virsh dump`. They are
/// known by notes that no core of a process has. `None` for other files.
pub(crate) fn machine_core(bytes: &[u8], head: &Head) -> Option<ReadError> {
    let start = usize::try_from(head.segments_at).ok()?;
    let table = segments(head.width, bytes.get(start..)?, 1);
    let segment = table.first().filter(|s| s.kind == elf::PT_NOTE.0)?;
    let there = bytes.get(usize::try_from(segment.offset).ok()?..)?;
    let size = usize::try_from(segment.file_size).ok()?.min(there.len());
    let mut notes = notes(&there[..size], segment.align);
    notes
        .any(|note| note.owner == b"VMCOREINFO" || note.owner == b"QEMU")
        .then(|| {
            other(
                "a core of a whole machine with its kernel (vmcore)",
                "crash reads it",
            )
        })
}
