//! The notes of one thread: `struct elf_prstatus` (`include/linux/elfcore.h`), the extended
//! registers and the signal.

use super::notes::Notes;
use crate::bytes::{Put, Width};
use crate::{fxsave, registers};
use object::elf;
use snapshot::{Architecture, Process, Registers, Snapshot, Thread};
use std::time::Duration;

/// `NT_PRSTATUS`: with it a new thread begins for every reader.
pub(super) fn status(
    notes: &mut Notes,
    snapshot: &Snapshot,
    thread: &Thread,
    registers: &Registers,
) {
    let signal = match thread.signal {
        // Readers take the last thread's signal for the process's, so the kernel repeats it.
        0 => snapshot.threads.first().map_or(0, |first| first.signal),
        own => own,
    };
    let status = prstatus(&snapshot.process, thread, registers, signal);
    notes.core(elf::NT_PRSTATUS, &status);
}

/// What belongs to the thread whose `NT_PRSTATUS` came last.
pub(super) fn rest(notes: &mut Notes, thread: &Thread, registers: &Registers) {
    match registers {
        Registers::X86_64(_) => x86_64(notes, thread),
        Registers::X86(_) => x86(notes, thread),
        Registers::Aarch64(r) => aarch64(notes, thread, r.tls),
    }
    if let Some(siginfo) = &thread.siginfo {
        notes.core(elf::NT_SIGINFO, siginfo);
    }
}

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
    let none = Duration::ZERO;
    [thread.user_time, thread.kernel_time, none, none]
        .into_iter()
        .for_each(|time| timeval(&mut out, width, time));
    out.put(&registers::write(registers));
    out.u32(u32::from(!thread.extended.is_empty()));
    out.resize(out.len().next_multiple_of(width.bytes()), 0);
    out
}

fn timeval(out: &mut Vec<u8>, width: Width, time: Duration) {
    out.word(width, time.as_secs());
    out.word(width, u64::from(time.subsec_micros()));
}

/// FXSAVE, and all of XSAVE where there is more than its header behind it.
fn x86_64(notes: &mut Notes, thread: &Thread) {
    if thread.extended.len() >= 512 {
        notes.sparse("CORE", elf::NT_FPREGSET, &thread.extended, 512);
    }
    xstate(notes, thread);
}

fn x86(notes: &mut Notes, thread: &Thread) {
    if let Some(fxsave) = thread.extended.to_vec().first_chunk() {
        notes.core(elf::NT_FPREGSET, &fxsave::to_fsave(fxsave));
        notes.sparse("LINUX", elf::NT_PRXFPREG, &thread.extended, 512);
    }
    xstate(notes, thread);
}

fn xstate(notes: &mut Notes, thread: &Thread) {
    let size = thread.extended.len();
    if size >= 576 {
        notes.sparse("LINUX", elf::NT_X86_XSTATE, &thread.extended, size);
    }
}

fn aarch64(notes: &mut Notes, thread: &Thread, tls: u64) {
    if !thread.extended.is_empty() {
        let size = thread.extended.len();
        notes.sparse("CORE", elf::NT_FPREGSET, &thread.extended, size);
    }
    notes.add("LINUX", elf::NT_ARM_TLS.0, &tls.to_le_bytes());
}

/// Where the registers begin in `struct elf_prstatus`.
pub(super) const fn registers_offset(architecture: Architecture) -> usize {
    match Width::of(architecture) {
        Width::Four => 72,
        Width::Eight => 112,
    }
}
