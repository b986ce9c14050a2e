//! The flags of the header: what was asked of the dump, in the terms of `MINIDUMP_TYPE`
//! (`minidumpapiset.h`).

use snapshot::{DumpKind, OperatingSystem, Selection, Snapshot};

const WITH_DATA_SEGS: u64 = 0x1;
const WITH_FULL_MEMORY: u64 = 0x2;
const WITH_HANDLE_DATA: u64 = 0x4;
const WITH_UNLOADED_MODULES: u64 = 0x20;
const WITH_INDIRECTLY_REFERENCED_MEMORY: u64 = 0x40;
const WITH_PROCESS_THREAD_DATA: u64 = 0x100;
const WITH_PRIVATE_READ_WRITE_MEMORY: u64 = 0x200;
const WITH_FULL_MEMORY_INFO: u64 = 0x800;
const WITH_THREAD_INFO: u64 = 0x1000;
const WITH_PRIVATE_WRITE_COPY_MEMORY: u64 = 0x1_0000;
const FILTER_TRIAGE: u64 = 0x10_0000;

/// What every dump has, and what all but triage dumps have.
const ALWAYS: u64 = WITH_UNLOADED_MODULES | WITH_FULL_MEMORY_INFO | WITH_THREAD_INFO;
const DETAILS: u64 = ALWAYS | WITH_HANDLE_DATA | WITH_PROCESS_THREAD_DATA;

/// The flags of a dump. `is_64` says that its memory is in the 64-bit list, where debuggers look for
/// it if, and only if, the flags say that the memory is full.
pub(super) fn of(snapshot: &Snapshot, selection: &Selection, is_64: bool) -> u64 {
    let asked = asked(selection.kind, snapshot.system.os);
    let full = if is_64 { WITH_FULL_MEMORY } else { 0 };
    asked & !WITH_FULL_MEMORY | full
}

/// Whether all memory was asked for of a process of Windows.
pub(super) fn is_full(kind: DumpKind, snapshot: &Snapshot) -> bool {
    let os = snapshot.system.os;
    os == OperatingSystem::Windows && asked(kind, os) & WITH_FULL_MEMORY != 0
}

fn asked(kind: DumpKind, os: OperatingSystem) -> u64 {
    match kind {
        DumpKind::Triage => ALWAYS | FILTER_TRIAGE,
        DumpKind::Callback => DETAILS,
        DumpKind::Mini => DETAILS | WITH_DATA_SEGS | WITH_INDIRECTLY_REFERENCED_MEMORY,
        DumpKind::Custom(mask) if os == OperatingSystem::Windows => mask,
        // The mask is one of Linux, and has no flags.
        DumpKind::Custom(_) => DETAILS,
        DumpKind::Plus => {
            DETAILS
                | WITH_DATA_SEGS
                | WITH_PRIVATE_READ_WRITE_MEMORY
                | WITH_PRIVATE_WRITE_COPY_MEMORY
        }
        DumpKind::Full | DumpKind::Filtered => DETAILS | WITH_FULL_MEMORY,
    }
}
