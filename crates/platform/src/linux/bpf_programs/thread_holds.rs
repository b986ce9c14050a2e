//! The uprobes of one process, which hold threads.

use super::{
    probe_program::{self, Maps, ReportsTo, Wait, control},
    probe_report::{self, HoldId, Report},
    ring::Ring,
    room::Room,
    verdicts::Verdicts,
};
use crate::{
    KindAt, failpoint,
    linux::sys::{
        bpf::{self, Attach, ProgramType, SharedWords},
        perf,
    },
};
use std::{
    ffi::{CStr, CString},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// The uprobes of one process. They are removed when this is dropped, or when we end.
pub(crate) struct ThreadHolds {
    pid: u32,
    /// The map with the counters; see [`control`].
    counters: OwnedFd,
    control: SharedWords,
    verdicts: Verdicts,
    /// The probes that report.
    now: Room,
    /// The next generation, which does not report yet, and since when there is one.
    next: Option<(Instant, Room)>,
    /// The generation before: a thread may have been about to report, or be held.
    before: Option<Room>,
    /// The number of lost reports that [`ThreadHolds::missed`] has returned so far.
    told: u64,
}

/// A place in a file at which threads are to be held.
#[derive(Clone, Copy)]
pub(crate) struct PlaceAt<'p> {
    /// The number under which threads are reported.
    pub(crate) number: u32,
    /// The file.
    pub(crate) file: &'p Path,
    /// How many bytes into the file.
    pub(crate) offset: u64,
    /// Where the type of the thrown exception is: threads that throw a type that is known and not wanted are not held.
    pub(crate) kind: Option<KindAt>,
}

/// How long a moment is waited for in which no thread is held, which would be reported by both generations.
const LONGEST_GROWTH: Duration = Duration::from_secs(1);

/// How long a thread is held if we look for its report, and it is not to be kept: where we do not come to look, nobody does.
const HOLD: Duration = Duration::from_millis(100);
/// The same while we are busy with the event of another thread.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

impl ThreadHolds {
    /// Prepares the probes of a process that has so many threads.
    ///
    /// # Errors
    /// If the kernel gives us no BPF maps, as without root.
    pub(crate) fn new(pid: u32, threads: usize) -> io::Result<Self> {
        let counters = bpf::create_map(bpf::ARRAY, 4, control::BYTES, 1, bpf::MAPPABLE)?;
        let holds = Self {
            pid,
            control: SharedWords::new(&counters, 0, rustix::param::page_size())?,
            counters,
            verdicts: Verdicts::new()?,
            now: Room::new(0, threads)?,
            next: None,
            before: None,
            told: 0,
        };
        holds.hold_for(HOLD);
        Ok(holds)
    }

    /// Says whether we look for reports from now on. While we do not, threads that come are held for `longest`, a second at most.
    ///
    /// Situation: four threads threw all the time on a machine with much to do. While a clone of the process was made and looked at
    /// for the dump of the first, which took 150 ms, the others came, waited for 100, and were gone.
    pub(crate) fn set_looking(&self, looks: bool, longest: Duration) {
        self.hold_for(match looks {
            true => HOLD,
            false => longest.clamp(HOLD, LONGEST_HOLD),
        });
    }

    fn hold_for(&self, time: Duration) {
        let longest = &self.control.words()[control::LONGEST as usize / 8];
        longest.store(time.as_nanos() as u64, Ordering::Release);
    }

    /// Returns whether this has enough room for a process that has so many threads by now.
    pub(crate) fn has_room_for(&self, threads: usize) -> bool {
        self.next.is_some() || self.now.is_enough_for(threads)
    }

    /// Begins a generation of probes with room for so many threads, beside those that report now. Each place has to be
    /// [named](ThreadHolds::at_larger_place) for it. Only when each has both is it changed which of them report: to remove the
    /// old ones first took the kernel half a second, in which nothing that was thrown was seen.
    ///
    /// # Errors
    /// As [`ThreadHolds::new`].
    pub(crate) fn begin_to_grow_for(&mut self, threads: usize) -> io::Result<()> {
        let room = Room::new(self.now.generation + 1, threads)?;
        self.next = Some((Instant::now(), room));
        Ok(())
    }

