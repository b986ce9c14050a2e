//! The notes of one thread: `struct elf_prstatus` (`include/linux/elfcore.h`), the extended
//! registers (see [`mod@super::extended_notes`]) and the signal.

use super::{extended_notes::extended_notes, notes::Notes};
use crate::bytes::{Put, Width};
use crate::{LazyRegisters, registers};
use object::elf;
use snapshot::{Architecture, Detail, Process, Registers, Snapshot, SparseBytes, Thread};
use std::time::Duration;

/// `NT_PRSTATUS`: with it a new thread begins for every reader.
pub(super) fn status(
    notes: &mut Notes,
    snapshot: &Snapshot,
    thread: &Thread,
    registers: &Registers,
    detail: Detail,
) {
    let signal = match thread.signal {
        // Readers take the last thread's signal for the process's, so the kernel repeats it.
        0 => snapshot.threads.first().map_or(0, |first| first.signal),
        own => own,
    };
    let mut status = prstatus(&snapshot.process, thread, registers, signal);
    // pr_fpvalid: whether there are floating-point registers.
    status.u32(u32::from(!thread.extended_for(detail).is_empty()));
    let width = Width::of(registers.architecture());
    status.resize(status.len().next_multiple_of(width.bytes()), 0);
    notes.core(elf::NT_PRSTATUS, &status);
}

/// `NT_386_TLS` (include/uapi/linux/elf.h).
pub(super) const NT_386_TLS: u32 = 0x200;
/// The size of `siginfo_t` in bytes.
const SIGINFO: usize = 128;

/// What belongs to the thread whose `NT_PRSTATUS` came last. `stands_for_us`: it was stopped for the dump, and nothing
/// had happened to the process.
pub(super) fn rest(
    notes: &mut Notes,
    thread: &Thread,
    registers: &Registers,
    detail: Detail,
    stands_for_us: bool,
) {
    let architecture = registers.architecture();
    let form = move |extended: &SparseBytes| extended_notes(extended, architecture);
    notes.extended(LazyRegisters::new(&thread.extended_for(detail), form));
    if let Registers::Aarch64(r) = registers {
        notes.add("LINUX", elf::NT_ARM_TLS.0, &r.tls.to_le_bytes());
    }
    if !thread.tls_segments.is_empty() {
        notes.add("LINUX", NT_386_TLS, &thread.tls_segments);
    }
    if let Some(siginfo) = &thread.siginfo {
        notes.core(elf::NT_SIGINFO, siginfo);
    } else if stands_for_us {
        notes.core(elf::NT_SIGINFO, &siginfo_of_stop());
    }
}

/// What gdb's own gcore writes for a thread that stands because it was stopped for the dump: SIGSTOP, by the kernel
/// (`SI_KERNEL`), in a `siginfo_t` of 128 bytes.
fn siginfo_of_stop() -> Vec<u8> {
    const SIGSTOP: u32 = 19;
    const SI_KERNEL: u32 = 0x80;
    let mut out = Vec::with_capacity(SIGINFO);
    [SIGSTOP, 0, SI_KERNEL]
        .into_iter()
        .for_each(|word| out.u32(word));
    out.resize(SIGINFO, 0);
    out
}

/// All but its last word, `pr_fpvalid`.
fn prstatus(process: &Process, thread: &Thread, registers: &Registers, signal: i32) -> Vec<u8> {
    let width = Width::of(registers.architecture());
    let mut out = Vec::with_capacity(392);
    // struct elf_siginfo: si_signo, si_code, si_errno; then pr_cursig, padded.
    [signal as u32, 0, 0]
        .into_iter()
        .for_each(|word| out.u32(word));
    out.u16(signal as u16);
    out.u16(0);
    out.word(width, thread.pending);
    out.word(width, thread.blocked);
    [thread.id, process.parent, process.group, process.session]
        .into_iter()
        .for_each(|id| out.u32(id));
    [
        thread.user_time,
        thread.kernel_time,
        process.children_user_time,
        process.children_kernel_time,
    ]
    .into_iter()
    .for_each(|time| timeval(&mut out, width, time));
    out.put(&registers::write(registers));
    out
}

fn timeval(out: &mut Vec<u8>, width: Width, time: Duration) {
    out.word(width, time.as_secs());
    out.word(width, u64::from(time.subsec_micros()));
}

/// Where the registers begin in `struct elf_prstatus`.
pub(super) const fn registers_offset(architecture: Architecture) -> usize {
    match Width::of(architecture) {
        Width::Four => 72,
        Width::Eight => 112,
    }
}
