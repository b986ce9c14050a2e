//! A capture of which the memory is that of a clone: the target stands for its registers and for the call alone.

use super::{
    before_stop::Before,
    clone::{self, Prepared, Reason},
    frozen::Frozen,
    held_clone::{self, HeldClone},
    huge_pages::HugePages,
    kept_layout::Layout,
    kept_pages::{KeptPages, WithKept},
    kept_place::{MOST_IN_MEMORY, Place},
    memory::LiveMemory,
    object_holders,
    object_views::ObjectViews,
    pages, pauses,
    proc::{ProcDir, statm, status},
    stopped_threads::StoppedThreads,
    target::LinuxTarget,
};
use crate::{
    Capture, CaptureOptions, Error, ErrorKind, Facts, Finding, Health, Method, Result, Stop,
    capture::Held,
};
use snapshot::{FileKey, Range, Region, Thread, WallTime, Warning};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// A process that stands for less than this while it is copied is not cloned unless that is asked for: the call alone takes a
/// few milliseconds.
const WORTH_A_CLONE: Duration = Duration::from_millis(30);

/// A process that would stand for less than this for a small dump is not cloned for it, nor one that would stand for longer than the
/// other for the clone.
const SHORT: Duration = Duration::from_millis(20);
const LONGEST_FOR_SMALL: Duration = Duration::from_millis(100);

/// What is known before the stop of a process that is to be cloned.
pub(super) struct Plan {
    prepared: Prepared,
    lacking: Lacking,
    /// The objects that are put aside.
    views: ObjectViews,
    /// Where that is put aside, and how long it will take.
    place: Place,
    pause: Duration,
    huge: HugePages,
}

/// A clone that has been made.
pub(super) struct Made {
    /// Dropping it ends the clone.
    held: HeldClone,
    /// Its folder, if it has ended already.
    ended: Option<ProcDir>,
    /// What it does not have, and the content of that.
    lacking: Vec<Region>,
    kept: KeptPages,
    /// It takes a while to unmap them.
    views: ObjectViews,
    /// How large the target was (`statm`).
    size: Vec<u8>,
}

/// What was seen of a target while it stood.
pub(super) struct Seen {
    pub(super) facts: Facts,
    pub(super) threads: Vec<Thread>,
    pub(super) taken: WallTime,
    pub(super) warnings: Vec<Warning>,
}

impl LinuxTarget {
    /// Looks whether a clone is to be copied, and not the process itself.
    ///
    /// # Errors
    /// The reason against it.
    pub(super) fn plan_clone(
        &self,
        facts: &Facts,
        before: &Before,
        options: &CaptureOptions,
    ) -> std::result::Result<Plan, Reason> {
        self.wants_clone(facts, options)?;
        if self.proc.stat().is_ok_and(|stat| stat.state == 'T') {
            return Err("it is stopped already, so that no thread of it can make the call".into());
        }
        if self.is_traced && !Frozen::is_possible() {
            return Err(NOT_KEPT.into());
        }
        let failed = |error| format!("its memory map could not be read: {error}");
        let text = self.proc.read_living("maps").map_err(failed)?;
        let (mut regions, _) = snapshot::maps::parse(&text);
        before.mark(&mut regions);
        let memory = super::checked_memory::CheckedMemory::of(&self.proc, self.running_memory());
        let copied = held_clone::copied_of(self.proc.key);
        let mut prepared = clone::prepare(&self.proc, facts, copied, &regions, &*memory)?;
        if self.is_traced {
            prepared.take_along(&self.proc);
        }
        let lacking = Lacking::of(&self.proc, before, &regions);
        let aside = Layout::of(&self.proc, &lacking.regions).bytes;
        let place = Place::of(aside, before.system.memory_available)?;
        let views = ObjectViews::of(&self.proc, &lacking.regions);
        let mapped = lacking.regions.iter().filter(|region| views.show(region));
        let mapped = Layout::of(&self.proc, &mapped.cloned().collect::<Vec<_>>()).bytes;
        let pause = place.pause(aside, mapped);
        if !options.large && aside > MOST_IN_MEMORY {
            return Err("the dump is a small one".into());
        }
        expect_gain(facts, aside, pause)?;
        Ok(Plan {
            prepared,
            lacking,
            views,
            place,
            pause,
            huge: HugePages::of(&self.proc, &regions),
        })
    }

    /// Fails where nobody asks for a clone, and the process stands for a moment only without one.
    fn wants_clone(
        &self,
        facts: &Facts,
        options: &CaptureOptions,
    ) -> std::result::Result<(), Reason> {
        match options.stop {
            Stop::Clone | Stop::OnlyClone if !options.in_place => Ok(()),
            Stop::Threads if !options.large && !self.is_worth_a_clone(facts, options) => {
                Err("the dump is a small one".into())
            }
            Stop::Threads if options.large && pauses::in_place(facts, 0) < WORTH_A_CLONE => {
                Err("the process is small".into())
            }
            Stop::Threads if !options.in_place => Ok(()),
            _ => Err("it was not asked for".into()),
        }
    }