    /// Has the new generation report if there is one, and no thread is held. Returns the probes of the old one, which report
    /// no more: to remove them takes time.
    pub(crate) fn grow(&mut self) -> Vec<OwnedFd> {
        let since = self.next.as_ref().map(|(since, _)| since.elapsed());
        let is_time = since.is_some_and(|since| since > LONGEST_GROWTH || self.now.is_quiet());
        let Some((_, larger)) = self.next.take_if(|_| is_time) else {
            return Vec::new();
        };
        let reporting = &self.control.words()[control::GENERATION as usize / 8];
        reporting.store(larger.generation.into(), Ordering::Release);
        let mut old = std::mem::replace(&mut self.now, larger);
        let probes = std::mem::take(&mut old.probes);
        self.before = Some(old);
        probes.into_values().collect()
    }

    /// Whether a place has a probe that reports.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.now.probes.contains_key(&number)
    }

    /// Holds threads at a place.
    ///
    /// # Errors
    /// If the kernel does not take the program or the probe.
    pub(crate) fn at_place(&mut self, place: &PlaceAt<'_>) -> io::Result<()> {
        let probe = self.attach_any(&self.now, place)?;
        self.now.probes.insert(place.number, probe);
        self.at_larger_place(place)
    }

    /// Also has the new generation of probes hold threads at a place, if there is one.
    ///
    /// # Errors
    /// As [`ThreadHolds::at_place`].
    pub(crate) fn at_larger_place(&mut self, place: &PlaceAt<'_>) -> io::Result<()> {
        let Some((since, mut room)) = self.next.take() else {
            return Ok(());
        };
        let probe = self.attach_any(&room, place)?;
        room.probes.insert(place.number, probe);
        // Without one of its places it never reports.
        self.next = Some((since, room));
        Ok(())
    }

    /// Takes the probes that report this number out. They are removed when they are dropped, which may take a tenth of a
    /// second.
    pub(crate) fn take(&mut self, number: u32) -> Vec<OwnedFd> {
        let next = self.next.as_mut().map(|(_, room)| room);
        let rooms = std::iter::once(&mut self.now).chain(next);
        rooms
            .filter_map(|room| room.probes.remove(&number))
            .collect()
    }

    fn attach_any(&self, room: &Room, place: &PlaceAt<'_>) -> io::Result<OwnedFd> {
        let path = CString::new(place.file.as_os_str().as_encoded_bytes())?;
        self.attach(room, place, &path)
            .or_else(|_| self.attach_by_perf(room, place, &path))
    }

    fn attach(&self, room: &Room, place: &PlaceAt<'_>, path: &CStr) -> io::Result<OwnedFd> {
        failpoint("old-kernel")?;
        let (number, kind) = (place.number, place.kind);
        let program = self.load(room, number, kind, Wait::Yielding, Attach::Uprobe)?;
        bpf::attach_uprobe(&program, path, place.offset, self.pid)
    }

    fn attach_by_perf(&self, room: &Room, place: &PlaceAt<'_>, path: &CStr) -> io::Result<OwnedFd> {
        let program = self.load_for_perf(room, place.number, place.kind)?;
        let probe = perf::uprobe(uprobe_kind()?, path, place.offset, self.pid)?;
        bpf::run_at(&probe, &program)?;
        Ok(probe)
    }

    /// Checks that the kernel takes our program, and has uprobes.
    pub(crate) fn try_program(&self) -> io::Result<()> {
        self.load_for_perf(&self.now, 0, Some(KindAt::default()))?;
        uprobe_kind().map(|_| ())
    }

    /// Loads the program of a place. Where the kernel takes none that may sleep, held threads keep
    /// their processor.
    fn load_for_perf(&self, room: &Room, number: u32, kind: Option<KindAt>) -> io::Result<OwnedFd> {
        let load = |wait| self.load(room, number, kind, wait, Attach::PerfEvent);
        load(Wait::Yielding).or_else(|_| load(Wait::Spinning))
    }

    fn load(
        &self,
        room: &Room,
        number: u32,
        kind: Option<KindAt>,
        wait: Wait,
        attach: Attach,
    ) -> io::Result<OwnedFd> {
        let maps = Maps {
            control: &self.counters,
            known: &self.verdicts.numbers,
            verdicts: &self.verdicts.entries,
        };
        let to = ReportsTo {
            ring: &room.ring.map,
            slots: &room.slots,
            slot_count: room.slot_count(),
            generation: room.generation,
        };
        let program = probe_program::place(&maps, &to, number, kind, wait);
        let flags = match wait {
            Wait::Yielding => bpf::SLEEPABLE,
            Wait::Spinning => 0,
        };
        let (words, functions) = (program.words(), program.functions());
        bpf::load_with(ProgramType::Probe, words, functions, flags, attach)
    }

    /// Sets whether threads that throw exceptions of this type go on at once, and are counted. If
    /// there is no room for another type, its threads are always held.
    pub(crate) fn pass(&mut self, kind: u64, pass: bool) -> io::Result<()> {
        self.verdicts.pass(kind, pass)
    }

    /// Forgets all types, so that there is room for others: another program has its own.
    pub(crate) fn forget_kinds(&mut self) {
        self.verdicts.forget();
    }

    /// Returns how many exceptions of this type were not held.
    pub(crate) fn passed(&self, kind: u64) -> u64 {
        self.verdicts.passed(kind)
    }

    /// Returns a descriptor that can be read as soon as there is a report.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.now.ring.map.as_fd()
    }

    /// Returns the next report, if there is one.
    pub(crate) fn next(&self) -> Option<Report> {
        let old = self.before.as_ref().map(|room| &room.ring);
        let old = old.and_then(Ring::next);
        probe_report::decode(&old.or_else(|| self.now.ring.next())?)
    }

    /// Returns whether the thread is still held.
    pub(crate) fn is_held(&self, hold: HoldId) -> bool {
        self.reporting().any(|room| room.is_held(hold))
    }

    /// Lets a held thread go on.
    pub(crate) fn let_go(&self, hold: HoldId) {
        self.reporting().for_each(|room| room.let_go(hold));
    }

    /// The generations whose threads have been reported.
    fn reporting(&self) -> impl Iterator<Item = &Room> {
        std::iter::once(&self.now).chain(&self.before)
    }

    /// Returns how many hits were not reported since the last call, for lack of room in the ring.
    pub(crate) fn missed(&mut self) -> u64 {
        let lost = &self.control.words()[control::LOST as usize / 8];
        let all = lost.load(Ordering::Acquire);
        let new = all - self.told;
        self.told = all;
        new
    }
}

