//! The source of death events: the death of the process by a signal, seen without tracing it (see
//! [`death_watch`]), or by tracing if that is not possible.

use super::{
    held_by::HeldBy,
    signal_event,
    source::{Source, Wanted},
};
use crate::{
    Error, ErrorKind, FAULT_BITS, Facts, Result,
    linux::{
        death_watch::{self, DeathWatch},
        dying::{self, Dying},
        facts, facts_aside, facts_at_death, one_program,
        proc::ProcDir,
    },
};
use snapshot::{ProcessKey, TargetEvent, Warning};
use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// For how long facts are new enough. They are renewed when something is armed anew.
const NEW: Duration = Duration::from_secs(1);

/// Waits for the death of a process.
#[derive(Default)]
pub(super) struct DeathSource {
    watch: Option<DeathWatch>,
    /// The facts of the process, read while it lived, and when they were tried to be read last.
    kept: Option<Facts>,
    read: Option<Instant>,
    /// Whether it was caught when it died.
    is_adopted: bool,
    /// At the death: which of these are older, in words.
    older: Vec<&'static str>,
    /// What could not be read of one that was caught.
    lacking: Option<Warning>,
    /// Whether its death was told already, by tracing: it is not told again from what was caught.
    pub(super) is_told: bool,
}

impl DeathSource {
    /// Tells the death of a process that was caught at it. Returns the folder of the process.
    pub(super) fn adopt(&mut self, dying: Dying) -> ProcDir {
        self.watch = Some(dying.watch);
        self.kept = Some(dying.facts);
        self.lacking = dying.lacking;
        self.is_adopted = true;
        dying.proc
    }

    /// Returns whether the process was caught at its death, or ends while that is waited for: its death is told next. One that
    /// has just ended may be being caught yet.
    pub(super) fn is_caught(&mut self, proc: &mut ProcDir) -> bool {
        if self.is_told {
            dying::forget(proc.key);
            return false;
        }
        let caught = match self.is_adopted || death_watch::lives(proc) {
            true => dying::take(proc.key),
            false => dying::take_soon(proc.key),
        };
        if let Some(dying) = caught {
            *proc = self.adopt(dying);
        }
        self.is_adopted || self.is_of_one_that_ends(proc)
    }

    /// Situation: a process died while probes were being set, which takes some milliseconds, after its death was waited for.
    fn is_of_one_that_ends(&self, proc: &ProcDir) -> bool {
        let watch = self.watch.as_ref().filter(|watch| watch.is_of(proc));
        watch.is_some() && death_watch::is_ending(proc)
    }

    /// Returns the death of a process that has ended by a signal, if it was seen and not told.
    pub(super) fn before_end(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        if !self.is_adopted
            && !self.is_told
            && let Some(dying) = dying::take_soon(proc.key)
        {
            *proc = self.adopt(dying);
        }
        self.next(proc)
    }

