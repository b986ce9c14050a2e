//! What those who read a small dump will ask for: it is read while the process is held, and goes into the dump.
//!
//! `inspect` tells who waits for whom, what an interpreter runs, why a process died. It follows pointers for that, far beyond the
//! stacks. No list of ranges could say what it needs, so it looks at the process itself, through memory that keeps account.

use super::{images::Images, local_files::LocalFiles};
use analysis::{Files, NoFiles, OpenImages, Stacks, examine, examine_rest};
use platform::{Method, Target};
use snapshot::{
    DumpKind, Memory, Range, RecentPages, Recording, Snapshot, Warning, coalesce, without,
};
use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// How long a process stands at most to be read: what was not reached by then is missing.
const STANDING: Duration = Duration::from_millis(100);
/// How long a clone is read at most, or a process that runs.
const AT_LEISURE: Duration = Duration::from_secs(2);
/// How long one is read that has died: its stack may be as deep as it could become, with 300,000 frames to be walked.
const WHEN_DEAD: Duration = Duration::from_secs(10);
/// How long a running process is looked at beforehand.
const BEFOREHAND: Duration = Duration::from_secs(1);
/// So little time is not measured a second time.
const SHORT: Duration = Duration::from_millis(5);
/// The most that a small dump takes of what was read, in bytes.
const MOST: u64 = 64 << 20;

/// The readers, with the files that they need: those are opened, and their tables read, while nobody stands.
pub(super) struct Readers {
    with_files: Reader,
    without_files: Reader,
    /// The tables and symbols of images in memory, which are read beforehand.
    tables: Vec<Range>,
    /// How long they are expected to take.
    pub(super) expected: Duration,
}

/// What was read.
pub(super) struct Touched {
    pub(super) ranges: Vec<Range>,
    /// What is missing, as a sentence.
    pub(super) warning: Option<Warning>,
}

impl Readers {
    /// Prepares for a process of this user, by looking at it while it runs. The modules are the ones that `known` has identified.
    pub(super) fn prepare(target: &mut dyn Target, known: &Images, user: Option<u32>) -> Self {
        let mut readers = Self {
            with_files: Reader {
                files: Arc::new(LocalFiles {
                    images: target.image_files(),
                    user,
                }),
                images: Arc::default(),
            },
            without_files: Reader {
                files: Arc::new(NoFiles),
                images: Arc::new(OpenImages::with_those_of_memory()),
            },
            tables: Vec::new(),
            expected: Duration::ZERO,
        };
        if let Some((mut snapshot, memory)) = target.glance() {
            // What it has loaded since has no identity, and is opened later.
            let _ = known.put_to(&mut snapshot.modules, &*memory);
            // What changes meanwhile makes no difference to how long it takes.
            let memory: Arc<dyn Memory> = Arc::new(RecentPages::of(memory));
            readers.rehearse(&Arc::new(snapshot), &memory);
        }
        readers
    }

    /// Looks at the running process, twice if the first time takes long: by then all files are open.
    fn rehearse(&mut self, snapshot: &Arc<Snapshot>, memory: &Arc<dyn Memory>) {
        let end = Instant::now() + BEFOREHAND;
        for _ in 0..2 {
            let began = Instant::now();
            let recording = Arc::new(Recording::of_pages(memory.clone(), MOST));
            self.with_files.run(snapshot, &recording, end);
            self.expected = began.elapsed();
            self.read_tables(snapshot, memory, end);
            if self.expected < SHORT || Instant::now() > end {
                break;
            }
        }
    }

    /// Opens the images that are in memory, and keeps in mind what was read for that.
    fn read_tables(&mut self, snapshot: &Arc<Snapshot>, memory: &Arc<dyn Memory>, end: Instant) {
        let recording = Arc::new(Recording::of_pages(memory.clone(), MOST));
        self.without_files.run(snapshot, &recording, end);
        let may_change = snapshot.regions.iter().filter(|r| r.protection.write);
        let may_change: Vec<Range> = may_change.map(|region| region.range).collect();
        let read = without(&recording.ranges(), &may_change);
        self.tables.extend(read);
    }

    /// Reads a process that is held by `method`, until `end` at the latest: pages for a mini dump, and no more than the bytes themselves
    /// for a triage dump, which has nothing else of the memory around them.
    pub(super) fn read(
        &self,
        kind: DumpKind,
        snapshot: &Snapshot,
        memory: &Arc<dyn Memory>,
        method: Method,
        end: Option<Instant>,
    ) -> Touched {
        let memory: Arc<dyn Memory> = match method {
            Method::NotStopped => memory.clone(),
            _ => Arc::new(RecentPages::of(memory.clone())),
        };
        let time = match method {
            Method::Stopped => STANDING,
            Method::Clone | Method::NotStopped => AT_LEISURE,
            Method::Crash => WHEN_DEAD,
        };
        let until = Instant::now() + time;
        let until = end.map_or(until, |end| end.min(until));
        let snapshot = Arc::new(snapshot.clone());
        if kind == DumpKind::Triage {
            let recording = Arc::new(Recording::of_bytes(memory, MOST));
            let is_whole = self.with_files.run(&snapshot, &recording, until);
            return touched(&[&recording], &[], is_whole, time);
        }
        let [first, second] =
            [(), ()].map(|()| Arc::new(Recording::of_pages(memory.clone(), MOST)));
        let is_whole = self.with_files.run(&snapshot, &first, until);
        // Whoever has none of the files finds everything in a full dump.
        let is_whole = is_whole && self.without_files.run(&snapshot, &second, until);
        touched(&[&first, &second], &self.tables, is_whole, time)
    }
}

/// What one run of the readers is made with.
struct Reader {
    files: Arc<dyn Files + Send + Sync>,
    images: Arc<OpenImages>,
}

impl Reader {
    /// Runs the readers on another thread: what they meet is the process's making, and the thread that holds it must not be kept by them.
    /// Returns whether they came to their end.
    fn run(&self, snapshot: &Arc<Snapshot>, recording: &Arc<Recording>, until: Instant) -> bool {
        let (done, waits) = mpsc::channel();
        let (snapshot, memory) = (snapshot.clone(), recording.clone());
        let (images, files) = (self.images.clone(), self.files.clone());
        std::thread::spawn(move || {
            let stacks = Stacks::new(&snapshot, &*memory, &*files).with_opened(&images);
            drop(examine(&snapshot, &*memory, stacks));
            examine_rest(&snapshot, &*memory);
            // Who has ceased to wait needs no answer.
            let _ = done.send(());
        });
        let left = until.saturating_duration_since(Instant::now());
        let is_whole = waits.recv_timeout(left).is_ok();
        recording.close();
        is_whole
    }
}

fn touched(recordings: &[&Recording], more: &[Range], is_whole: bool, time: Duration) -> Touched {
    let read = recordings.iter().flat_map(|recording| recording.ranges());
    let is_full = recordings.iter().any(|recording| recording.is_full());
    Touched {
        ranges: coalesce(read.chain(more.iter().copied()).collect(), 0),
        warning: lack(is_whole, is_full, time),
    }
}

/// A sentence about what was not read.
fn lack(is_whole: bool, is_full: bool, time: Duration) -> Option<Warning> {
    let why = match (is_whole, is_full) {
        (false, _) => format!("reading it took longer than {} ms", time.as_millis()),
        (true, true) => format!("it is more than {} MiB", MOST >> 20),
        (true, false) => return None,
    };
    Some(format!(
        "some of what tells what threads run and wait for is not in this dump, because {why}: a full dump has it"
    ))
}
