//! A snapshot from the notes and segments of a core of another program.

mod listed;
mod process;
mod space;

use super::{bsd, file_notes::Notes};
use crate::elf::Segment;
use snapshot::auxv::{self, AT_PAGESZ};
use snapshot::{Architecture, Exception, Memory, Snapshot, System, Thread, Told, Warning};

/// The signals whose default action is a core (signal(7)).
const FAULTS: [i32; 10] = [3, 4, 5, 6, 7, 8, 11, 24, 25, 31];
/// The signals whose `siginfo_t` has an address: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV.
const ADDRESSED: [i32; 5] = [4, 5, 7, 8, 11];

pub(super) fn snapshot(
    notes: &Notes<'_>,
    table: &[Segment],
    memory: &dyn Memory,
    architecture: Architecture,
    warnings: &mut Vec<Warning>,
) -> Snapshot {
    if let Some(system) = notes.foreign {
        let told = bsd::snapshot(system, &notes.all, architecture, warnings);
        return Snapshot {
            regions: space::regions(table, &[], &told.threads, &[]),
            ..told
        };
    }
    let auxv = auxv::entries(notes.auxv.unwrap_or_default(), architecture.pointer_size());
    let files = space::mapped_files(notes.files.unwrap_or_default(), architecture);
    let mut threads: Vec<Thread> = notes.threads(architecture).collect();
    let mut regions = space::regions(table, &files, &threads, &auxv);
    let mut process = process::process(
        notes.process.unwrap_or_default(),
        auxv,
        &files,
        architecture,
    );
    let modules = match files.is_empty() {
        false => space::modules(&files, &regions, memory),
        true => listed::modules(&mut process, &regions, memory, architecture),
    };
    space::mark_images(&mut regions, &modules);
    if files.is_empty() {
        space::name_images(&mut regions, &modules);
    }
    if let Some(main) = threads.iter_mut().find(|t| t.id == process.key.pid) {
        main.name.clone_from(&process.comm);
    }
    if threads.is_empty() {
        warnings.push("the file tells of no threads".to_owned());
    }
    Snapshot {
        system: System {
            architecture,
            page_size: process.aux(AT_PAGESZ).unwrap_or(4096),
            ..System::default()
        },
        exception: threads.first().and_then(fault),
        modules,
        process,
        threads,
        regions,
        ..Snapshot::default()
    }
}

/// The fault of the first thread; `None` if it had none. The kernel writes the thread that crashed
/// first. Cores of gdb before 7.7, of lldb and of Go have no `siginfo_t`, and so do those of kernels before Linux 3.7: they
/// tell the signal only.
pub(super) fn fault(first: &Thread) -> Option<Exception> {
    if !FAULTS.contains(&first.signal) {
        return None;
    }
    let mut fault = Exception {
        thread: first.id,
        code: first.signal as u32,
        told: Told::OnlySignal,
        ..Exception::default()
    };
    if let Some(code) = siginfo_word(first, SI_CODE).filter(|_| is_of_its_signal(first)) {
        fault.told = Told::All;
        fault.flags = code;
        fault.address = address(first).unwrap_or_default();
    }
    Some(fault)
}

/// Offset of `si_code` in `siginfo_t`, in bytes.
const SI_CODE: usize = 8;

fn siginfo_word(thread: &Thread, at: usize) -> Option<u32> {
    let siginfo = thread.siginfo.as_ref()?;
    Some(u32::from_le_bytes(*siginfo.get(at..)?.first_chunk()?))
}

/// Whether the `siginfo_t` is that of the signal: some writers leave it all zeros.
fn is_of_its_signal(thread: &Thread) -> bool {
    siginfo_word(thread, 0) == Some(thread.signal as u32)
}

/// `si_addr`, which follows `si_signo`, `si_errno` and `si_code`, aligned as its width wants it.
fn address(thread: &Thread) -> Option<u64> {
    if !ADDRESSED.contains(&thread.signal) {
        return None;
    }
    let word = |at| siginfo_word(thread, at).map(u64::from);
    match thread.registers?.architecture().pointer_size() {
        4 => word(12),
        _ => Some(word(20)? << 32 | word(16)?),
    }
}