    /// Returns the facts of a process that has died, from when it lived.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.kept.as_ref()
    }

    /// Returns in sentences what a dump of a process that has died lacks.
    pub(super) fn lacking(&self) -> Vec<String> {
        let mut died = "the process had died: threads have only their general registers".to_owned();
        if !self.older.is_empty() {
            let older = self.older.join(", ");
            died += &format!("; of the beginning of the watch are: {older}");
        }
        let older = |age: Duration| {
            format!(
                "the memory map could not be read at the death, and is {:.1} s older: what was mapped since is missing",
                age.as_secs_f32()
            )
        };
        let watch = self.watch.as_ref();
        let age = watch.and_then(|watch| watch.maps_are_older);
        let flags_age = watch.and_then(|watch| watch.flags_are_older);
        let older_flags = |age: Duration| {
            format!(
                "what the process did not want in a dump (MADV_DONTDUMP) was not known at its death, but {:.1} s before: \
                 memory that it excluded since then is in this dump, and what took the place of excluded memory is not",
                age.as_secs_f32()
            )
        };
        let has_flags = watch.and_then(|watch| watch.has_flags_of_death);
        let no_flags = (has_flags == Some(false)).then(|| {
            "what the process did not want in a dump (MADV_DONTDUMP) could not be read before it was gone: this dump may \
             have it"
                .to_owned()
        });
        let sharers = watch.and_then(|watch| watch.space.sharers.clone());
        let all = [
            Some(died),
            age.map(older),
            flags_age.map(older_flags),
            no_flags,
            self.lacking.clone(),
            sharers,
        ];
        all.into_iter().flatten().collect()
    }

    /// Keeps the address space of the program that the process runs now.
    fn begin(&mut self, proc: &mut ProcDir) -> io::Result<()> {
        one_program::look(|| {
            let before = proc.auxv();
            match self.begin_once(proc) {
                Ok(is_begun) => Ok(is_begun.then_some(())),
                Err(error) if is_passing(proc, &error, &before) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// As [`DeathSource::begin`]. Returns false if the process has executed another program meanwhile.
    fn begin_once(&mut self, proc: &mut ProcDir) -> io::Result<bool> {
        let watch = DeathWatch::keep(proc)?;
        let is_of_facts = |facts: &Facts| watch.space.is_of_program(auxv_of(facts));
        if !self.kept.as_ref().is_some_and(is_of_facts) {
            self.kept = None;
            self.keep_facts(proc);
        }
        let is_begun = self.kept.as_ref().is_some_and(is_of_facts) && watch.begin(proc)?;
        if is_begun {
            self.watch = Some(watch);
        }
        Ok(is_begun)
    }

    fn keep_facts(&mut self, proc: &mut ProcDir) {
        let _turn = facts_aside::turn(proc);
        let new = facts_of_living(proc);
        self.keep(proc, new);
    }

    /// Reads newer facts from time to time, and takes them if they are of the program that is kept: the process may have
    /// executed others since.
    fn renew_facts(&mut self, proc: &mut ProcDir) {
        if self.read.is_some_and(|read| read.elapsed() < NEW) {
            return;
        }
        let _turn = facts_aside::turn(proc);
        let is_kept = |facts: &Facts| {
            let watch = self.watch.as_ref();
            watch.is_some_and(|watch| watch.space.is_of_program(auxv_of(facts)))
        };
        let newer = facts_of_living(proc).filter(is_kept);
        self.keep(proc, newer);
    }

    /// Keeps facts, if there are any, without what is large.
    fn keep(&mut self, proc: &mut ProcDir, facts: Option<Facts>) {
        self.read = Some(Instant::now());
        if let Some(mut facts) = facts {
            facts_aside::put(proc, &mut facts);
            self.kept = Some(facts);
        }
    }
}

/// Reads facts. `None` if the process is dying: it has lost its modules, and older facts tell more.
fn facts_of_living(proc: &ProcDir) -> Option<Facts> {
    let facts = facts::gather(proc).ok();
    facts.filter(|facts| !facts.modules.is_empty())
}

fn auxv_of(facts: &Facts) -> &[u8] {
    facts.process.file("auxv").unwrap_or_default()
}

impl Source for DeathSource {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        let what = wanted.what;
        if self.is_adopted {
            return Ok(());
        }
        if !what.deaths {
            self.watch = None;
            return Ok(());
        }
        // A process that is traced for something else anyway shows its death by that.
        let is_traced = what.exit || what.signals != 0 || what.threads;
        let watch = self.watch.as_ref().filter(|watch| watch.is_of(proc));
        if watch.is_some() && !is_traced {
            self.renew_facts(proc);
            return Ok(());
        }
        self.watch = None;
        if !is_traced {
            match self.begin(proc) {
                Ok(()) => return Ok(()),
                // Of one that is ending, nothing more will be seen by tracing it, which another one may do just now.
                Err(_) if death_watch::is_ending(proc) => {
                    return Err(Error::new(ErrorKind::TargetDied, ended(proc.key)));
                }
                Err(error) => wanted.notices.push(format!(
                    "its death is seen by tracing ({error}): each signal it gets costs it some \
                     microseconds"
                )),
            }
        }
        wanted.signals |= FAULT_BITS;
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(|watch| watch.deaths.descriptor())
    }

    fn due(&self) -> Option<Instant> {
        self.watch.as_ref().map(DeathWatch::due)
    }

    fn next(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        if self.is_told {
            dying::forget(proc.key);
            return None;
        }
        if let Some(dying) = dying::take(proc.key) {
            *proc = self.adopt(dying);
        }
        let watch = self.watch.as_mut()?;
        let deaths = watch.next(proc)?;
        if let (Some(texts), Some(kept)) = (&watch.texts, &mut self.kept) {
            self.older = facts_at_death::renew(kept, proc, texts);
        }
        let first = deaths.first()?;
        let event = signal_event(first.thread, &death_watch::death_signal(first));
        Some((event, HeldBy::Death(deaths)))
    }

    fn program_replaced(&mut self, _: bool) {
        // A new program is reported by tracing, and a traced process has no death watch.
        self.is_told = false;
    }

    fn missed(&mut self) -> u64 {
        // A process dies once, and the ring has room for a thousand threads.
        0
    }
}

fn ended(process: ProcessKey) -> String {
    format!("process {process} ended before it could be followed")
}

/// Returns whether a failure is that of a process that was just executing another program: some of its files are empty
/// then, or of a thread that is no more. `before` is its vector of before the failure.
fn is_passing(proc: &ProcDir, error: &io::Error, before: &[u8]) -> bool {
    let is_of_gone_thread = error.raw_os_error() == Some(libc::ESRCH);
    let has_changed = || before.is_empty() || proc.auxv() != before;
    (is_of_gone_thread || has_changed()) && !death_watch::is_ending(proc)
}
