//! Dumping a process after it has died of a signal, without tracing it while it lives.
//!
//! Before the death, or while the thread that dies is [held](super::dying), we keep its address space alive
//! ([`Pin`]) and have its death reported by a BPF program ([`Deaths`]), which tells the registers of each thread.
//! Nobody waits for us when it dies: its supervisor may have started the next process already.
//! Handled signals cost the process nothing, which is why this is preferred to ptrace.

use super::{
    bpf_programs::{Death, Deaths},
    kept_space::KeptSpace,
    last_maps,
    own_texts_at_death::OwnTexts,
    proc::ProcDir,
    sys::{pin::Pin, ptrace::SignalInfo, wake},
};
use snapshot::{Thread, ThreadState};
use std::{
    io,
    time::{Duration, Instant},
};

/// How long to wait, at most, for all threads of a dying process to be reported.
const REPORTING: Duration = Duration::from_millis(300);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// How long it can take from the report until the kernel has marked the thread: a moment, unless it preempts itself or
/// the machine is loaded. Nothing waits for who watches.
const MARKED: Duration = Duration::from_millis(100);

/// How old the copy of the mappings may be that has to do if they cannot be read at the death.
const STALE: Duration = Duration::from_secs(5);

/// A living process whose death is waited for, and whose address space outlives it.
pub(crate) struct DeathWatch {
    /// The reports of deaths in the process.
    pub(crate) deaths: Deaths,
    pub(crate) space: KeptSpace,
    /// If this was begun at the death, so that what was copied is not older: whether the flags of all mappings could be
    /// read.
    pub(crate) has_flags_of_death: Option<bool>,
    /// Where its own texts are; `None` if this was begun at the death, and they are known.
    pub(crate) texts: Option<OwnTexts>,
    /// When the mappings were copied last.
    copied: Instant,
    /// When this was begun, and the flags of the mappings were copied.
    begun: Instant,
    /// At the death: how old the copy of the mappings is, and that of their flags, if they could not be read then.
    pub(crate) maps_are_older: Option<Duration>,
    pub(crate) flags_are_older: Option<Duration>,
}

impl DeathWatch {
    /// Checks that the kernel supports this and that we have the rights.
    pub(crate) fn is_possible() -> io::Result<()> {
        super::sys::userfault::open()?;
        Deaths::of(std::process::id()).map(|_| ())
    }

    /// Keeps the address space of a process from now on. Its death is waited for from [`DeathWatch::begin`] on.
    ///
    /// # Errors
    /// If the kernel or our rights do not allow it, or the process has ended.
    pub(crate) fn keep(proc: &mut ProcDir) -> io::Result<Self> {
        let deaths = Deaths::of(proc.key.pid)?;
        let space = KeptSpace::keep(proc, Pin::new)?;
        space.keep_flags(proc, None)?;
        proc.keep_maps()?;
        Ok(Self {
            texts: Some(OwnTexts::of(proc)?),
            ..Self::of(space, deaths, None)
        })
    }

    /// Of a process that was kept at its death, which has been reported.
    pub(crate) fn at_death(space: KeptSpace, deaths: Deaths, has_flags: bool) -> Self {
        Self::of(space, deaths, Some(has_flags))
    }

    fn of(space: KeptSpace, deaths: Deaths, has_flags_of_death: Option<bool>) -> Self {
        Self {
            deaths,
            space,
            has_flags_of_death,
            texts: None,
            copied: Instant::now(),
            begun: Instant::now(),
            maps_are_older: None,
            flags_are_older: None,
        }
    }

    /// Waits for the death of the process; before this, it is one that nobody waits for. Returns false if it has executed
    /// another program since it was kept.
    ///
    /// # Errors
    /// If there is no room for another process.
    pub(crate) fn begin(&self, proc: &ProcDir) -> io::Result<bool> {
        // Only the kernel can tell for sure: one that is dying has lost its vector.
        Ok(self.is_of(proc) && self.deaths.begin()?)
    }

    /// Returns whether the process still runs the program that is kept. A dying process, whose
    /// vector cannot be read any more, does.
    pub(crate) fn is_of(&self, proc: &ProcDir) -> bool {
        let now = proc.auxv();
        now.is_empty() || self.space.is_of_program(&now)
    }

