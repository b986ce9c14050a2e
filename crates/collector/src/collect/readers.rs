//! What those who read a small dump will ask for: it is read while the process is held, and goes into the dump.
//!
//! `inspect` tells who waits for whom, what an interpreter runs, why a process died. It follows pointers for that, far beyond the
//! stacks. No list of ranges could say what it needs, so it looks at the process itself, through memory that keeps account.

use super::{
    Request,
    images::Images,
    local_files::LocalFiles,
    opened::{InUse, Opened},
};
use analysis::{Files, NoFiles, OpenImages, Stacks, examine, examine_rest};
use platform::{Method, Target, lock};
use snapshot::{
    DumpKind, Memory, Module, Range, RecentPages, Recording, Snapshot, Warning, coalesce, without,
};
use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

/// How long a process stands at most to be read: what was not reached by then is missing.
const STANDING: Duration = Duration::from_millis(100);
/// How long a clone is read at most, or a process that runs.
const AT_LEISURE: Duration = Duration::from_secs(2);
/// How long one is read that dies or has died: its stack may be as deep as it could become, with 300,000 frames to be walked.
const WHEN_DEAD: Duration = Duration::from_secs(10);
/// How long a running process is looked at beforehand.
const BEFOREHAND: Duration = Duration::from_secs(1);
/// So little time is not measured a second time.
const SHORT: Duration = Duration::from_millis(5);
/// How long it takes about to open an image, for each MiB of it.
const PER_MIB: Duration = Duration::from_millis(1);
/// The most that a small dump takes of what was read, in bytes.
const MOST: u64 = 64 << 20;

/// Held while a clone is read. Where several threads throw all the time, clones would otherwise be read by many threads at once,
/// and those that throw wait longer for the thread that sees to them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The readers, with the files that they need: those are opened, and their tables read, while nobody stands.
pub(super) struct Readers {
    files: Arc<LocalFiles>,
    opened: Opened,
    _in_use: InUse,
    /// How long the process may stand to be read.
    standing: Duration,
    /// How long it takes the first time.
    first: Duration,
}

/// What was read.
pub(super) struct Touched {
    pub(super) ranges: Vec<Range>,
    /// What is missing, as a sentence.
    pub(super) warning: Option<Warning>,
}

impl Touched {
    /// Nothing, as a sentence with this reason says.
    pub(super) fn nothing(why: &str) -> Self {
        Self {
            ranges: Vec::new(),
            warning: Some(missing(why)),
        }
    }
}

impl Readers {
    /// Prepares for a process of this user. If it was not read before, that is tried while it runs. The modules are the ones that
    /// `known` has identified, among these `modules`.
    pub(super) fn prepare(
        target: &mut dyn Target,
        request: &Request,
        known: &Images,
        mut modules: Vec<Module>,
        user: Option<u32>,
    ) -> Self {
        let readers = Self {
            files: Arc::new(LocalFiles {
                images: target.image_files(),
                user,
            }),
            _in_use: request.opened.begin_use(),
            opened: request.opened.clone(),
            standing: longest_standing(request),
            first: to_open(&modules),
        };
        known.put_known(&mut modules);
        readers.opened.keep_those_of(&modules);
        // Their names may take megabytes.
        drop(modules);
        let is_first = readers.opened.took().is_none();
        if let Some((mut snapshot, memory)) = is_first.then(|| target.glance()).flatten() {
            // What it has loaded since has no identity, and is opened later.
            known.put_known(&mut snapshot.modules);
            // What changes meanwhile makes no difference to how long it takes.
            let memory: Arc<dyn Memory> = Arc::new(RecentPages::of(memory));
            readers.rehearse(&Arc::new(snapshot), &memory);
        }
        readers
    }

    /// How long the process is expected to stand if it stands to be read.
    pub(super) fn expected(&self) -> Duration {
        if self.standing == WHEN_DEAD {
            // It is no matter of one that dies.
            return Duration::ZERO;
        }
        let took = self.opened.took().unwrap_or(self.first);
        took.min(self.standing)
    }

    /// Looks at the running process, twice if the first time takes long: by then all files are open.
    fn rehearse(&self, snapshot: &Arc<Snapshot>, memory: &Arc<dyn Memory>) {
        let end = Instant::now() + BEFOREHAND;
        for _ in 0..2 {
            let recording = || Arc::new(Recording::of_pages(memory.clone(), MOST));
            let began = Instant::now();
            self.with_files()
                .of_running()
                .run(snapshot, &recording(), end);
            let took = began.elapsed();
            let reader = self.without_files().of_running();
            self.read_without_files(reader, snapshot, &recording(), end);
            self.opened.set_took(took);
            if took < SHORT || Instant::now() > end {
                break;
            }
        }
    }

