//! One request for dumps, on the OS thread that holds the target.

use super::{
    Collected, Request, Step,
    begun::{Begun, Taken, Work},
    busiest::busiest,
    chosen,
    copy::Source,
    draft::{Draft, expected},
    images::Images,
    kernel,
    names::Names,
    output_folder,
    plain_first::{Until, When},
    readers::{Readers, Touched},
    sink::Sink,
    unfinished::{Observer, Unfinished},
    watch_copy::{self, Limits},
};
use formats::{Plan, RecordSpace};
use platform::{
    Capture, CaptureOptions, Error, ErrorKind, Facts, Host, MappedFiles, Method, OutFile,
    OutStream, Result, Stop, Target, failpoint,
};
use policy::Coming;
use snapshot::{DumpFormat, DumpKind, ProcessKey, Region, Snapshot, WallTime, Warning, script};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Attaches to the process and takes the dumps.
pub(crate) fn run(
    host: &dyn Host,
    key: ProcessKey,
    request: &Request,
    start: Instant,
    observer: Observer<'_>,
) -> Collected {
    match host.attach(key) {
        Ok(mut target) => {
            let taken = run_attached(&mut *target, request, false, start, observer);
            let taken = match in_place_instead(request, &taken) {
                None => taken,
                Some(again) => {
                    // Removes what was written: the files may get their names again.
                    drop(taken);
                    run_attached(&mut *target, &again, false, start, observer)
                }
            };
            taken.finish(observer)
        }
        Err(error) => Collected {
            dumps: Vec::new(),
            error: Some(error),
        },
    }
}

/// Returns the request for the same dumps of the process itself, if its clone was lost and it is still there. Where it must not
/// stand for long, a part of the dump has to do.
fn in_place_instead(request: &Request, taken: &Unfinished) -> Option<Request> {
    let error = taken.error.as_ref()?;
    let may_stand = request.stop == Stop::Threads && request.max_pause.is_none();
    if error.kind != ErrorKind::CloneLost || !may_stand {
        return None;
    }
    let mut again = request.clone();
    again.stop = Stop::Hold;
    let warning = format!(
        "it was taken a second time, and of the process itself: {}",
        error.what
    );
    again.warnings.push(warning);
    Some(again)
}

/// Takes the dumps from a target that this thread has attached already, up to the moment when it is
/// released: the files have still to be finished. `lets_go` is passed on to [`CaptureOptions`].
pub(crate) fn run_attached(
    target: &mut dyn Target,
    request: &Request,
    lets_go: bool,
    start: Instant,
    observer: Observer<'_>,
) -> Unfinished {
    let mut session = Session::new(target.key(), request, start, observer);
    let taken = session.take(target, lets_go);
    let copied = taken.and_then(|taken| session.copy_all(taken));
    session.unfinished(copied.err())
}

/// Does the same up to the moment when the process goes on, and the rest if it stands until all is copied.
pub(crate) fn begin_attached(
    target: &mut dyn Target,
    request: &Request,
    lets_go: bool,
    observer: Observer<'_>,
) -> Begun {
    let mut session = Session::new(target.key(), request, Instant::now(), observer);
    let copied = match session.take(target, lets_go).map(Taken::unbind) {
        Ok(Ok(taken)) => return Begun::Taken(Box::new((session.work, taken))),
        Ok(Err(taken)) => session.copy_all(taken),
        Err(error) => Err(error),
    };
    Begun::Copied(session.unfinished(copied.err()))
}

/// Copies what is left to be copied. `request` is that with which it was begun.
pub(crate) fn copy_begun(begun: Begun, request: &Request, observer: Observer<'_>) -> Unfinished {
    let (work, taken) = match begun {
        Begun::Copied(unfinished) => return unfinished,
        Begun::Taken(taken) => *taken,
    };
    let mut session = Session {
        work,
        request,
        observer,
    };
    let copied = session.copy_all(taken.go_on());
    session.unfinished(copied.err())
}

/// The kinds of dumps that hold little beyond what is read of them.
const SMALL: [DumpKind; 2] = [DumpKind::Triage, DumpKind::Mini];

/// The work on one request.
struct Session<'s, 'o> {
    work: Work,
    request: &'s Request,
    observer: Observer<'o>,
}

impl<'s, 'o> Session<'s, 'o> {
    fn new(key: ProcessKey, request: &'s Request, start: Instant, observer: Observer<'o>) -> Self {
        Self {
            work: Work {
                key,
                start,
                drafts: Vec::new(),
                user: None,
                readers: None,
                room: 0,
            },
            request,
            observer,
        }
    }