    /// Whether a process would stand for long for a small dump, and for less to be cloned.
    fn is_worth_a_clone(&self, facts: &Facts, options: &CaptureOptions) -> bool {
        let threads = self.threads();
        let small = pauses::of_small(threads) + options.reading;
        let clone = pauses::of_clone(facts, threads);
        small > SHORT && clone < LONGEST_FOR_SMALL.min(small)
    }

    fn threads(&self) -> usize {
        self.proc.tasks().map_or(1, |tasks| tasks.len())
    }

    /// Says for how long the process would stand for a large dump.
    pub(super) fn outlook(&mut self) -> Result<Finding> {
        let facts = self.gathered()?;
        let before = Before::gather(&self.proc);
        let options = CaptureOptions {
            large: true,
            ..CaptureOptions::default()
        };
        let plan = self.plan_clone(&facts, &before, &options);
        let pause = self.expected_pause(&facts, &plan, &options).as_millis();
        let is_short = plan.is_ok() || pause < WORTH_A_CLONE.as_millis();
        let how = match plan {
            Ok(_) if self.has_filter() => {
                let stands = pauses::in_place(&facts, 0).as_millis();
                format!(
                    "it is copied from a clone, unless its filter of system calls (seccomp) does not allow the calls for that, which is \
                     seen only when it stands: then it stands for about {stands} ms"
                )
            }
            Ok(_) => "it is copied from a clone".to_owned(),
            Err(why) => format!("it is copied itself, because {why}"),
        };
        Ok(Finding {
            what: "large dumps of it".to_owned(),
            health: if is_short { Health::Good } else { Health::Weak },
            found: format!("it is expected to stand for about {pause} ms: {how}"),
            advice: String::new(),
        })
    }

    fn has_filter(&self) -> bool {
        let status = self.proc.read("status").unwrap_or_default();
        status::field(&status, "Seccomp").is_some_and(|mode| mode != "0")
    }

    fn expected_pause(
        &self,
        facts: &Facts,
        plan: &std::result::Result<Plan, Reason>,
        options: &CaptureOptions,
    ) -> Duration {
        let threads = self.threads();
        match plan {
            Ok(plan) => pauses::of_clone(facts, threads) + plan.pause,
            Err(_) if !options.large => pauses::of_small(threads) + options.reading,
            Err(_) => pauses::in_place(facts, threads),
        }
    }

    /// Fails if the process is expected to stand for longer than it may.
    pub(super) fn expect_pause(
        &self,
        facts: &Facts,
        plan: &std::result::Result<Plan, Reason>,
        options: &CaptureOptions,
    ) -> Result<()> {
        let Some(most) = options.max_pause else {
            return Ok(());
        };
        let expected = self.expected_pause(facts, plan, options);
        if expected <= most {
            return Ok(());
        }
        let (most, expected) = (most.as_millis(), expected.as_millis());
        let why = plan
            .as_ref()
            .err()
            .filter(|_| options.large)
            .map(|why| format!(" (there can be no clone, because {why})"));
        let what = format!(
            "process {} would stand for about {expected} ms, longer than the {most} ms of --max-pause{}",
            self.proc.key,
            why.unwrap_or_default()
        );
        Err(
            Error::new(ErrorKind::TimedOut, what).advise(if options.large {
                "A mini dump stops it for some milliseconds; --no-stop does not stop it."
            } else {
                "--no-stop does not stop it."
            }),
        )
    }

