//! A dump, on the OS thread that holds the target.

use super::{
    Collected, Request, Step, Written,
    copy::{self, Copy, Sink},
    finish::{self, Draft},
    images::Images,
    names::{Names, output_folder},
};
use formats::RecordSpace;
use platform::{
    Cancel, Capture, CaptureOptions, Error, ErrorKind, Facts, Host, OutFile, OutStream, Result,
    Target, failpoint,
};
use snapshot::{DumpKind, ProcessKey, WallTime, select};
use std::{
    sync::{Arc, Mutex, atomic::Ordering, mpsc::RecvTimeoutError},
    time::{Duration, Instant},
};

type Observer<'o> = &'o mut (dyn FnMut(Step) + Send);

/// Between two looks at the copying threads.
const LOOK: Duration = Duration::from_millis(5);
/// Between two reports of progress.
const REPORT: Duration = Duration::from_millis(100);
/// How long copying threads get to notice that they are to stop.
const PATIENCE: Duration = Duration::from_millis(300);
/// Copying that moves nothing for this long hangs.
const STALL: Duration = Duration::from_secs(15);

/// Takes the dumps and finishes the files.
pub(crate) fn run(
    host: &dyn Host,
    key: ProcessKey,
    request: &Request,
    start: Instant,
    observer: Observer<'_>,
) -> Collected {
    match host.attach(key) {
        Ok(mut target) => run_attached(&mut *target, request, false, start, observer),
        Err(error) => Collected {
            dumps: Vec::new(),
            error: Some(error),
        },
    }
}

/// The same, of a target that is attached already, on the thread that attached it.
pub(crate) fn run_attached(
    target: &mut dyn Target,
    request: &Request,
    lets_go: bool,
    start: Instant,
    observer: Observer<'_>,
) -> Collected {
    let mut session = Session {
        key: target.key(),
        request,
        start,
        drafts: Vec::new(),
        observer,
    };
    let error = session.take(target, lets_go).err();
    session.finish(error)
}

struct Session<'s, 'o> {
    key: ProcessKey,
    request: &'s Request,
    start: Instant,
    drafts: Vec<Draft>,
    observer: Observer<'o>,
}

impl Session<'_, '_> {
    /// Everything until the target is let go. The capture ends with this function, on every path.
    fn take(&mut self, target: &mut dyn Target, lets_go: bool) -> Result<()> {
        let facts = target.facts()?;
        self.expect_room(&facts)?;
        let images = Images::identify(self.key, &facts.modules);
        let taken = crate::store::keep::now();
        self.make_files(&facts, taken)?;
        let options = CaptureOptions {
            stop: self.request.stop,
            deadline: self.deadline(),
            lets_go,
            cancel: self.request.cancel.clone(),
            ..CaptureOptions::default()
        };
        let mut capture = target.capture(&options)?;
        let memory = capture.memory();
        images.put_to(&mut capture.snapshot.modules, &*memory);
        self.point_at_fault(&mut capture);
        let copied = (0..self.drafts.len()).try_for_each(|at| self.copy(&mut capture, at));
        let pause = capture.release().pause;
        let _ = failpoint("released");
        for draft in &mut self.drafts {
            draft.record.pause_ms = pause.map(milliseconds);
            draft.record.method = capture.method.to_string();
            draft
                .record
                .warnings
                .splice(0..0, capture.warnings.iter().cloned());
        }
        (self.observer)(Step::Released { pause });
        copied
    }

