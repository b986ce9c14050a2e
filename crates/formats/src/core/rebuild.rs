//! A snapshot from the notes and segments of a core of another program.

mod process;
mod space;

use super::file_notes::Notes;
use crate::elf::Segment;
use snapshot::auxv::{self, AT_PAGESZ};
use snapshot::{Architecture, Exception, Memory, Snapshot, System, Thread, Warning};

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
    let auxv = auxv::entries(notes.auxv.unwrap_or_default(), architecture.pointer_size());
    let files = space::mapped_files(notes.files.unwrap_or_default(), architecture);
    let mut threads: Vec<Thread> = notes.threads(architecture).collect();
    let mut regions = space::regions(table, &files, &threads, &auxv);
    let modules = space::modules(&files, &regions, memory);
    space::mark_images(&mut regions, &modules);
    let process = process::process(
        notes.process.unwrap_or_default(),
        auxv,
        &files,
        architecture,
    );
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
/// first.
pub(super) fn fault(first: &Thread) -> Option<Exception> {
    let word = |at: usize| {
        let siginfo = first.siginfo.as_ref()?;
        Some(u32::from_le_bytes(*siginfo.get(at..)?.first_chunk()?))
    };
    if !FAULTS.contains(&first.signal) {
        return None;
    }
    let address = ADDRESSED.contains(&first.signal).then(|| {
        // The address follows si_signo, si_errno and si_code, aligned as its width wants it.
        match first.registers?.architecture() {
            Architecture::X86 => word(12).map(u64::from),
            _ => Some(u64::from(word(20)?) << 32 | u64::from(word(16)?)),
        }
    });
    Some(Exception {
        thread: first.id,
        code: first.signal as u32,
        flags: word(8).unwrap_or_default(),
        address: address.flatten().unwrap_or_default(),
        ..Exception::default()
    })
}
