//! Following a process: waiting for its events.
//!
//! Events come from several sources, each with its own mechanism of the kernel: the death of the
//! process and the programs that it executes from BPF programs, places in the code from uprobes,
//! lines on standard error from a tracepoint, and everything else from tracing the threads by ptrace(2), which costs the process
//! most and is used only for what nothing else shows.

mod death_source;
mod exec_source;
mod gathered;
mod held_by;
mod probe_source;
mod source;
mod standing;
mod stderr_lines;
mod stop_at_place;
mod trace_source;

use super::{
    checked_memory::CheckedMemory,
    dying, facts, facts_aside,
    image_files::ImageFiles,
    leftovers, other_tracer,
    proc::ProcDir,
    sys::{
        child_signals,
        ptrace::SignalInfo,
        wake::{self, Wake},
    },
    target::LinuxTarget,
    traced_process::Fate,
    young::ChildrenWait,
};
use crate::{
    Arming, Capture, CaptureOptions, Died, Error, FAULT_SIGNALS, Facts, Follow, Happened,
    HoldOptions, MappedFiles, Result, Target, Waker,
};
use death_source::DeathSource;
use exec_source::ExecSource;
use gathered::Gathered;
use held_by::HeldBy;
use probe_source::ProbeSource;
use snapshot::{EndStatus, Exception, Memory, Module, ProcessKey, Region, Snapshot, TargetEvent};
use source::{Source, Wanted};
use std::{
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};
use stderr_lines::StderrLines;
use trace_source::TraceSource;

/// How long a thread may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A Linux process whose events are waited for.
pub(crate) struct LinuxFollow {
    target: LinuxTarget,
    sources: Sources,
    wake: Arc<Wake>,
    /// Woken by each SIGCHLD while there are threads that have still to be let go.
    child: Option<Arc<Wake>>,
    children_wait: Option<ChildrenWait>,
    /// Whether it has been looked whether another process traces this one.
    looked_for_tracer: bool,
}

impl LinuxFollow {
    /// Opens the process; nothing is armed yet.
    ///
    /// # Errors
    /// If it has ended, or can never be followed.
    pub(crate) fn begin(key: ProcessKey) -> Result<Self> {
        let failed = |e| Error::of_process("following", key, &e);
        let mut sources = Sources::default();
        let target = sources.open(key)?;
        Ok(Self {
            target,
            sources,
            children_wait: None,
            looked_for_tracer: false,
            wake: Arc::new(Wake::new().map_err(failed)?),
            child: None,
        })
    }

    /// Says, once, that another process traces this one, so that no thread can be kept at a place.
    fn other_tracer(&mut self, what: &Arming) -> Option<String> {
        let is_ours = self.sources.tracing.traced().is_some();
        if what.places.is_empty() || is_ours || self.looked_for_tracer {
            return None;
        }
        self.looked_for_tracer = true;
        other_tracer::notice(&self.target.proc)
    }

    /// Sleeps until a source may have an event, somebody wakes us, or `until` has come.
    fn sleep(&mut self, until: Option<Instant>) {
        self.hear_of_leftovers();
        let list = self.sources.list();
        let due = list.iter().filter_map(|source| source.due());
        let until = due.chain(until).min();
        let mut descriptors = vec![self.wake.as_fd()];
        descriptors.extend(list.iter().filter_map(|source| source.descriptor()));
        descriptors.extend(self.child.as_ref().map(|child| child.as_fd()));
        wake::sleep(&descriptors, until);
    }

    /// Sees to it that threads which have still to be let go wake us when they stand.
    fn hear_of_leftovers(&mut self) {
        if leftovers::is_empty() {
            self.child = None;
        } else if self.child.is_none() {
            // Without room for a descriptor they go when anything else wakes us.
            self.child = child_signals::subscribe().ok();
            // What stood before was not told.
            leftovers::let_go();
        }
    }

