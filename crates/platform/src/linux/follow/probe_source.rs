//! The source of breakpoint events: threads that come to a place in the code are held there by
//! uprobes (see [`bpf_programs`](crate::linux::bpf_programs)).

use super::{
    held_by::HeldBy,
    source::{Source, Wanted},
};
use crate::{
    ArmedPlace, Arming, Error, ErrorKind, Result,
    error::{MORE_DESCRIPTORS, is_lack_of_descriptors},
    linux::{
        ImageFiles,
        bpf_programs::{PlaceAt, Report, ThreadHolds},
        proc::ProcDir,
        sys::haste::Haste,
    },
};
use snapshot::{ProcessKey, TargetEvent};
use std::{
    collections::BTreeSet,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The uprobes of one process.
#[derive(Default)]
pub(super) struct ProbeSource {
    holds: Option<ThreadHolds>,
    /// The numbers of the places that have a probe.
    armed: BTreeSet<u32>,
    idle: Idle,
    /// A thread that is held waits for us for a moment only.
    haste: Option<Haste>,
}

/// Probes in files that the process does not have mapped now.
///
/// Situation: a program that executes one program after the other lost half of its libraries at each, and had them again a
/// moment later. To remove a probe takes the kernel up to 100 ms (it waits until no processor can be in it), for which
/// the process stood.
#[derive(Default)]
struct Idle {
    numbers: BTreeSet<u32>,
    since: Option<Instant>,
    /// Those that are being removed.
    removal: Option<JoinHandle<()>>,
}

/// How long probes may be idle, and how many at once: their files stay open.
const IDLE_FOR: Duration = Duration::from_secs(1);
const MOST_IDLE: usize = 8;

impl ProbeSource {
    /// Returns whether a place has no probe yet.
    pub(super) fn lacks(&self, what: &Arming) -> bool {
        let mut places = what.places.iter();
        places.any(|place| !self.armed.contains(&place.number))
    }

    /// Returns whether the thread of this report is still held.
    pub(super) fn is_held(&self, report: &Report) -> bool {
        let holds = self.holds.as_ref();
        holds.is_none_or(|holds| holds.is_held(report.hold))
    }

    /// Keeps the calling thread from running before all others all the time.
    pub(super) fn keep_haste_within(&mut self) {
        if let Some(haste) = &mut self.haste {
            haste.keep_within();
        }
    }

    /// See [`ThreadHolds::set_looking`].
    pub(super) fn set_looking(&self, looks: bool, longest: Duration) {
        if let Some(holds) = &self.holds {
            holds.set_looking(looks, longest);
        }
    }

    /// Takes the next report, if there is one.
    pub(super) fn take(&self) -> Option<Report> {
        self.holds.as_ref()?.next()
    }

    /// Lets the thread of this report go on.
    pub(super) fn let_go(&self, report: &Report) {
        if let Some(holds) = &self.holds {
            holds.let_go(report.hold);
        }
    }

    /// See [`Follow::pass`](crate::Follow::pass).
    pub(super) fn pass(&mut self, kind: u64, pass: bool) {
        if let Some(holds) = &mut self.holds {
            // If there is no room for another type, its threads are always held.
            let _ = holds.pass(kind, pass);
        }
    }

    /// See [`Follow::forget_kinds`](crate::Follow::forget_kinds).
    pub(super) fn forget_kinds(&mut self) {
        if let Some(holds) = &mut self.holds {
            holds.forget_kinds();
        }
    }

    /// Returns how many exceptions of this type have passed unreported; `None` if there are no
    /// probes.
    pub(super) fn passed(&self, kind: u64) -> Option<u64> {
        self.holds.as_ref().map(|holds| holds.passed(kind))
    }

    fn arm_new<'w>(
        &mut self,
        key: ProcessKey,
        threads: usize,
        new: Vec<&'w ArmedPlace>,
        wanted: &mut Wanted<'w>,
    ) -> Result<()> {
        if self.holds.is_none() {
            match ThreadHolds::new(key.pid, threads) {
                Ok(holds) => self.holds = Some(holds),
                Err(error) if are_all_that_is_wanted(wanted.what) => return Err(unseen(&error)),
                Err(error) => {
                    let instead = wanted.what.holds.unsafe_breakpoints;
                    // Nothing is armed that another program would lack.
                    wanted.executions = false;
                    wanted.notices.push(no_probes(&error, instead));
                    wanted
                        .without_probe
                        .extend(new.into_iter().filter(|_| instead));
                    return Ok(());
                }
            }
        }
        // One that is still there beside the new one would report each hit twice.
        self.idle.wait_for_removal();
        self.haste.get_or_insert_with(Haste::begin);
        let files = ImageFiles::of(key);
        for place in new {
            match self.arm_place(files.as_ref(), place) {
                Ok(()) => drop(self.armed.insert(place.number)),
                // The process has ended: each further place would cost the kernel as much, in vain.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                // It is ending, or runs another program by now, which is seen when it is looked again.
                Err(_) if !ImageFiles::of(key).is_some_and(|now| now.has(&place.module)) => {
                    return Ok(());
                }
                Err(error) => wanted.notices.push(not_armed(place, &error)),
            }
        }
        Ok(())
    }

    /// A process that had few threads may have many by now: its places are armed anew beside those that are, and take over
    /// when no thread is held.
    fn enlarge_for(&mut self, key: ProcessKey, threads: usize, places: &[ArmedPlace]) {
        let Some(holds) = &mut self.holds else { return };
        if holds.has_room_for(threads) || holds.begin_to_grow_for(threads).is_err() {
            return;
        }
        let files = ImageFiles::of(key);
        for place in places.iter().filter(|p| self.armed.contains(&p.number)) {
            if let Some(path) = files.as_ref().and_then(|files| files.path(&place.module)) {
                // Where one fails, all stay as they are.
                let _ = holds.at_larger_place(&place_at(place, &path));
            }
        }
    }

    /// Lets the probes with more room take over, if there are any. The old ones, which report no more, are removed aside.
    fn grow(&mut self) {
        let Some(holds) = &mut self.holds else { return };
        let old = holds.grow();
        if old.is_empty() {
            return;
        }
        self.armed.retain(|number| holds.has(*number));
        self.idle.numbers.retain(|number| holds.has(*number));
        // They may go on beside those that are set next.
        drop(remove_aside(old));
    }

    /// The probes that stay are not touched: a thread may be held there just now, as that of a program which was executed
    /// while the one before was looked at.
    fn keep_only(&mut self, what: &Arming) {
        let numbers: BTreeSet<u32> = what.places.iter().map(|place| place.number).collect();
        self.idle.numbers = self.armed.difference(&numbers).copied().collect();
        self.idle.since = None;
        if !what.keeps_places || self.idle.numbers.len() > MOST_IDLE {
            drop(self.take_idle());
        } else if !self.idle.numbers.is_empty() {
            self.idle.since = Some(Instant::now());
        }
    }

    /// Takes the idle probes out. They are removed when they are dropped.
    fn take_idle(&mut self) -> Vec<OwnedFd> {
        let numbers = std::mem::take(&mut self.idle.numbers);
        self.idle.since = None;
        self.armed.retain(|number| !numbers.contains(number));
        let holds = self.holds.as_mut();
        let probes = holds.map(|holds| numbers.iter().flat_map(|number| holds.take(*number)));
        probes.into_iter().flatten().collect()
    }

    fn arm_place(&mut self, files: Option<&ImageFiles>, place: &ArmedPlace) -> io::Result<()> {
        let path = files.and_then(|files| files.path(&place.module));
        let path = path.ok_or_else(|| io::Error::other("its file cannot be opened"))?;
        match &mut self.holds {
            Some(holds) => holds.at_place(&place_at(place, &path)),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Source for ProbeSource {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        let what = wanted.what;
        if what.places.is_empty() && !what.keeps_places {
            *self = Self::default();
            return Ok(());
        }
        let threads = proc.tasks().map_or(1, |tasks| tasks.len());
        let is_new = |place: &&ArmedPlace| !self.armed.contains(&place.number);
        let new: Vec<&ArmedPlace> = what.places.iter().filter(is_new).collect();
        if !new.is_empty() {
            self.arm_new(proc.key, threads, new, wanted)?;
        }
        self.enlarge_for(proc.key, threads, &what.places);
        self.keep_only(what);
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.holds.as_ref().map(ThreadHolds::descriptor)
    }

    fn due(&self) -> Option<Instant> {
        self.idle.since.map(|since| since + IDLE_FOR)
    }

    fn next(&mut self, _: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            let probes = self.take_idle();
            self.idle.remove(probes);
        }
        self.grow();
        let report = self.take()?;
        Some((event(&report), HeldBy::Probe(report)))
    }

    fn program_replaced(&mut self, by_other_thread: bool) {
        // The kernel knows the process by the thread that was the first one, which is no more.
        if by_other_thread {
            *self = Self::default();
        }
    }

    fn missed(&mut self) -> u64 {
        self.holds.as_mut().map_or(0, ThreadHolds::missed)
    }
}

impl Idle {
    fn remove(&mut self, probes: Vec<OwnedFd>) {
        self.wait_for_removal();
        self.removal = remove_aside(probes);
    }

    fn wait_for_removal(&mut self) {
        if let Some(removal) = self.removal.take() {
            let _ = removal.join();
        }
    }
}

fn place_at<'p>(place: &ArmedPlace, file: &'p Path) -> PlaceAt<'p> {
    PlaceAt {
        number: place.number,
        file,
        offset: place.offset,
        kind: place.kind,
    }
}