    fn unfinished(self, error: Option<Error>) -> Unfinished {
        Unfinished {
            start: self.work.start,
            drafts: self.work.drafts,
            error,
            reports: self.request.windows.reports,
            limits: self.request.limits(),
        }
    }
}

impl Session<'_, '_> {
    /// Does everything that needs the target.
    fn take(&mut self, target: &mut dyn Target, lets_go: bool) -> Result<Taken> {
        let taken = self.hold(target, lets_go);
        // Others look at the program.
        target.show_wide(false);
        taken
    }

    fn hold(&mut self, target: &mut dyn Target, lets_go: bool) -> Result<Taken> {
        target.show_wide(self.request.windows.wide);
        let facts = target.facts()?;
        self.work.user = Some(self.request.responsible(facts.process.user.uid));
        let kinds = self.kinds(&facts);
        let bytes = kinds.iter().map(|(kind, _)| estimate(*kind, &facts)).sum();
        self.make_room(expected(bytes, self.request.compress))?;
        let images = Images::identify(self.work.key, &facts.modules);
        let taken = crate::store::keep::now();
        self.make_files(kinds, &facts, taken)?;
        if self.has_kind(&SMALL) && !self.request.hurries {
            let (modules, user) = (facts.modules, self.work.user);
            let readers = Readers::prepare(target, self.request, &images, modules, user);
            self.work.readers = Some(readers);
        }
        let options = CaptureOptions {
            stop: self.request.stop,
            deadline: self.deadline(),
            lets_go,
            max_pause: self.request.max_pause,
            in_place: self.request.windows.kernel,
            large: self.is_large(),
            reading: self.expected_reading(),
            objects: self.has_kind(&[DumpKind::Full, DumpKind::Plus]),
            cancel: self.request.cancel.clone(),
            ..CaptureOptions::default()
        };
        let mut capture = target.capture(&options)?;
        self.take_kernel_dump(&mut capture);
        let source = self.source(target, &mut capture);
        let late = images.put_to(&mut capture.snapshot.modules, &*source.memory);
        capture.warnings.extend(late);
        if self.is_large() {
            let unwanted = unwanted(&capture.snapshot.regions);
            capture.warnings.extend(unwanted);
        }
        self.mark_trigger(&mut capture);
        Ok(Taken {
            capture: Box::new(capture),
            source,
        })
    }

    /// Copies all dumps, and releases the target, on every path.
    fn copy_all(&mut self, taken: Taken) -> Result<()> {
        let Taken {
            mut capture,
            source,
        } = taken;
        let drafts = 0..self.work.drafts.len();
        let mut copied = drafts
            .into_iter()
            .try_for_each(|at| self.copy(&mut capture, &source, at));
        if copied.is_ok() {
            copied = capture.check();
            if copied.is_err() {
                self.work.drafts.iter_mut().for_each(Draft::lacks_something);
            }
        }
        let pause = capture.release().pause;
        let _ = failpoint("released");
        let sender = sender(&capture.snapshot);
        for draft in &mut self.work.drafts {
            draft.record.sender.clone_from(&sender);
            draft.record.pause_ms = pause.map(milliseconds);
            draft.record.method = capture.method.to_string();
            draft.record.in_place.clone_from(&capture.in_place);
            if let Some(before) = &self.request.thread_times {
                draft
                    .record
                    .tell_busiest(busiest(&capture.snapshot, before));
            }
            let warnings = self.request.warnings.iter().chain(&capture.warnings);
            draft.record.warnings.splice(0..0, warnings.cloned());
        }
        (self.observer)(Step::Released { pause });
        copied
    }

    /// Takes a kernel dump if one is asked for, for all drafts.
    fn take_kernel_dump(&mut self, capture: &mut Capture) {
        if !self.request.windows.kernel {
            return;
        }
        let taken = kernel::take(&capture.snapshot.threads, &mut capture.warnings);
        let taken = taken.map(Arc::new);
        let drafts = self.work.drafts.iter_mut();
        drafts.for_each(|draft| draft.kernel = taken.clone());
    }

    /// What to copy from. Files are opened for full dumps alone, as the target stands meanwhile.
    fn source(&self, target: &dyn Target, capture: &mut Capture) -> Source {
        let regions = &mut capture.snapshot.regions;
        let files = match self.has_kind(&[DumpKind::Full]) {
            true => target.mapped_files(regions),
            false => MappedFiles::default(),
        };
        capture.warnings.extend(files.warnings);
        Source {
            files: files.content,
            memory: capture.memory(),
            is_of_clone: capture.method == Method::Clone,
        }
    }

    /// How long small dumps are expected to be read for.
    fn expected_reading(&self) -> Duration {
        let readers = self.work.readers.as_ref();
        readers.map_or(Duration::ZERO, Readers::expected)
    }