    /// Makes the clone, while all threads stand, and copies what it does not have.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn make_clone(
        &self,
        plan: Plan,
        before: &Before,
        threads: &mut StoppedThreads,
    ) -> std::result::Result<Made, Reason> {
        let memory = LiveMemory::new(self.proc.living_tid(), self.proc.open_living("mem").ok());
        let memory = Arc::new(memory);
        let lacking = plan.lacking.by_now(&self.proc, before)?;
        let shown = Arc::new(plan.views.over(&lacking, memory.clone()));
        let kept = KeptPages::put_aside(&self.proc, &lacking, shown.clone(), plan.place)?;
        if shown.is_lost() {
            return Err("the place where what a clone lacks was put aside has failed".into());
        }
        let size = self.proc.read("statm").unwrap_or_default();
        let (prepared, proc) = (&plan.prepared, &self.proc);
        let (held, ended) = match threads {
            StoppedThreads::Once(threads) => {
                let clone = clone::make(prepared, proc, threads, &*memory)?;
                (HeldClone::new(clone, plan.huge, proc.key), None)
            }
            StoppedThreads::Traced(_) => {
                let (frozen, of_clone) = threads.with(|threads| {
                    clone::make_for_a_moment(prepared, proc, threads, &*memory, frozen)
                })?;
                let held = HeldClone::of_ended(frozen, plan.huge, proc.key);
                (held, Some(of_clone))
            }
        };
        Ok(Made {
            held,
            ended,
            size,
            kept,
            lacking,
            views: plan.views,
        })
    }

    /// Lets the target go on, and makes the capture of its clone.
    pub(super) fn cloned(
        &self,
        mut made: Made,
        mut threads: StoppedThreads,
        before: &Before,
        seen: Seen,
    ) -> Result<Capture> {
        let since = threads.with(|threads| threads.since);
        threads.release();
        let pause = since.elapsed();
        let mut held = made.held;
        let has_ended = made.ended.is_some();
        let of_clone = Self::of(match made.ended {
            Some(of_clone) => of_clone,
            None => held.settle()?,
        });
        made.kept.settle();
        drop(made.views);
        let mut warnings = seen.warnings;
        let mut snapshot =
            of_clone.snapshot(seen.facts, before, seen.threads, seen.taken, &mut warnings)?;
        let regions = &mut snapshot.regions;
        warnings.extend(missing(&made.size, &of_clone.proc, &made.lacking, regions));
        add_lacking(regions, made.lacking);
        add_shared(&self.proc, regions, &made.kept);
        let memory = LiveMemory::of_file(of_clone.proc.open_living("mem").map_err(|error| {
            Error::of_process("opening the memory of the clone", self.proc.key, &error)
        })?);
        // The files behind the mappings are those of a process that is there.
        let living = if has_ended { self } else { &of_clone };
        let on_demand = of_clone.on_demand(regions);
        let memory = living.memory_with(on_demand, memory, regions, &mut warnings);
        warnings.extend(not_frozen(regions, &made.kept));
        let memory = Arc::new(WithKept {
            memory,
            kept: made.kept,
        });
        let held = Some(Box::new(held) as Box<dyn Held>);
        let mut capture = Capture::new(snapshot, memory, held, Some(since), warnings);
        capture.method = Method::Clone;
        capture.let_go_after(pause);
        Ok(capture)
    }
}

impl Plan {
    /// Does what need not be done while the process stands. `is_held` says whether a thread of it does already.
    pub(super) fn set_up(&mut self, options: &CaptureOptions, is_held: bool) {
        self.place.set_up(&self.views, options, is_held);
    }
}

/// Keeps the memory of a clone that is ended next.
fn frozen(pid: u32) -> std::result::Result<(Frozen, ProcDir), Reason> {
    let mut of_clone = ProcDir::open_pid(pid).map_err(|error| error.to_string())?;
    let frozen = Frozen::of_ending(&mut of_clone);
    let frozen = frozen.map_err(|error| format!("its memory could not be kept: {error}"))?;
    Ok((frozen, of_clone))
}

/// Who copies from a clone for long cannot see to threads meanwhile that stop all the time, nor have one wait for the clone.
const NOT_KEPT: &str = "it is watched all the time, and to keep the memory of a clone takes root";

/// Fails if the process would stand for more than half as long as without a clone, because a clone lacks much of it.
fn expect_gain(facts: &Facts, aside: u64, pause: Duration) -> std::result::Result<(), Reason> {
    match aside <= MOST_IN_MEMORY || 2 * pause <= pauses::in_place(facts, 0) {
        true => Ok(()),
        false => {
            let mib = aside >> 20;
            Err(format!("{mib} MiB of its memory would not be in a clone"))
        }
    }
}

/// What a clone of a process does not have, or has in common with it: what was kept from forks, huge pages of hugetlbfs (a
/// write of the target may take them from the child), and shared objects that it writes to and nobody else has mapped.
struct Lacking {
    /// Ascending.
    regions: Vec<Region>,
    /// Those objects.
    objects: HashSet<FileKey>,
}

impl Lacking {
    fn of(proc: &ProcDir, before: &Before, regions: &[Region]) -> Self {
        let written = |region: &&Region| shows_object(region) && region.protection.write;
        let written: Vec<Region> = regions.iter().filter(written).cloned().collect();
        let common = object_holders::others_have(proc.key.pid as i32, &written);
        let own = written.iter().map(Region::file_key);
        let objects: HashSet<FileKey> = own.filter(|key| !common.contains(key)).collect();
        let is_lacking = |region: &&Region| {
            before.is_not_copied(region)
                || region.hugetlb && !region.shared
                || shows_object(region) && objects.contains(&region.file_key())
        };
        Self {
            regions: regions.iter().filter(is_lacking).cloned().collect(),
            objects,
        }
    }