    fn next_happened(&mut self, until: Option<Instant>) -> Happened {
        loop {
            if self.wake.take() {
                return Happened::Woken;
            }
            // First: what happens in the new program is not to be taken for something of the one before.
            if self.sources.have_executed() {
                return Happened::Executed;
            }
            if let Some(event) = self.sources.next(&mut self.target.proc) {
                return Happened::Event(event, self.sources.held_by.standing());
            }
            self.let_leftovers_go();
            if until.is_some_and(|until| until <= Instant::now()) {
                return Happened::TimedOut;
            }
            self.sleep(until);
        }
    }

    fn let_leftovers_go(&self) {
        if let Some(child) = &self.child {
            child.take();
        }
        leftovers::let_go();
    }
}

impl Target for LinuxFollow {
    fn key(&self) -> ProcessKey {
        self.target.key()
    }

    fn facts(&mut self) -> Result<Facts> {
        self.sources.gather_for(&self.target.proc);
        match (&self.sources.held_by, self.sources.deaths.facts()) {
            (HeldBy::Death(_), Some(kept)) => Ok(kept.clone()),
            _ => self.target.facts(),
        }
    }

    fn modules(&mut self) -> Result<Vec<Module>> {
        self.sources.gather_for(&self.target.proc);
        self.target.modules()
    }

    fn memory(&self) -> Arc<dyn Memory> {
        match &self.sources.held_by {
            HeldBy::Death(_) => match self.target.kept_memory() {
                Ok(memory) => CheckedMemory::of(&self.target.proc, memory),
                Err(_) => self.target.memory(),
            },
            _ => self.target.memory(),
        }
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        if let HeldBy::Death(_) = self.sources.held_by {
            let mut facts = self.facts()?;
            facts_aside::put_back(&self.target.proc, &mut facts);
            let lacking = self.sources.deaths.lacking();
            let deaths = self.sources.dead();
            return self.target.dead(facts, deaths, lacking, options.objects);
        }
        let sources = &mut self.sources;
        sources.gather_for(&self.target.proc);
        let is_held = !matches!(sources.held_by, HeldBy::Nothing);
        self.target.is_traced = sources.tracing.traced().is_some();
        self.target
            .capture_by(options, is_held, |proc| sources.stop_all(proc, options))
    }

    fn glance(&mut self) -> Option<(Snapshot, Arc<dyn Memory>)> {
        match self.sources.held_by {
            HeldBy::Nothing => self.target.glance(),
            // It would stand all that time.
            _ => None,
        }
    }

    fn image_files(&self) -> Option<crate::ImageFiles> {
        match self.sources.held_by {
            HeldBy::Death(_) => ImageFiles::of_gone(&self.target.proc).map(crate::ImageFiles),
            _ => crate::ImageFiles::of(self.key()),
        }
    }

    fn mapped_files(&self, regions: &mut [Region]) -> MappedFiles {
        self.target.mapped_files(regions)
    }
}