    /// What those who read a small dump will ask for.
    fn touched(&self, capture: &mut Capture, source: &Source, at: usize) -> Option<Touched> {
        let kind = self.work.drafts[at].kind;
        if !SMALL.contains(&kind) {
            return None;
        }
        let Some(readers) = &self.work.readers else {
            return Some(Touched::nothing("its events came too fast"));
        };
        // It may take many megabytes: there is a second one only if who reads it does not come to an end.
        let snapshot = Arc::new(std::mem::take(&mut capture.snapshot));
        let (memory, method) = (&source.memory, capture.method);
        let touched = readers.read(kind, &snapshot, memory, method, self.deadline());
        capture.snapshot = Arc::unwrap_or_clone(snapshot);
        Some(touched)
    }

    fn has_kind(&self, kinds: &[DumpKind]) -> bool {
        self.work
            .drafts
            .iter()
            .any(|draft| kinds.contains(&draft.kind))
    }

    /// Whether a dump can hold most of the memory.
    fn is_large(&self) -> bool {
        self.work.drafts.iter().any(|draft| draft.kind.is_large())
    }

    /// Puts the trigger's exception into the snapshot, and its thread first: debuggers show the
    /// first thread of a core when they open it.
    fn mark_trigger(&self, capture: &mut Capture) {
        let snapshot = &mut capture.snapshot;
        let trigger = &self.request.trigger;
        if let Some(exception) = trigger.exception() {
            snapshot.exception = Some(exception.clone());
        }
        let Some(thread) = trigger.thread() else {
            return;
        };
        let mut threads = snapshot.threads.iter();
        if let Some(at) = threads.position(|other| other.id == thread) {
            snapshot.threads[..=at].rotate_right(1);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.request
            .timeout
            .map(|timeout| self.work.start + timeout)
    }

    /// Deletes old dumps as the limits of the folder say, and fails if there is no room for the new
    /// ones: the target is not even stopped then.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        self.work.room = bytes;
        let Some(folder) = output_folder(&self.request.destination) else {
            return Ok(());
        };
        let user = self.work.user;
        let coming = Coming { bytes, user };
        let kinds = self.request.kinds.iter().map(|(kind, _)| *kind);
        let largest = kinds.max().unwrap_or_default();
        let keep = &self.request.keep;
        let deleted = crate::store::keep::make_room(&folder, keep, coming, largest)?;
        for path in deleted {
            (self.observer)(Step::Deleted { path });
        }
        Ok(())
    }

    /// The dumps that are asked for, smallest kind first. The kind that the process's own filter decides is looked up.
    fn kinds(&self, facts: &Facts) -> Vec<(DumpKind, DumpFormat)> {
        let filter = facts.process.core_filter();
        let asked = self.request.kinds.iter();
        let mut kinds: Vec<_> = asked
            .map(|(kind, format)| (kind.for_filter(filter), *format))
            .collect();
        kinds.sort_by_key(|(kind, _)| *kind);
        kinds
    }

    /// Creates an empty file for each dump.
    fn make_files(
        &mut self,
        kinds: Vec<(DumpKind, DumpFormat)>,
        facts: &Facts,
        taken: WallTime,
    ) -> Result<()> {
        let several = kinds.len() > 1;
        let names = Names {
            process: &facts.process.name,
            command: facts.process.command_name(),
            script: script(&facts.process),
            pid: self.work.key.pid,
            when: taken,
            trigger: &self.request.trigger,
            has_pid: self.request.names_pid,
            compression: self.request.compress,
        };
        for (at, (kind, format)) in kinds.into_iter().enumerate() {
            let path = names.path(&self.request.destination, kind, format, several)?;
            let sink = match path {
                Some(path) => Sink::File(Arc::new(OutFile::create(&path, self.request.existing)?)),
                None => Sink::Stream(Arc::new(Mutex::new(OutStream::default()))),
            };
            let number = self.request.number + at as u32;
            let mut draft = Draft::new(number, kind, format, sink, taken, self.request, facts);
            draft.record.user = self.work.user;
            draft.warn_of_readers();
            (self.observer)(Step::Initiated {
                number,
                path: draft.path(),
            });
            self.work.drafts.push(draft);
        }
        Ok(())
    }

