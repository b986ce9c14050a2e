//! A Windows process whose events are waited for, by a debug loop.

use super::{
    debug_loop::{DebugLoop, SharedDebugLoop},
    facts, handles,
    target::{WindowsTarget, wall_now},
};
use crate::{
    Arming, Capture, CaptureOptions, Error, ErrorKind, Facts, Follow, Happened, Result, Standing,
    Target, Waker,
};
use snapshot::{EndStatus, Exception, Memory, ProcessKey, Registers, TargetEvent};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How often we check whether somebody wants to wake us: WaitForDebugEvent cannot wait for anything
/// else.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A Windows process whose events are waited for.
pub(crate) struct WindowsFollow {
    target: WindowsTarget,
    /// The debug loop, while anything is armed.
    events: Option<SharedDebugLoop>,
    woken: Arc<AtomicBool>,
}

impl WindowsFollow {
    /// Opens the process; nothing is armed yet.
    pub(crate) fn begin(key: ProcessKey) -> Result<Self> {
        Ok(Self {
            target: WindowsTarget::attach(key)?,
            events: None,
            woken: Arc::default(),
        })
    }

    /// Follows a process that is about to raise its last exception, as soon as `go` was called.
    /// Returns when it stands for that exception, with the exception and the registers.
    ///
    /// # Errors
    /// If the exception does not come within `limit`.
    pub(crate) fn crashing(
        key: ProcessKey,
        go: impl FnOnce(),
        limit: Duration,
    ) -> Result<(Self, Exception, Option<Registers>)> {
        let mut follow = Self::begin(key)?;
        follow.arm(&Arming {
            exceptions: true,
            ..Arming::default()
        })?;
        go();
        let deadline = Instant::now() + limit;
        loop {
            match follow.wait(Some(deadline))? {
                Happened::Event(TargetEvent::Exception(exception), standing)
                    if standing.is_deadly =>
                {
                    return Ok((follow, exception, standing.registers));
                }
                Happened::Event(TargetEvent::Exited { .. }, _) | Happened::TimedOut => {
                    return Err(no_crash(key));
                }
                Happened::Event(..) | Happened::Woken | Happened::Executed => {}
            }
        }
    }

    /// Begins the debug loop.
    fn debug(&mut self) -> Result<SharedDebugLoop> {
        let memory = self.target.live_memory();
        let process = &self.target.process;
        let modules = facts::modules(process, &memory, process.is_narrow());
        let events = DebugLoop::follow(self.target.process.clone(), &modules)?;
        Ok(self.events.insert(Rc::new(RefCell::new(events))).clone())
    }

    /// Waits for the next event, or the end of the process, for at most `limit`.
    fn next(&mut self, limit: Duration) -> Option<TargetEvent> {
        let event = match &self.events {
            Some(events) => events.borrow_mut().wait(limit),
            None => {
                std::thread::sleep(limit);
                None
            }
        };
        let process = &self.target.process;
        let gone = || TargetEvent::Exited {
            status: Some(EndStatus::Code(process.exit_code())),
            at: wall_now(),
        };
        event.or_else(|| process.has_ended().then(gone))
    }

    /// Returns what is told of the thread that stands. Its registers are read only for events for
    /// which somebody uses them.
    fn standing(&self, event: &TargetEvent) -> Standing {
        let Some(events) = &self.events else {
            return Standing::default();
        };
        let events = events.borrow();
        let tells = matches!(
            event,
            TargetEvent::Exception(_) | TargetEvent::Breakpoint { .. }
        );
        Standing {
            registers: tells.then(|| events.registers()).flatten(),
            kind: None,
            since: None,
            is_deadly: events.is_deadly(),
        }
    }
}

fn no_crash(key: ProcessKey) -> Error {
    let what = format!("process {key} has met no exception that nobody handles");
    Error::new(ErrorKind::TargetDied, what)
}

impl Target for WindowsFollow {
    fn key(&self) -> ProcessKey {
        self.target.key()
    }

    fn show_wide(&mut self, wide: bool) {
        self.target.show_wide(wide);
    }

    fn facts(&mut self) -> Result<Facts> {
        Ok(self.target.facts_by(self.events.as_ref()))
    }

    fn memory(&self) -> Arc<dyn Memory> {
        self.target.memory()
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        self.target.capture_by(options, self.events.as_ref())
    }
}

impl Follow for WindowsFollow {
    fn arm(&mut self, what: &Arming) -> Result<Vec<String>> {
        if what.is_empty() {
            self.events = None;
            return Ok(Vec::new());
        }
        let events = match &self.events {
            Some(events) => events.clone(),
            None => self.debug()?,
        };
        let notices = events.borrow_mut().arm(what);
        Ok(notices)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<Happened> {
        loop {
            if self.woken.swap(false, Ordering::AcqRel) {
                return Ok(Happened::Woken);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if let Some(event) =
                self.next(left.map_or(POLL_INTERVAL, |left| left.min(POLL_INTERVAL)))
            {
                let standing = self.standing(&event);
                return Ok(Happened::Event(event, standing));
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Happened::TimedOut);
            }
        }
    }

    fn waker(&self) -> Waker {
        let woken = self.woken.clone();
        Waker::new(move || woken.store(true, Ordering::Release))
    }

    fn is_standing(&self) -> bool {
        let events = self.events.as_ref();
        events.is_some_and(|events| !events.borrow().is_running())
    }

    fn stay(&mut self) -> Result<bool> {
        // The whole process stands at a debug event until it is continued.
        Ok(self.is_standing())
    }

    fn go_on(&mut self) {
        if let Some(events) = &self.events {
            events.borrow_mut().go_on();
        }
    }

    fn pass(&mut self, _kind: u64, _pass: bool) {
        // A debugger is told of every exception. None can pass by its type.
    }

    fn passed(&self, _kind: u64) -> u64 {
        0
    }

    fn missed(&mut self) -> u64 {
        // The process waits for its debugger at each event.
        0
    }

    fn process_of(&self, handle: u64) -> Option<u32> {
        handles::process_of(&self.target.process, handle)
    }
}