impl Follow for LinuxFollow {
    fn arm(&mut self, what: &Arming) -> Result<Vec<String>> {
        if self.sources.probes.lacks(what) {
            // To set a probe may take longer than one holds a thread.
            self.sources.stay(&self.target.proc)?;
        }
        let stands_traced = matches!(self.sources.held_by, HeldBy::Tracer(..));
        let other_tracer = self.other_tracer(what);
        let mut wanted = Wanted::new(what, stands_traced);
        wanted.notices.extend(other_tracer);
        self.sources.holds = what.holds;
        for source in self.sources.list_mut() {
            source.arm(&mut self.target.proc, &mut wanted)?;
        }
        Ok(wanted.notices)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<Happened> {
        // They are old when something happens, and may be large.
        self.target.forget_facts();
        self.sources.probes.keep_haste_within();
        self.sources.set_looking(true);
        let happened = self.next_happened(until);
        self.sources
            .set_looking(!matches!(happened, Happened::Event(..)));
        Ok(happened)
    }

    fn waker(&self) -> Waker {
        let wake = self.wake.clone();
        Waker::new(move || wake.wake())
    }

    fn hears_of_executions(&self) -> bool {
        self.sources.executions.is_armed() || self.sources.tracing.traced().is_some()
    }

    fn is_standing(&self) -> bool {
        self.sources.is_standing()
    }

    fn stay(&mut self) -> Result<bool> {
        self.sources.stay(&self.target.proc)
    }

    fn may_wait_until(&self) -> Option<Instant> {
        self.sources.may_wait_until()
    }

    fn let_overdue_go(&mut self) {
        self.sources.let_overdue_go();
    }

    fn go_on(&mut self) {
        self.sources.go_on();
    }

    fn pass(&mut self, kind: u64, pass: bool) {
        self.sources.probes.pass(kind, pass);
        self.sources.tracing.pass(kind, pass);
    }

    fn forget_kinds(&mut self) {
        self.sources.probes.forget_kinds();
        self.sources.tracing.forget_kinds();
    }

    fn passed(&self, kind: u64) -> u64 {
        let by_probes = self.sources.probes.passed(kind);
        by_probes.unwrap_or_else(|| self.sources.tracing.passed(kind))
    }

    fn missed(&mut self) -> u64 {
        let mut list = self.sources.list_mut();
        list.iter_mut().map(|source| source.missed()).sum()
    }

    fn is_dying(&mut self) -> bool {
        self.sources.deaths.is_caught(&mut self.target.proc)
    }

    fn has_died(&self) -> Option<Died> {
        let proc = &self.target.proc;
        match self.sources.held_by {
            HeldBy::Death(_) => Some(Died {
                user: self.sources.deaths.facts()?.process.user.uid,
                is_large: proc.has_large_map(),
            }),
            // It stands at the signal that it dies of.
            HeldBy::Tracer(_, Some(Fate::Death)) => facts_aside::is_large(proc).then(|| Died {
                user: facts::user(&proc.read("status").unwrap_or_default()).uid,
                is_large: true,
            }),
            _ => None,
        }
    }

    fn let_children_wait(&mut self, may_wait: bool) {
        self.children_wait = match may_wait {
            true => ChildrenWait::of(self.target.proc.key.pid),
            false => None,
        };
    }

    fn process_of(&self, _handle: u64) -> Option<u32> {
        None
    }
}

/// The sources of events, and how the process is held for the last event.
#[derive(Default)]
struct Sources {
    executions: ExecSource,
    deaths: DeathSource,
    probes: ProbeSource,
    stderr: StderrLines,
    tracing: TraceSource,
    held_by: HeldBy,
    holds: HoldOptions,
    gathered: Gathered,
    /// The end of the process, while its death is told.
    end: Option<(TargetEvent, HeldBy)>,
}

impl Sources {
    /// Says whether events are waited for: threads that come to a place meanwhile are kept for longer if not.
    fn set_looking(&self, looks: bool) {
        self.probes.set_looking(looks, self.holds.longest);
    }

    /// Opens the process, which may have been caught at its death, or may be being caught just now.
    fn open(&mut self, key: ProcessKey) -> Result<LinuxTarget> {
        let mut caught =
            |dying: Option<_>| dying.map(|dying| LinuxTarget::of(self.deaths.adopt(dying)));
        if let Some(target) = caught(dying::take(key)) {
            return Ok(target);
        }
        match LinuxTarget::attach(key) {
            Err(error) if error.is_of_end() => caught(dying::take_soon(key)).ok_or(error),
            attached => attached,
        }
    }

    /// Returns the sources in the order in which they are armed: what one cannot report, a later
    /// one may. Another program is heard of before anything is armed in this one.
    fn list(&self) -> [&dyn Source; 5] {
        [
            &self.executions,
            &self.deaths,
            &self.probes,
            &self.stderr,
            &self.tracing,
        ]
    }

    fn list_mut(&mut self) -> [&mut dyn Source; 5] {
        [
            &mut self.executions,
            &mut self.deaths,
            &mut self.probes,
            &mut self.stderr,
            &mut self.tracing,
        ]
    }

    /// Returns the next event of any source, without waiting. A death comes last, so that what the
    /// process did before it is told first.
    fn next(&mut self, proc: &mut ProcDir) -> Option<TargetEvent> {
        if let Some(event) = self.next_gathered() {
            return Some(event);
        }
        let (event, held_by) = self.next_of_source(proc)?;
        let ends_it = matches!(held_by, HeldBy::Tracer(_, Some(Fate::Death)));
        self.deaths.is_told |= ends_it && matches!(event, TargetEvent::Exception(_));
        self.held_by = held_by;
        if event == TargetEvent::Executed {
            self.let_gathered_go();
            let by_other = self.tracing.executed_by_other;
            let list = self.list_mut().into_iter();
            list.for_each(|source| source.program_replaced(by_other));
        }
        Some(event)
    }