    /// Plans one dump and copies it while the target stands still.
    fn copy(&mut self, capture: &mut Capture, source: &Source, at: usize) -> Result<()> {
        let plan = self.plan(capture, source, at)?;
        self.take_room(&plan, at)?;
        let _ = failpoint("planned");
        self.prepare(&plan, capture.method, at)?;
        let copy = self.work.drafts[at].start(&plan, source)?;
        let draft = &self.work.drafts[at];
        let limits = Limits {
            deadline: self.deadline(),
            cancel: &self.request.cancel,
            failed: &|error| draft.failed("writing", error),
            gives_back: self.is_last(at),
        };
        let number = draft.number;
        let end = watch_copy::watch(&copy, capture, &limits, &mut |done| {
            (self.observer)(Step::Copied {
                number,
                done,
                total: plan.memory_bytes(),
            });
        });
        self.work.drafts[at].copied(end)
    }

    /// Lays a dump out.
    fn plan(&mut self, capture: &mut Capture, source: &Source, at: usize) -> Result<Arc<Plan>> {
        let touched = self.touched(capture, source, at);
        let draft = &mut self.work.drafts[at];
        let mut chosen =
            chosen::choose(draft.kind, &self.request.windows, capture, &*source.memory)?;
        draft.record.warnings.extend(chosen.warning);
        if let Some(touched) = touched {
            chosen.selection.add(&touched.ranges, &chosen.snapshot);
            draft.record.warnings.extend(touched.warning);
        }
        let comment = comment(self.request);
        let space = RecordSpace {
            head: crate::store::record::SPACE,
            tail: crate::store::record::SPACE,
            comment: &comment,
        };
        let (snapshot, selection) = (&chosen.snapshot, &chosen.selection);
        let plan = formats::plan(draft.format, snapshot, selection, space);
        draft.planned(&plan, selection);
        Ok(Arc::new(plan))
    }

    /// Sees to it that there is room for a dump within the limits of the folder, and tells how much it needs.
    fn take_room(&mut self, plan: &Plan, at: usize) -> Result<()> {
        let bytes = expected(plan.stored_bytes(), self.request.compress);
        if bytes > self.work.room {
            self.make_room(bytes)?;
        }
        self.work.room -= bytes;
        let draft = &self.work.drafts[at];
        (self.observer)(Step::Writing {
            number: draft.number,
            kind: draft.kind,
            bytes: plan.stored_bytes(),
        });
        Ok(())
    }

    /// Decides how a dump gets into its file, and reserves its room there.
    fn prepare(&mut self, plan: &Arc<Plan>, method: Method, at: usize) -> Result<()> {
        let series = self.request.series.as_ref().filter(|_| self.is_last(at));
        let when = When {
            stands: method == Method::Stopped,
            keep: &self.request.keep,
            until: Until {
                cancel: self.request.cancel.clone(),
                deadline: self.deadline(),
            },
        };
        let draft = &mut self.work.drafts[at];
        if let Some(series) = series {
            draft.share(plan, series);
        }
        draft.reserve(plan)?;
        draft.compress(plan, when);
        Ok(())
    }

    fn is_last(&self, at: usize) -> bool {
        at + 1 == self.work.drafts.len()
    }
}

/// The comment that Windows' debuggers show when they open the dump. It looks like ProcDump's.
fn comment(request: &Request) -> String {
    let Request { rule, trigger, .. } = request;
    let asked = request.command_line.as_ref().unwrap_or(rule);
    let comment = request.comment.iter().map(|text| format!("\n{text}"));
    format!(
        "\n*** {asked}\n*** {trigger}{}",
        comment.collect::<String>()
    )
}

/// The bytes that a dump of this kind may take, from what is known before the target is stopped.
fn estimate(kind: DumpKind, facts: &Facts) -> u64 {
    match kind {
        DumpKind::Full | DumpKind::Filtered => facts.resident + facts.mapped,
        DumpKind::Plus | DumpKind::Custom(_) => facts.private,
        DumpKind::Mini | DumpKind::Triage | DumpKind::Callback => 1 << 20,
    }
}

/// Returns a warning of memory that exists and is in no dump.
fn unwanted(regions: &[Region]) -> Option<Warning> {
    let unwanted = regions.iter().filter(|region| region.dont_dump);
    let bytes: u64 = unwanted.map(Region::resident_bytes).sum();
    (bytes > 0).then(|| {
        format!(
            "{bytes} bytes that the process does not want in a dump (MADV_DONTDUMP) were left out"
        )
    })
}

/// Milliseconds, exact to the microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

/// The name of the other process that sent the signal of the exception. A process in another pid namespace knows it by another pid.
fn sender(snapshot: &Snapshot) -> Option<String> {
    let process = &snapshot.process;
    let (pid, _) = analysis::cause::sender(snapshot)?;
    let is_here = process
        .inner_pid
        .is_none_or(|inner| inner == process.key.pid);
    (is_here && pid != process.key.pid && pid != 0).then(|| platform::process_name(pid))?
}