    /// The regions as they are when the process stands: it may have moved what it shows of its objects since, as ZGC does.
    ///
    /// # Errors
    /// If the memory map cannot be read.
    fn by_now(self, proc: &ProcDir, before: &Before) -> std::result::Result<Vec<Region>, Reason> {
        if self.objects.is_empty() {
            return Ok(self.regions);
        }
        let failed = |error| format!("its memory map could not be read: {error}");
        let text = proc.read_living("maps").map_err(failed)?;
        let (mut now, _) = snapshot::maps::parse(&text);
        before.mark(&mut now);
        let is_of_one =
            |region: &Region| shows_object(region) && self.objects.contains(&region.file_key());
        now.retain(is_of_one);
        now.extend(self.regions.into_iter().filter(|region| !is_of_one(region)));
        now.sort_unstable_by_key(|region| region.range.start);
        Ok(now)
    }
}

fn shows_object(region: &Region) -> bool {
    region.shared && region.inode != 0 && !region.remote && !region.untouchable
}

/// Returns a warning of memory that is read while others may write to it: what was not `kept` of shared objects.
fn not_frozen(regions: &[Region], kept: &KeptPages) -> Option<Warning> {
    let is_kept = |region: &Region| kept.within(region.range).next().is_some();
    let is_read = |region: &&Region| {
        let is_written = region.shared && region.protection.write && !region.untouchable;
        is_written && !region.resident.is_empty() && !is_kept(region)
    };
    let mut read = regions.iter().filter(is_read);
    let first = read.next()?;
    let more: Vec<_> = read.collect();
    let bytes: u64 = more.iter().map(|region| region.resident_bytes()).sum();
    let bytes = bytes + first.resident_bytes();
    let others = match more.len() {
        0 => String::new(),
        count => format!(" and {count} others"),
    };
    Some(format!(
        "{bytes} bytes of memory that it shares with others ({}{others}) were read after the process went on: --hold has it stand meanwhile",
        first.name
    ))
}

/// Returns a warning if the target had mapped more than its clone has and was known to lack: something that it kept from
/// forks a moment ago.
fn missing(
    size: &[u8],
    clone: &ProcDir,
    lacking: &[Region],
    regions: &[Region],
) -> Option<Warning> {
    let of_target = statm::parse(size)?.size;
    let of_clone = statm::parse(&clone.read("statm").ok()?)?.size;
    let is_absent = |lacking: &&Region| {
        let after = regions.partition_point(|r| r.range.end <= lacking.range.start);
        let next = regions.get(after);
        next.is_none_or(|r| r.range.intersect(lacking.range).is_none())
    };
    let known: u64 = lacking
        .iter()
        .filter(is_absent)
        .map(|region| region.range.len())
        .sum();
    let page = rustix::param::page_size() as u64;
    let bytes = (of_target.saturating_sub(of_clone) * page).saturating_sub(known);
    (bytes > 0).then(|| {
        format!(
            "{bytes} bytes that the process had mapped are missing: its clone does not have them"
        )
    })
}

/// Adds regions that are not in the clone at all.
fn add_lacking(regions: &mut Vec<Region>, lacking: Vec<Region>) {
    for region in lacking {
        let at = regions.partition_point(|other| other.range.start < region.range.start);
        let mut beside = regions[at.saturating_sub(1)..].iter().take(2);
        if beside.all(|other| other.range.intersect(region.range).is_none()) {
            regions.insert(at, region);
        }
    }
}

/// Adds the pages of files and of shared memory, which a fork does not put into the page tables of the child, and what was
/// kept.
fn add_shared(target: &ProcDir, regions: &mut [Region], kept: &KeptPages) {
    let mut of_target: Vec<Region> = regions
        .iter()
        .filter(|region| region.inode != 0)
        .map(|region| Region {
            resident: Vec::new(),
            private_pages: Vec::new(),
            ..region.clone()
        })
        .collect();
    let page_size = rustix::param::page_size() as u64;
    if let Ok(pagemap) = target.open_living("pagemap") {
        // What cannot be looked at has, at worst, no pages but those of the clone.
        let _ = pages::fill(&pagemap, &mut of_target, page_size);
    }
    let mut found = of_target.into_iter().peekable();
    for region in regions {
        let mut more: Vec<Range> = kept.within(region.range).collect();
        if let Some(of_target) = found.next_if(|other| other.range == region.range) {
            more.extend(of_target.resident);
        }
        if !more.is_empty() {
            more.extend(std::mem::take(&mut region.resident));
            region.resident = snapshot::coalesce(more, 0);
            let is_own = !region.shared && region.inode == 0;
            if is_own {
                region.private_pages.clone_from(&region.resident);
            }
        }
    }
}