    /// Returns the deaths of all threads if the process has died, the thread that had the fault
    /// first. `None` if it lives.
    pub(crate) fn next(&mut self, proc: &mut ProcDir) -> Option<Vec<Death>> {
        let is_its = |death: &Death| {
            let is_deadly = is_deadly(death.signal);
            is_deadly && self.space.dies_of(proc, death.thread, MARKED) && self.ends_by(proc, death)
        };
        let Some(first) = self.deaths.next().filter(is_its) else {
            self.renew(proc);
            return None;
        };
        if self.has_flags_of_death.is_none() {
            self.copy_what_has_changed(proc);
        }
        proc.is_gone = true;
        let end = Instant::now() + REPORTING;
        let mut all = vec![first];
        while Instant::now() < end && has_living_thread(proc) {
            self.take(&mut all);
            wake::sleep(
                &[self.deaths.descriptor()],
                Some(Instant::now() + POLL_INTERVAL),
            );
        }
        self.take(&mut all);
        Some(all)
    }

    /// Returns whether the whole process ends. A thread that executes a program has the kernel kill all others (`de_thread`
    /// of fs/exec.c), as SIGKILL does. Of threads that are slow to end, the last is reported later.
    fn ends_by(&self, proc: &ProcDir, death: &Death) -> bool {
        let end = Instant::now() + MARKED;
        while death.signal == libc::SIGKILL && !is_ending(proc) {
            if Instant::now() >= end || !self.is_of(proc) {
                return false;
            }
            wake::sleep(&[], Some(Instant::now() + POLL_INTERVAL));
        }
        true
    }

    /// Returns when [`DeathWatch::next`] has to be called although no death was reported: the copy
    /// of the mappings is too old then.
    pub(crate) fn due(&self) -> Instant {
        self.copied + STALE
    }

    /// Copies the mappings and their flags once more. Both can be read until the parent has waited for the process;
    /// mappings can be asked for after that, if the kernel is so new.
    fn copy_what_has_changed(&mut self, proc: &mut ProcDir) {
        let is_first = !last_maps::can_be_asked(&self.space.maps);
        if is_first {
            self.copy_maps(proc);
        }
        self.copy_flags(proc);
        if !is_first {
            self.copy_maps(proc);
        }
    }

    fn copy_maps(&mut self, proc: &mut ProcDir) {
        let maps = self.space.keep_maps(proc);
        self.maps_are_older = maps.is_err().then(|| self.copied.elapsed());
    }

    fn copy_flags(&mut self, proc: &mut ProcDir) {
        let is_whole = self.space.renew_flags(proc);
        self.flags_are_older = (!is_whole).then(|| self.begun.elapsed());
    }

    fn renew(&mut self, proc: &mut ProcDir) {
        if self.copied.elapsed() >= STALE {
            let _ = proc.keep_maps();
            self.copied = Instant::now();
        }
    }

    fn take(&self, all: &mut Vec<Death>) {
        while let Some(death) = self.deaths.next() {
            if all.iter().all(|known| known.thread != death.thread) {
                all.push(death);
            }
        }
    }
}

/// Returns whether a signal without a handler ends the process.
fn is_deadly(signal: i32) -> bool {
    !super::traced_process::HARMLESS.contains(&signal)
}

/// Returns whether a process has not ended.
pub(crate) fn lives(proc: &ProcDir) -> bool {
    proc.stat().is_ok_and(|stat| !stat.has_ended())
}

/// Returns whether every thread of a process has ended or is about to. A thread that executes another program takes the
/// place of the first one: who looks just then sees neither, so that it is looked twice.
pub(crate) fn is_ending(proc: &ProcDir) -> bool {
    let are_ending = || proc.thread_stats().all(|stat| stat.is_ending());
    are_ending() && are_ending()
}

/// Returns whether any thread of a process has not ended. The first may have while others run.
fn has_living_thread(proc: &ProcDir) -> bool {
    proc.thread_stats().any(|stat| !stat.has_ended())
}

/// Returns a thread as it was at its death.
pub(crate) fn dead_thread(death: &Death, is_first: bool) -> Thread {
    let mut info = death.info.clone();
    info.resize(128, 0);
    Thread {
        id: death.thread as u32,
        name: death.name.clone(),
        state: ThreadState::Stopped,
        letter: ' ',
        registers: Some(death.registers),
        signal: if is_first { death.signal } else { 0 },
        siginfo: is_first.then_some(info),
        ..Thread::default()
    }
}

/// Returns the signal that a thread died of.
pub(crate) fn death_signal(death: &Death) -> SignalInfo {
    let mut info = [0; 128];
    info[..death.info.len()].copy_from_slice(&death.info);
    SignalInfo {
        number: death.signal,
        ..SignalInfo::read(&info)
    }
}