/// Removes probes in a thread of its own: meanwhile others may report. Without a thread they are removed here.
fn remove_aside(probes: Vec<OwnedFd>) -> Option<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("removal".to_owned());
    thread.spawn(move || drop(probes)).ok()
}

/// Returns the event that a thread came to a place.
pub(super) fn event(report: &Report) -> TargetEvent {
    TargetEvent::Breakpoint {
        place: report.place,
        thread: report.thread as u32,
        ends: None,
    }
}

/// Returns the notice that a place could not be armed.
pub(super) fn not_armed(place: &ArmedPlace, error: &io::Error) -> String {
    let (path, offset) = (&place.module.path, place.offset);
    format!("no probe could be put at {path}+{offset:#x}: {error}")
}

/// Whether a watch without probes would never see anything.
fn are_all_that_is_wanted(what: &Arming) -> bool {
    let alone = Arming {
        modules: what.modules,
        holds: what.holds,
        places: what.places.clone(),
        keeps_places: what.keeps_places,
        ..Arming::default()
    };
    *what == alone && !what.holds.unsafe_breakpoints
}

fn unseen(error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
        _ => ErrorKind::Unsupported,
    };
    Error::new(kind, no_probes(error, false))
}

fn no_probes(error: &io::Error, instead: bool) -> String {
    if is_lack_of_descriptors(error) {
        return format!(
            "throws, breakpoints and modules that are loaded are not seen, as firstchance has too many open files. {MORE_DESCRIPTORS}"
        );
    }
    let why = format!("uprobes cannot be used here ({error})");
    match instead {
        true => format!(
            "{why}: hardware breakpoints are used for throws, breakpoints and modules that are loaded; each stops the thread for \
             some 20 µs, and the process dies if firstchance is killed at that moment"
        ),
        false => format!(
            "{why}, so throws, breakpoints and modules that are loaded are not seen: run as root on Linux 5.17 or later, or use \
             `firstchance watch … --unsafe-breakpoints`, with which the process may die if firstchance is killed"
        ),
    }
}
