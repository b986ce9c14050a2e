//! Telling of the end of processes, which Windows reports, and of their beginning, which is looked
//! for.

use super::{
    process::Process,
    sys::{check, own, raw},
};
use crate::{Error, ErrorKind, HostEvent, HostSink, Result};
use snapshot::ProcessKey;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    os::windows::io::OwnedHandle,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use windows_sys::Win32::{
    Foundation::{HANDLE, WAIT_OBJECT_0},
    System::{
        ProcessStatus::K32EnumProcesses,
        Threading::{
            CreateEventW, INFINITE, PROCESS_TERMINATE, SetEvent, TerminateProcess,
            WaitForMultipleObjects, WaitForSingleObject,
        },
    },
};

/// How often starts are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// What one call can wait for (`MAXIMUM_WAIT_OBJECTS`), less the event that wakes us.
const MOST: usize = 63;
/// How long a wait takes where there are more than that.
const SLICE: Duration = Duration::from_millis(20);

/// Processes whose end is told, and the starts of all, by a thread that waits.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Set when there is something new to wait for; it resets itself.
    woken: OwnedHandle,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    processes: BTreeMap<ProcessKey, Arc<Process>>,
    starts: Option<Starts>,
    is_over: bool,
}

struct Starts {
    known: HashSet<u32>,
    next: Instant,
}

impl Watcher {
    /// Tells `sink` from now on.
    pub(crate) fn begin(sink: HostSink) -> Result<Self> {
        let failed = |e: io::Error| {
            let what = format!("preparing to watch processes failed: {e}");
            Error::new(ErrorKind::Other, what)
        };
        // SAFETY: no name and no attributes; the handle is ours.
        let woken = unsafe { own(CreateEventW(std::ptr::null(), 0, 0, std::ptr::null())) };
        let shared = Arc::new(Shared {
            woken: woken.map_err(failed)?,
            watched: Mutex::default(),
        });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().spawn(move || theirs.tell(&sink));
        Ok(Self {
            shared,
            thread: Some(thread.map_err(failed)?),
        })
    }

    /// Reports the end of this process from now on.
    pub(crate) fn watch(&self, key: ProcessKey) -> Result<()> {
        let process = Arc::new(Process::open(key, 0)?);
        self.shared.watched().processes.insert(key, process);
        self.shared.wake();
        Ok(())
    }

    /// Reports its end no more.
    pub(crate) fn forget(&self, key: ProcessKey) {
        self.shared.watched().processes.remove(&key);
    }

    /// Looks for processes that start, from now on; the system does not tell of them.
    pub(crate) fn follow_starts(&self) {
        self.shared.watched().starts.get_or_insert_with(|| Starts {
            known: pids(),
            next: Instant::now() + POLL_INTERVAL,
        });
        self.shared.wake();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watched().is_over = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing more to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // SAFETY: our own open event.
        unsafe { SetEvent(raw(&self.woken)) };
    }

    /// What the thread does: waits, and tells what happened, until the watcher is dropped.
    fn tell(&self, sink: &HostSink) {
        loop {
            self.sleep();
            let mut watched = self.watched();
            if watched.is_over {
                return;
            }
            let mut events = watched.started();
            events.extend(watched.ended());
            drop(watched);
            events.into_iter().for_each(|event| sink(event));
        }
    }

    /// Sleeps until one of the processes ends, somebody wakes us, or starts have to be looked for.
    fn sleep(&self) {
        let (processes, next) = {
            let watched = self.watched();
            let processes: Vec<Arc<Process>> = watched.processes.values().cloned().collect();
            (processes, watched.starts.as_ref().map(|starts| starts.next))
        };
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let slice = (processes.len() > MOST).then_some(SLICE);
        let limit = next.into_iter().chain(slice).min();
        let shown = processes.iter().take(MOST).map(|process| process.raw());
        let handles: Vec<HANDLE> = std::iter::once(raw(&self.woken)).chain(shown).collect();
        let millis = limit.map_or(INFINITE, millis);
        // SAFETY: handles that live until the call ends.
        unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, millis) };
    }
}

/// Rounded up: a wait that ends too early would spin.
fn millis(limit: Duration) -> u32 {
    let millis = limit.as_millis().min(u128::from(INFINITE) - 2) as u32;
    millis + u32::from(!limit.subsec_nanos().is_multiple_of(1_000_000))
}

impl Watched {
    fn ended(&mut self) -> Vec<HostEvent> {
        let gone = |process: &Process| {
            // SAFETY: an open process with the right to wait.
            unsafe { WaitForSingleObject(process.raw(), 0) == WAIT_OBJECT_0 }
        };
        let ended = self.processes.iter().filter(|(_, process)| gone(process));
        let ended: Vec<ProcessKey> = ended.map(|(key, _)| *key).collect();
        for key in &ended {
            self.processes.remove(key);
        }
        ended.into_iter().map(HostEvent::Exited).collect()
    }

    fn started(&mut self) -> Vec<HostEvent> {
        let Some(starts) = self.starts.as_mut().filter(|s| s.next <= Instant::now()) else {
            return Vec::new();
        };
        starts.next = Instant::now() + POLL_INTERVAL;
        let now = pids();
        let new = now.difference(&starts.known);
        let new = new.map(|pid| HostEvent::Started(*pid)).collect();
        starts.known = now;
        new
    }
}

/// Ends exactly this process.
pub(crate) fn kill(key: ProcessKey) -> Result<()> {
    let process = Process::open(key, PROCESS_TERMINATE)?;
    // SAFETY: an open process with the right to end it.
    let ended = check(unsafe { TerminateProcess(process.raw(), 1) });
    ended.map_err(|e| Error::of_process("ending", key, &e))
}

fn pids() -> HashSet<u32> {
    let mut pids = vec![0u32; 1024];
    loop {
        let (size, mut got) = ((pids.len() * 4) as u32, 0);
        // SAFETY: room for the answer, with its size in bytes.
        let listed = check(unsafe { K32EnumProcesses(pids.as_mut_ptr(), size, &raw mut got) });
        match listed {
            Err(_) => return HashSet::new(),
            Ok(()) if got == size => pids.resize(pids.len() * 2, 0),
            Ok(()) => return pids.into_iter().take(got as usize / 4).collect(),
        }
    }
}