    /// Reads a process that is held by `method`, until `end` at the latest: pages for a mini dump, and no more than the bytes themselves
    /// for a triage dump, which has nothing else of the memory around them.
    pub(super) fn read(
        &self,
        kind: DumpKind,
        snapshot: &Arc<Snapshot>,
        memory: &Arc<dyn Memory>,
        method: Method,
        end: Option<Instant>,
    ) -> Touched {
        let memory: Arc<dyn Memory> = match method {
            Method::NotStopped => memory.clone(),
            _ => Arc::new(RecentPages::of(memory.clone())),
        };
        let time = match method {
            Method::Stopped => self.standing,
            Method::Clone | Method::NotStopped => AT_LEISURE,
            Method::Crash => WHEN_DEAD,
        };
        let turn = (method == Method::Clone).then(|| lock(&ONE_AT_A_TIME));
        let began = Instant::now();
        let until = began + time;
        let until = end.map_or(until, |end| end.min(until));
        let is_triage = kind == DumpKind::Triage;
        let recording = match is_triage {
            true => Recording::of_bytes,
            false => Recording::of_pages,
        };
        let [first, second] = [(), ()].map(|()| Arc::new(recording(memory.clone(), MOST)));
        let mut is_whole = self.with_files().run(snapshot, &first, until);
        if !is_triage && is_whole {
            // Whoever has none of the files finds everything in a full dump.
            let reader = self.without_files();
            is_whole = self.read_without_files(reader, snapshot, &second, until);
        }
        drop(turn);
        self.opened.set_took(began.elapsed());
        let tables = if is_triage {
            Vec::new()
        } else {
            self.opened.tables()
        };
        touched(&[&first, &second], &tables, is_whole, time)
    }

    /// Reads it as whoever has no files, and notes where the tables of the images are that are opened for that. Returns whether
    /// that came to its end.
    fn read_without_files(
        &self,
        reader: Reader,
        snapshot: &Arc<Snapshot>,
        recording: &Arc<Recording>,
        until: Instant,
    ) -> bool {
        let is_whole = reader.run(snapshot, recording, until);
        match is_whole && !recording.is_full() {
            true => self.opened.add_tables(of_images(snapshot, recording)),
            false => self.opened.forget_those_of_memory(),
        }
        is_whole
    }

    fn with_files(&self) -> Reader {
        Reader {
            files: self.files.clone(),
            images: self.opened.of_files(),
            patience: Duration::ZERO,
        }
    }

    fn without_files(&self) -> Reader {
        Reader {
            files: Arc::new(NoFiles),
            images: self.opened.of_memory(),
            patience: Duration::ZERO,
        }
    }
}

/// How long a process may stand to be read for this request.
fn longest_standing(request: &Request) -> Duration {
    let exception = request.trigger.exception();
    if exception.is_some_and(|exception| !exception.first_chance) {
        return WHEN_DEAD;
    }
    let half_a_pause = request.max_pause.map(|pause| pause / 2);
    half_a_pause.map_or(STANDING, |half| half.min(STANDING))
}

/// How long it takes about to open these images, which is most of what reading a process takes the first time.
fn to_open(modules: &[Module]) -> Duration {
    let bytes: u64 = modules.iter().map(|module| module.range.len()).sum();
    PER_MIB * (bytes >> 20) as u32
}

/// What one run of the readers is made with.
struct Reader {
    files: Arc<dyn Files + Send + Sync>,
    images: Arc<OpenImages>,
    /// How long its end is waited for when it has been told to end.
    patience: Duration,
}

impl Reader {
    /// As one of a process that runs meanwhile: two of them at once would take the memory of two.
    fn of_running(self) -> Self {
        Self {
            patience: BEFOREHAND,
            ..self
        }
    }

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
            drop((snapshot, memory, files));
            // Who has ceased to wait needs no answer.
            let _ = done.send(());
        });
        let left = until.saturating_duration_since(Instant::now());
        let is_whole = waits.recv_timeout(left).is_ok();
        recording.close();
        if !is_whole {
            // Whether it has ended or not, there is nothing more to do.
            let _ = waits.recv_timeout(self.patience);
        }
        is_whole
    }
}

/// What was read of images, and does not change.
fn of_images(snapshot: &Snapshot, recording: &Recording) -> Vec<Range> {
    let images = snapshot.modules.iter().map(|module| module.range).collect();
    let changes = snapshot.regions.iter().filter(|r| r.protection.write);
    let changes: Vec<Range> = changes.map(|region| region.range).collect();
    let read = recording.ranges();
    let others = without(&read, &coalesce(images, 0));
    without(&without(&read, &others), &changes)
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
    Some(missing(&why))
}

/// A sentence about what is missing for this reason.
fn missing(why: &str) -> Warning {
    format!(
        "some of what tells what threads run and wait for is not in this dump, because {why}: a full dump has it"
    )
}