    /// The thread that is the reason comes first, as debuggers show the first of a core; the
    /// exception is told where there is one.
    fn point_at_fault(&self, capture: &mut Capture) {
        let snapshot = &mut capture.snapshot;
        if self.request.exception.is_some() {
            snapshot.exception.clone_from(&self.request.exception);
        }
        let Some(thread) = self.request.thread else {
            return;
        };
        let mut threads = snapshot.threads.iter();
        if let Some(at) = threads.position(|other| other.id == thread) {
            snapshot.threads[..=at].rotate_right(1);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.request.timeout.map(|timeout| self.start + timeout)
    }

    /// Refuses before the target is touched what cannot end well.
    fn expect_room(&mut self, facts: &Facts) -> Result<()> {
        let Some(folder) = output_folder(&self.request.destination) else {
            return Ok(());
        };
        let kinds = self.request.kinds.iter();
        let needed: u64 = kinds.map(|(kind, _)| estimate(*kind, facts)).sum();
        let gone = crate::store::keep::make_room(&folder, &self.request.keep, needed)?;
        for path in gone {
            (self.observer)(Step::Deleted { path });
        }
        Ok(())
    }

    fn make_files(&mut self, facts: &Facts, taken: WallTime) -> Result<()> {
        let mut kinds = self.request.kinds.clone();
        kinds.sort_by_key(|(kind, _)| *kind);
        let several = kinds.len() > 1;
        let names = Names {
            process: &facts.process.name,
            pid: self.key.pid,
            when: taken,
            exception: self.request.exception.as_ref().map(|e| e.code),
            trigger: &self.request.reason,
        };
        for (at, (kind, format)) in kinds.into_iter().enumerate() {
            let path = names.path(&self.request.destination, kind, format, several)?;
            let sink = match path {
                Some(path) => Sink::File(Arc::new(OutFile::create(&path, self.request.overwrite)?)),
                None => Sink::Stream(Arc::new(Mutex::new(OutStream::default()))),
            };
            let number = self.request.number + at as u32;
            let mut draft = Draft::new(number, kind, format, sink, taken, self.request, facts);
            draft.warn_of_readers();
            (self.observer)(Step::Initiated {
                number,
                path: draft.path(),
            });
            self.drafts.push(draft);
        }
        Ok(())
    }

    /// Plans and copies one dump while the target stands.
    fn copy(&mut self, capture: &mut Capture, at: usize) -> Result<()> {
        let deadline = self.deadline();
        let draft = &mut self.drafts[at];
        let memory = capture.memory();
        let extra = formats::image::loader_ranges(&capture.snapshot, &*memory);
        let selection = select(draft.kind, &capture.snapshot, &*memory, &extra);
        let comment = comment(self.request);
        let space = RecordSpace {
            head: crate::store::record::SPACE,
            tail: crate::store::record::SPACE,
            comment: &comment,
        };
        let plan = Arc::new(formats::plan(
            draft.format,
            &capture.snapshot,
            &selection,
            space,
        ));
        draft.planned(&plan);
        let (number, bytes) = (draft.number, plan.size());
        (self.observer)(Step::Writing { number, bytes });
        let _ = failpoint("planned");
        draft.reserve(bytes)?;
        let copy = copy::start(&plan, memory, &draft.sink, &draft.record_bytes());
        let copy = copy.map_err(|e| draft.failed("writing", &e))?;
        let cancel = &self.request.cancel;
        let watched = watch(&copy, capture, (deadline, cancel), &mut |done| {
            (self.observer)(Step::Copied {
                number,
                done,
                total: plan.memory_bytes(),
            });
        });
        draft.copied(&copy, watched)
    }

    /// Names the files that are whole, keeps or removes the others.
    fn finish(mut self, mut error: Option<Error>) -> Collected {
        let mut dumps: Vec<Written> = Vec::new();
        for draft in self.drafts.drain(..) {
            match finish::finish(draft, error.as_ref(), self.start) {
                Ok(Some(written)) => {
                    (self.observer)(Step::Complete(Box::new(written.clone())));
                    dumps.push(written);
                }
                Ok(None) => {}
                Err(failure) => error = error.or(Some(failure)),
            }
        }
        Collected { dumps, error }
    }
}

/// Watches the copying until it ends; why it was ended early, if so.
fn watch(
    copy: &Copy,
    capture: &mut Capture,
    limits: (Option<Instant>, &Cancel),
    report: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut left = copy.threads;
    let (mut reported, mut moved) = (Instant::now(), (0, Instant::now()));
    while left > 0 {
        match copy.ends.recv_timeout(LOOK) {
            Ok(Ok(())) => left -= 1,
            Ok(Err(error)) => return stop(copy, left - 1, writing_failed(&error)),
            Err(RecvTimeoutError::Disconnected) => {
                return stop(
                    copy,
                    0,
                    Error::new(ErrorKind::Other, "a copying thread failed"),
                );
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let done = copy.progress.done.load(Ordering::Relaxed);
        if done != moved.0 {
            moved = (done, Instant::now());
        }
        if left > 0
            && let Some(reason) = reason_to_end(capture, limits, moved.1)
        {
            return stop(copy, left, reason);
        }
        if reported.elapsed() > REPORT {
            reported = Instant::now();
            report(done);
        }
    }
    Ok(())
}

fn reason_to_end(
    capture: &mut Capture,
    (deadline, cancel): (Option<Instant>, &Cancel),
    moved: Instant,
) -> Option<Error> {
    if cancel.is_asked() {
        return Some(Error::new(ErrorKind::Cancelled, "the dump was cancelled"));
    }
    if deadline.is_some_and(|deadline| Instant::now() > deadline) {
        return Some(Error::new(
            ErrorKind::TimedOut,
            "the time given with --timeout is over",
        ));
    }
    if moved.elapsed() > STALL {
        let what = format!("nothing could be copied for {} seconds", STALL.as_secs());
        return Some(Error::new(ErrorKind::TimedOut, what));
    }
    capture.check().err()
}

/// Tells the copying threads to stop and waits a little for them: one that hangs in the kernel
/// is left behind, the target is not.
fn stop(copy: &Copy, left: usize, reason: Error) -> Result<()> {
    copy.progress.stop.store(true, Ordering::Relaxed);
    let end = Instant::now() + PATIENCE;
    for _ in 0..left {
        let wait = end.saturating_duration_since(Instant::now());
        if copy.ends.recv_timeout(wait).is_err() {
            break;
        }
    }
    Err(reason)
}

fn writing_failed(error: &std::io::Error) -> Error {
    Error::of_file("writing the dump", error)
}

/// What Windows' debuggers show when they open the dump, in ProcDump's form.
fn comment(request: &Request) -> String {
    let Request { rule, reason, .. } = request;
    let comment = request.comment.iter().map(|text| format!("\n{text}"));
    format!("\n*** {rule}\n*** {reason}{}", comment.collect::<String>())
}

/// What a dump of this kind may take, from what is known without stopping the target.
fn estimate(kind: DumpKind, facts: &Facts) -> u64 {
    match kind {
        DumpKind::Full => facts.resident,
        DumpKind::Plus | DumpKind::Custom(_) => facts.private,
        DumpKind::Mini | DumpKind::Triage => 1 << 20,
    }
}

/// Milliseconds, to the microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
