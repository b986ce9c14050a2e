//! Reporting processes that end, by waiting for their handles, and processes that start, by listing
//! them: Windows tells ordinary programs of no starts.

use super::{
    process::Process,
    sys::{check, own, raw},
};
use crate::{Error, ErrorKind, HostEvent, HostSink, Result, lock};
use snapshot::{EndStatus, ProcessKey};
use std::{
    collections::{BTreeMap, HashSet},
    io,
    os::windows::io::OwnedHandle,
    sync::{Arc, Mutex, MutexGuard},
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

/// How often processes are listed to find those that started.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How many processes one call can wait for (`MAXIMUM_WAIT_OBJECTS`, less the event that wakes us).
const MOST: usize = 63;
/// How long a wait takes at most if there are more processes than that.
const SLICE: Duration = Duration::from_millis(20);

/// A thread that waits, and reports the end of watched processes and the start of any.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// An event that is set when there is something new to wait for. It resets itself.
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
    /// Begins to report to `sink`.
    ///
    /// # Errors
    /// If the event or the thread cannot be made.
    pub(crate) fn begin(sink: HostSink) -> Result<Self> {
        let failed = |e: io::Error| {
            let what = format!("preparing to watch processes failed: {e}");
            Error::new(ErrorKind::Other, what)
        };
        // SAFETY: the event has no name and no attributes, and the handle is new and ours.
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

    /// Reports the end of this process.
    ///
    /// # Errors
    /// If it has ended already.
    pub(crate) fn watch(&self, key: ProcessKey) -> Result<()> {
        let process = Arc::new(Process::open(key, 0)?);
        self.shared.watched().processes.insert(key, process);
        self.shared.wake();
        Ok(())
    }

    /// Ends the watching of a process.
    pub(crate) fn forget(&self, key: ProcessKey) {
        self.shared.watched().processes.remove(&key);
    }

    /// Reports processes that start. One that lives shorter than 100 ms may be missed.
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
            // A thread that panicked has nothing more to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }

    fn wake(&self) {
        // SAFETY: our own open event.
        unsafe { SetEvent(raw(&self.woken)) };
    }

    /// What the thread does until the watcher is dropped: wait, and report what happened.
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

    /// Sleeps until a process ends, somebody wakes us, or processes have to be listed.
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
        // SAFETY: the handles stay open until the call ends, and their number is what is said.
        unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, millis) };
    }
}

/// Converts to milliseconds, rounded up: a wait that ends too early would spin.
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
        let ended = self.processes.extract_if(.., |_, process| gone(process));
        ended
            .map(|(key, process)| {
                let status = EndStatus::Code(process.exit_code());
                HostEvent::Exited(key, Some(status))
            })
            .collect()
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

/// Kills exactly this process.
pub(crate) fn kill(key: ProcessKey) -> Result<()> {
    let process = Process::open(key, PROCESS_TERMINATE)?;
    // SAFETY: an open process with the right to end it.
    let ended = check(unsafe { TerminateProcess(process.raw(), 1) });
    ended.map_err(|e| Error::of_process("ending", key, &e))
}

/// Returns all pids.
fn pids() -> HashSet<u32> {
    let mut pids = vec![0u32; 1024];
    loop {
        let (size, mut got) = ((pids.len() * 4) as u32, 0);
        // SAFETY: a buffer with its size in bytes.
        let listed = check(unsafe { K32EnumProcesses(pids.as_mut_ptr(), size, &raw mut got) });
        match listed {
            Err(_) => return HashSet::new(),
            Ok(()) if got == size => pids.resize(pids.len() * 2, 0),
            Ok(()) => return pids.into_iter().take(got as usize / 4).collect(),
        }
    }
}