    /// Whether the process has executed another program since this was asked last, for which no thread stands.
    fn have_executed(&mut self) -> bool {
        let executed = self.executions.take();
        if executed.any {
            // The other sources stay: the new program may stand at a place already.
            self.probes.program_replaced(executed.by_other_thread);
        }
        executed.any
    }

    fn next_but_death(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        let list: [&mut dyn Source; 3] = [&mut self.probes, &mut self.stderr, &mut self.tracing];
        list.into_iter().find_map(|source| source.next(proc))
    }

    fn next_of_source(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        let end = self.end.take();
        match end.or_else(|| self.next_but_death(proc)) {
            None => self.deaths.next(proc),
            // It may have been caught at its death, which is told first.
            Some(end) if is_by_signal(&end.0) => match self.deaths.before_end(proc) {
                None => Some(end),
                death => {
                    self.end = Some(end);
                    death
                }
            },
            found => found,
        }
    }

    /// Returns the threads of a process that has died.
    fn dead(&self) -> &[super::bpf_programs::Death] {
        match &self.held_by {
            HeldBy::Death(deaths) => deaths,
            _ => &[],
        }
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.go_on();
        self.let_gathered_go();
        self.tracing.end();
    }
}

fn is_by_signal(event: &TargetEvent) -> bool {
    matches!(event, TargetEvent::Exited { status, .. } if !matches!(status, Some(EndStatus::Code(_))))
}

/// Makes the event of a signal. Signals of [`FAULT_SIGNALS`] are exceptions.
fn signal_event(tid: i32, info: &SignalInfo) -> TargetEvent {
    if !FAULT_SIGNALS.contains(&(info.number as u32)) {
        return TargetEvent::Signal {
            number: info.number,
            thread: tid as u32,
            sender: (info.sender != 0).then_some(info.sender),
        };
    }
    TargetEvent::Exception(Exception {
        thread: tid as u32,
        code: info.number as u32,
        flags: info.code as u32,
        address: info.address,
        first_chance: true,
        ..Exception::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::{Command, Stdio},
    };

    /// It executes another program at a line of input, which dies at the next line.
    const EXECUTES_AND_DIES: &str =
        "echo ready; read line; exec sh -c 'echo again; read line; kill -SEGV $$'";

    /// Facts that were read a moment ago are used once more, but not for the program that a process has executed since.
    #[test]
    fn n23_facts_of_the_program_before_are_not_those_of_the_one_that_dies() {
        let mut sh = Command::new("sh");
        let pipes = sh.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.args(["-c", EXECUTES_AND_DIES]).spawn().expect("sh");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut input = child.stdin.take().expect("a pipe");
        output.next().expect("ready").expect("a line");
        let key = ProcDir::open_pid(child.id()).expect("it lives").key;
        let mut follow = LinuxFollow::begin(key).expect("root");
        follow.facts().expect("it lives");
        input.write_all(b"\n").expect("it reads");
        output.next().expect("again").expect("a line");
        let vector = std::fs::read(format!("/proc/{}/auxv", child.id())).expect("it lives");
        let deaths = Arming {
            deaths: true,
            ..Arming::default()
        };
        for _ in 0..2 {
            let notices = follow.arm(&deaths).expect("root");
            assert!(notices.is_empty(), "{notices:?}");
        }
        input.write_all(b"\n").expect("it reads");
        let happened = follow.wait(Some(Instant::now() + Duration::from_secs(60)));
        let event = happened.expect("its death");
        assert!(
            matches!(event, Happened::Event(TargetEvent::Exception(_), _)),
            "{event:?}"
        );
        let facts = follow.facts().expect("those of before");
        assert_eq!(facts.process.file("auxv"), Some(&vector[..]));
        child.wait().expect("it has ended");
    }
}