impl Drop for ThreadHolds {
    /// Removes the probes, and lets all held threads go on.
    fn drop(&mut self) {
        self.now.probes.clear();
        self.next = None;
        self.reporting().for_each(Room::let_all_go);
    }
}

/// Returns the type of uprobe events, which the kernel assigns when it starts (perf_event_open(2),
/// "dynamic PMU").
fn uprobe_kind() -> io::Result<u32> {
    let text = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")?;
    let kind = text.trim().parse();
    kind.map_err(|_| io::Error::other("the kernel tells no event type for uprobes"))
}

#[cfg(test)]
mod tests {
    use super::{super::room::FEW_THREADS, *};

    /// Needs root, as the maps themselves.
    #[test]
    fn n56_who_has_more_threads_gets_more_room_and_what_is_known_stays() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut holds = ThreadHolds::new(std::process::id(), 1).expect("maps");
        assert!(holds.has_room_for(FEW_THREADS) && !holds.has_room_for(FEW_THREADS + 1));
        holds.pass(0x10, true).expect("room");
        holds.pass(0x20, false).expect("room");
        holds.verdicts.entry(0)[1].store(7, Ordering::Release);
        holds.begin_to_grow_for(100).expect("maps");
        assert!(holds.has_room_for(100));
        let reports = |holds: &ThreadHolds| {
            holds.control.words()[control::GENERATION as usize / 8].load(Ordering::Acquire)
        };
        // A thread is held, of which both generations would tell.
        holds.now.words.words()[3].store(3, Ordering::Release);
        holds.grow();
        assert_eq!(reports(&holds), 0);
        holds.let_go(HoldId(3));
        holds.grow();
        assert_eq!(reports(&holds), 1);
        assert!(holds.has_room_for(100) && holds.next.is_none());
        assert_eq!((holds.passed(0x10), holds.passed(0x20)), (7, 0));
        let verdicts = [0, 1].map(|at| holds.verdicts.entry(at)[0].load(Ordering::Acquire));
        assert_eq!(verdicts, [0, 1]);
    }
}
