//! What a capture of a cloned process holds: the clone, and its memory.

use super::{
    clone::{self, Reason, TargetClone},
    frozen::Frozen,
    huge_pages::HugePages,
    proc::ProcDir,
};
use crate::{Error, ErrorKind, Result, capture::Held, failpoint, lock};
use snapshot::{ProcessKey, Range};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// How often it is looked whether the copying may go on.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A clone, which is ended when this is dropped.
pub(super) struct HeldClone {
    /// `None` once it has been ended.
    clone: Option<TargetClone>,
    of_clone: Option<ProcDir>,
    memory: HeldMemory,
}

/// The memory of a clone, which may have ended.
struct HeldMemory {
    key: ProcessKey,
    /// `None` if it was gone already, or when this has been released.
    target: Option<ProcDir>,
    /// `None` if it cannot be kept without the clone.
    frozen: Option<Frozen>,
    huge: HugePages,
    copied: Option<Copied>,
    /// When it was last looked whether the copying may go on.
    looked: Instant,
}

/// Processes of which clones are being copied, once for each clone.
static COPIED: Mutex<Vec<ProcessKey>> = Mutex::new(Vec::new());

/// A process is in that list until this is dropped.
struct Copied(ProcessKey);

/// Returns how many clones of a process are being copied by us.
pub(super) fn copied_of(key: ProcessKey) -> u64 {
    lock(&COPIED).iter().filter(|of| **of == key).count() as u64
}

impl Copied {
    fn begin(key: ProcessKey) -> Self {
        lock(&COPIED).push(key);
        Self(key)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let mut all = lock(&COPIED);
        if let Some(at) = all.iter().position(|of| *of == self.0) {
            all.swap_remove(at);
        }
    }
}

impl HeldClone {
    /// Holds a clone of the process `key`, which had these huge pages.
    pub(super) fn new(clone: TargetClone, huge: HugePages, key: ProcessKey) -> Self {
        Self {
            clone: Some(clone),
            of_clone: None,
            memory: HeldMemory::new(None, huge, key),
        }
    }

    /// Holds the memory of one that has ended.
    pub(super) fn of_ended(frozen: Frozen, huge: HugePages, key: ProcessKey) -> Self {
        Self {
            clone: None,
            of_clone: None,
            memory: HeldMemory::new(Some(frozen), huge, key),
        }
    }

    /// Makes the clone what it is to be, and keeps its memory where that can be done. Returns its folder in `/proc`.
    ///
    /// # Errors
    /// If it has ended, or does not do as it is told.
    pub(super) fn settle(&mut self) -> Result<ProcDir> {
        let Some(clone) = &mut self.clone else {
            return Err(self.memory.ended(ErrorKind::CloneLost, "it has ended"));
        };
        let of_clone = clone.settle()?;
        self.memory.frozen = Frozen::of(&of_clone);
        self.of_clone = ProcDir::open_pid(of_clone.key.pid).ok();
        Ok(of_clone)
    }

    /// Returns why the clone cannot stay, if it cannot.
    fn cannot_stay(&mut self, looks: bool) -> Option<Error> {
        let clone = self.clone.as_mut()?;
        if let Err(error) = clone.check() {
            return Some(error);
        }
        let (target, of_clone) = (self.memory.target.as_ref()?, self.of_clone.as_ref()?);
        let is_kept = self.memory.frozen.is_some();
        let reason = looks.then(|| has_to_end(target, of_clone, is_kept));
        let reason = reason.flatten()?;
        Some(self.memory.ended(ErrorKind::TargetDied, &reason))
    }

    fn end_clone(&mut self) {
        if let (Some(mut clone), Some(target)) = (self.clone.take(), &self.memory.target) {
            clone.end(target);
        }
    }
}

/// Returns why a clone has to end. One whose memory is lost with it stays as long as nobody wants it to end.
fn has_to_end(target: &ProcDir, of_clone: &ProcDir, is_kept: bool) -> Option<Reason> {
    let has_ended = || is_kept && target.stat().map_or(true, |stat| stat.has_ended());
    match clone::is_asked_to_end(of_clone) {
        true => Some("somebody has sent it SIGTERM".into()),
        false => has_ended().then(|| "the process has ended".into()),
    }
}

impl Held for HeldClone {
    fn check(&mut self) -> Result<()> {
        let looks = self.memory.is_time_to_look();
        if looks {
            self.memory.look()?;
        }
        match self.cannot_stay(looks) {
            None => Ok(()),
            Some(_) if self.memory.is_kept() => {
                self.end_clone();
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    fn give_back(&mut self, ranges: &[Range]) {
        if let Some(clone) = &self.clone {
            clone.give_back(ranges);
        }
    }

    fn release(&mut self) {
        self.end_clone();
        self.memory.release();
    }

    fn unbind(&mut self) -> Option<Box<dyn Held + Send>> {
        if !self.memory.is_kept() {
            return None;
        }
        self.end_clone();
        Some(Box::new(self.memory.take()))
    }
}

impl Drop for HeldClone {
    fn drop(&mut self) {
        self.release();
    }
}

impl Held for HeldMemory {
    fn check(&mut self) -> Result<()> {
        match self.is_time_to_look() {
            true => self.look(),
            false => Ok(()),
        }
    }

    /// Lets it go, and puts the huge pages of the target together again.
    fn release(&mut self) {
        self.frozen = None;
        self.copied = None;
        if let Some(target) = self.target.take() {
            self.huge.mend(&target);
        }
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.release();
    }
}

impl HeldMemory {
    fn new(frozen: Option<Frozen>, huge: HugePages, key: ProcessKey) -> Self {
        Self {
            key,
            target: ProcDir::open(key).ok(),
            frozen,
            huge,
            copied: Some(Copied::begin(key)),
            looked: Instant::now(),
        }
    }

    fn is_time_to_look(&mut self) -> bool {
        let is_due = self.looked.elapsed() >= LOOK_EVERY;
        if is_due {
            self.looked = Instant::now();
        }
        is_due
    }

    /// Fails if memory gets short, or the kernel has taken the memory of the clone for that.
    fn look(&self) -> Result<()> {
        let Some(target) = &self.target else {
            return Ok(());
        };
        let lost = |reason: &str| self.ended(ErrorKind::CloneLost, reason);
        clone::with_enough_memory(target).map_err(|reason| lost(&reason))?;
        match &self.frozen {
            Some(frozen) if !frozen.is_there() => Err(lost("memory was short")),
            _ => failpoint("clone-memory").map_err(|error| lost(&error.to_string())),
        }
    }

    /// Whether it is there without the clone.
    fn is_kept(&self) -> bool {
        self.frozen.as_ref().is_some_and(Frozen::is_there)
    }

    fn take(&mut self) -> Self {
        Self {
            key: self.key,
            target: self.target.take(),
            frozen: self.frozen.take(),
            huge: std::mem::take(&mut self.huge),
            copied: self.copied.take(),
            looked: self.looked,
        }
    }

    fn ended(&self, kind: ErrorKind, reason: &str) -> Error {
        let what = format!(
            "the clone of process {} was ended before all was copied, because {reason}",
            self.key
        );
        Error::new(kind, what).advise("--hold copies from the process itself.")
    }
}
