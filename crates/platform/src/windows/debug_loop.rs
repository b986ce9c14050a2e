//! Following a process by a debug loop: its events as far as they are wanted, and letting it go on
//! (<https://learn.microsoft.com/windows/win32/debug/writing-the-debugger-s-main-loop>).

use super::{
    breakpoints::Breakpoints,
    debug_event::{DebugEvent, DebugEventKind},
    debugger::DebuggedProcess,
    process::Process,
    rights,
    sys::wine_version,
    threads,
};
use crate::{Arming, Result};
use snapshot::{EndStatus, Exception, Module, Range, Registers, TargetEvent};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use windows_sys::Win32::Foundation::{
    EXCEPTION_BREAKPOINT, EXCEPTION_SINGLE_STEP, STATUS_WX86_BREAKPOINT,
};

/// Breakpoint exceptions that the loaders raise for a debugger when a program starts, the 64-bit
/// one and the 32-bit one. Any other breakpoint is the program's own.
const GREETINGS: [u32; 2] = [EXCEPTION_BREAKPOINT as u32, STATUS_WX86_BREAKPOINT as u32];
/// The exception by which a program tells debuggers the name of a thread
/// (<https://learn.microsoft.com/visualstudio/debugger/tips-for-debugging-threads>).
const THREAD_NAME: u32 = 0x406d_1388;
/// How long threads may take to step over a breakpoint.
const STEPPING: Duration = Duration::from_secs(1);

/// The debug loop of a process, shared by what follows the process and by a capture of it.
pub(super) type SharedDebugLoop = Rc<RefCell<DebugLoop>>;

/// The debug loop of one process.
pub(crate) struct DebugLoop {
    process: Arc<Process>,
    /// The attached debugger; `None` only while we attach again.
    debugged: Option<DebuggedProcess>,
    wanted: Arming,
    breakpoints: Breakpoints,
    /// Whether the program has not run yet, and that is still to be reported.
    begins: bool,
    /// The loaders' breakpoints that are still to come.
    greetings: Vec<u32>,
    /// The paths of the modules, by base address.
    modules: BTreeMap<u64, String>,
    /// Modules that were loaded before we attached, which the system reports as if they were new.
    old_modules: BTreeSet<u64>,
    /// Threads that existed before we attached.
    old_threads: BTreeSet<u32>,
    stop_reason: StopReason,
}

/// Why the process stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StopReason {
    /// For nothing that was reported.
    #[default]
    Nothing,
    /// For any other event that was reported.
    Event,
    /// For an exception that nobody handled.
    LastChance,
    /// For a breakpoint at this address.
    Breakpoint(u64),
}

impl DebugLoop {
    /// Attaches to the process. `modules` are those that it has now; if there are none, it has only
    /// just been started.
    ///
    /// # Errors
    /// If we may not debug it, or another debugger does.
    pub(crate) fn follow(process: Arc<Process>, modules: &[Module]) -> Result<Self> {
        let breakpoints = Breakpoints::new(process.clone());
        let begins = modules.is_empty();
        let mut events = Self {
            process,
            debugged: None,
            wanted: Arming::default(),
            breakpoints,
            begins,
            greetings: if begins { GREETINGS.to_vec() } else { vec![] },
            modules: BTreeMap::new(),
            old_modules: BTreeSet::new(),
            old_threads: BTreeSet::new(),
            stop_reason: StopReason::Nothing,
        };
        for module in modules {
            events
                .modules
                .insert(module.range.start, module.path.clone());
        }
        events.attach()?;
        Ok(events)
    }

    fn attach(&mut self) -> Result<()> {
        let stopped = DebuggedProcess::stop(&self.process);
        let debugged = stopped.map_err(|e| rights::explain_attach(&self.process, &e))?;
        let first = debugged.stands();
        let threads = threads::ids(self.process.key.pid).unwrap_or_default();
        self.old_threads = threads
            .into_iter()
            .filter(|id| Some(*id) != first)
            .collect();
        self.old_modules = self.modules.keys().copied().collect();
        self.debugged = Some(debugged);
        Ok(())
    }

