//! A process that died of a signal, and whose memory we keep: nothing was attached to it, nobody
//! waits for us, its supervisor may have started the next one already.

use super::{
    bpf_programs::{Death, Deaths},
    proc::ProcDir,
    sys::{ptrace::SignalInfo, userfault::Pin, wake},
};
use snapshot::{Thread, ThreadState};
use std::{
    io,
    time::{Duration, Instant},
};

/// How long the threads of a dying process take to tell of themselves, at most.
const DYING: Duration = Duration::from_millis(300);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// What has to be open while it lives, and tells on when it is gone.
const KEPT: [&str; 2] = ["mem", "pagemap"];
/// What has to be read while it lives.
const COPIED: [&str; 3] = ["maps", "smaps", "mountinfo"];
/// The list of mappings is read anew so often, for a process that is gone before we come.
const STALE: Duration = Duration::from_secs(5);

/// A process that lives, and whose death is waited for.
pub(crate) struct DeathWatch {
    pub(crate) deaths: Deaths,
    /// Of which program: another one has another vector.
    program: Vec<u8>,
    copied: Instant,
    _pin: Pin,
}

impl DeathWatch {
    /// Whether the kernel and our rights allow it.
    pub(crate) fn is_possible() -> io::Result<()> {
        super::sys::userfault::open()?;
        Deaths::of(std::process::id()).map(|_| ())
    }

    /// Keeps its address space from now on, and hears of its death.
    pub(crate) fn begin(proc: &mut ProcDir) -> io::Result<Self> {
        let deaths = Deaths::of(proc.key.pid)?;
        let program = proc.read_living("auxv")?;
        proc.keep(&KEPT)?;
        proc.keep_copies(&COPIED)?;
        let (regions, _) = snapshot::maps::parse(&proc.read_living("maps")?);
        let readable = regions.iter().find(|region| region.protection.read);
        let first = readable.ok_or_else(|| io::Error::other("it has no memory"))?;
        let pin = Pin::new(proc.open_living("mem")?, first.range.start)?;
        Ok(Self {
            deaths,
            program,
            copied: Instant::now(),
            _pin: pin,
        })
    }

    /// Whether it still is the program that is kept; one that is dying is.
    pub(crate) fn is_of(&self, proc: &ProcDir) -> bool {
        let now = proc.read_living("auxv").unwrap_or_default();
        now.is_empty() || now == self.program
    }

    /// The death of the process, with all its threads, the one that had the fault first.
    pub(crate) fn next(&mut self, proc: &mut ProcDir) -> Option<Vec<Death>> {
        let Some(first) = self.deaths.next().filter(|death| is_deadly(death.signal)) else {
            self.renew(proc);
            return None;
        };
        // It has some hundred microseconds left; where it is gone, what was read before has to do.
        let _ = proc.keep_copies(&COPIED[..1]);
        proc.is_gone = true;
        let end = Instant::now() + DYING;
        let mut all = vec![first];
        while Instant::now() < end && lives(proc) {
            self.take(&mut all);
            wake::sleep(
                &[self.deaths.descriptor()],
                Some(Instant::now() + POLL_INTERVAL),
            );
        }
        self.take(&mut all);
        Some(all)
    }

    /// When [`DeathWatch::next`] has to be asked, though no death was reported.
    pub(crate) fn due(&self) -> Instant {
        self.copied + STALE
    }

    fn renew(&mut self, proc: &mut ProcDir) {
        if self.copied.elapsed() >= STALE {
            let _ = proc.keep_copies(&COPIED[..1]);
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

/// Without a handler, every signal but these ends the process.
fn is_deadly(signal: i32) -> bool {
    !super::traced_process::HARMLESS.contains(&signal)
}

fn lives(proc: &ProcDir) -> bool {
    proc.stat()
        .is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// A thread as the kernel showed it at its death.
pub(crate) fn dead_thread(death: &Death, is_first: bool) -> Thread {
    let mut info = death.info.clone();
    info.resize(128, 0);
    Thread {
        id: death.thread as u32,
        state: ThreadState::Stopped,
        letter: ' ',
        registers: Some(death.registers),
        signal: if is_first { death.signal } else { 0 },
        siginfo: is_first.then_some(info),
        ..Thread::default()
    }
}

/// The signal it died of.
pub(crate) fn death_signal(death: &Death) -> SignalInfo {
    let mut info = [0; 128];
    info[..death.info.len()].copy_from_slice(&death.info);
    SignalInfo {
        number: death.signal,
        ..SignalInfo::read(&info)
    }
}