    /// Sets which events are reported. Returns in sentences what cannot be reported, or what it
    /// costs.
    pub(crate) fn arm(&mut self, what: &Arming) -> Vec<String> {
        let before = std::mem::replace(&mut self.wanted, what.clone());
        let mut lacking = self.arm_places();
        if what.exit && !before.exit && wine_version().is_some() {
            lacking.push("Wine tells of the end of a process when its memory is gone: it is seen, and cannot be dumped".to_owned());
        }
        lacking
    }

    fn arm_places(&mut self) -> Vec<String> {
        let places = std::mem::take(&mut self.wanted.places);
        if self.process.is_narrow() && !places.is_empty() {
            return vec!["breakpoints are not set in 32-bit programs".to_owned()];
        }
        let none = self.breakpoints.is_empty();
        let mut lacking = self.breakpoints.want(&places);
        if none && !self.breakpoints.is_empty() {
            lacking.push("breakpoints are written into the program: if firstchance is killed while they are, the program dies of the next one; Ctrl-C and `firstchance cancel` take them away".to_owned());
        }
        if self.is_running() {
            self.breakpoints.plant(None);
        }
        lacking
    }

    /// Lets the process run, and waits for the next event that is wanted; `None` if there is none
    /// within `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<TargetEvent> {
        if std::mem::take(&mut self.begins) {
            return Some(TargetEvent::Executed);
        }
        let deadline = Instant::now() + limit;
        self.go_on();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.debugged.as_mut()?.next(&self.process, left)?;
            if let Some(event) = self.understand(event) {
                self.breakpoints.lift();
                return Some(event);
            }
            self.debugged.as_mut()?.go_on();
        }
    }

    /// Updates what we know by an event. Returns the event if it is wanted.
    fn understand(&mut self, event: DebugEvent) -> Option<TargetEvent> {
        let thread = event.thread;
        let stepped = self.breakpoints.stepped(thread);
        self.stop_reason = StopReason::Event;
        match event.kind {
            DebugEventKind::Exception(exception) => self.exception(exception, stepped),
            DebugEventKind::ThreadStart if self.old_threads.remove(&thread) => None,
            DebugEventKind::ThreadStart => {
                self.told(self.wanted.threads, TargetEvent::ThreadStart { thread })
            }
            DebugEventKind::ThreadExit => {
                self.told(self.wanted.threads, TargetEvent::ThreadExit { thread })
            }
            DebugEventKind::Load(base, path) => self.loaded(base, path),
            DebugEventKind::Unload(base) => {
                self.breakpoints.forget(base);
                let path = self.modules.remove(&base).unwrap_or_default();
                self.told(
                    self.wanted.modules,
                    TargetEvent::ModuleUnload { path, base },
                )
            }
            DebugEventKind::DebugString(text) => {
                self.told(self.wanted.debug_strings, TargetEvent::DebugString { text })
            }
            DebugEventKind::Exit(status) => self.told(
                self.wanted.exit,
                TargetEvent::Exiting {
                    status: EndStatus::Code(status),
                    sender: None,
                },
            ),
            DebugEventKind::Attached | DebugEventKind::Other => None,
        }
    }

    /// Returns the event if it is wanted.
    fn told(&self, wanted: bool, event: TargetEvent) -> Option<TargetEvent> {
        wanted.then_some(event)
    }

    fn loaded(&mut self, base: u64, path: String) -> Option<TargetEvent> {
        if self.old_modules.remove(&base) {
            return None;
        }
        self.modules.insert(base, path.clone());
        self.told(self.wanted.modules, TargetEvent::ModuleLoad { path, base })
    }

    fn exception(&mut self, exception: Exception, stepped: bool) -> Option<TargetEvent> {
        let (code, at, thread) = (exception.code, exception.address, exception.thread);
        if code == EXCEPTION_SINGLE_STEP as u32 && stepped {
            return self.ours();
        }
        if code == EXCEPTION_BREAKPOINT as u32
            && let Some(place) = self.breakpoints.hit(thread, at)
        {
            self.ours();
            self.stop_reason = StopReason::Breakpoint(at);
            let ends = None;
            return place.map(|place| TargetEvent::Breakpoint {
                place,
                thread,
                ends,
            });
        }
        if let Some(greeting) = self.greetings.iter().position(|known| *known == code) {
            self.greetings.remove(greeting);
            return self.ours();
        }
        if !exception.first_chance {
            self.stop_reason = StopReason::LastChance;
        }
        let wanted = self.wanted.exceptions && code != THREAD_NAME;
        self.told(wanted, TargetEvent::Exception(exception))
    }

    /// Hides an exception that is our own doing from the program.
    fn ours(&mut self) -> Option<TargetEvent> {
        if let Some(debugged) = &mut self.debugged {
            debugged.ours();
        }
        None
    }

    /// Lets the process run on.
    pub(crate) fn go_on(&mut self) {
        let reason = std::mem::take(&mut self.stop_reason);
        let Some(debugged) = &mut self.debugged else {
            return;
        };
        match (reason, debugged.stands()) {
            (StopReason::Breakpoint(address), Some(thread)) => {
                self.breakpoints.step_over(thread, address)
            }
            (_, Some(_)) => self.breakpoints.plant(None),
            (_, None) => {}
        }
        debugged.go_on();
    }

    /// Returns whether the process stands at a breakpoint of ours. To go on from there it has to
    /// step over the breakpoint, and dies of that step if we are killed meanwhile.
    pub(crate) fn is_at_breakpoint(&self) -> bool {
        matches!(self.stop_reason, StopReason::Breakpoint(_))
    }

    /// Returns whether the process runs: no event holds it.
    pub(crate) fn is_running(&self) -> bool {
        self.thread().is_none()
    }

    /// Returns the thread that stands for the last event.
    fn thread(&self) -> Option<u32> {
        self.debugged.as_ref()?.stands()
    }

    /// Reads the registers of the thread that stands.
    pub(crate) fn registers(&self) -> Option<Registers> {
        let narrow = self.process.is_narrow();
        threads::describe(self.thread()?, narrow, true).registers
    }

    /// Returns whether the process dies when it goes on.
    pub(crate) fn is_deadly(&self) -> bool {
        self.stop_reason == StopReason::LastChance
    }

    /// Adds the modules that its loader has not put into its list yet. `size` returns the size of
    /// the module at a base address.
    pub(crate) fn add_modules(&self, modules: &mut Vec<Module>, size: impl Fn(u64) -> Option<u32>) {
        for (base, path) in &self.modules {
            if modules.iter().any(|module| module.range.start == *base) {
                continue;
            }
            let size = size(*base).unwrap_or(0);
            modules.push(Module {
                range: Range::new(*base, base.saturating_add(size.into())),
                path: path.clone(),
                ..Module::default()
            });
        }
    }

    /// Stops the process when it stands for no event: we detach and attach again, which stops it
    /// without a thread of ours in it. Events in between are lost.
    pub(crate) fn stop_running(&mut self) -> Result<()> {
        self.settle();
        self.debugged = None;
        self.attach()
    }

    /// Restores the program's code, and waits until no thread is about to report a breakpoint or a
    /// step; the process runs then.
    fn settle(&mut self) {
        self.breakpoints.lift();
        let deadline = Instant::now() + STEPPING;
        loop {
            // The code is restored, so a thread that stands at a breakpoint need not step over it.
            self.stop_reason = StopReason::Nothing;
            let open = self.breakpoints.is_open() && Instant::now() < deadline;
            let limit = if open { STEPPING } else { Duration::ZERO };
            let Some(debugged) = &mut self.debugged else {
                return;
            };
            debugged.go_on();
            let Some(event) = debugged.next(&self.process, limit) else {
                return;
            };
            self.understand(event);
        }
    }
}

impl Drop for DebugLoop {
    fn drop(&mut self) {
        if !self.breakpoints.is_empty() || self.breakpoints.is_open() {
            self.settle();
        }
    }
}
