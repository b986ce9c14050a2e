//! The end of processes, which Windows tells, and their beginning, which is looked for.

use super::{
    console,
    process::Process,
    sys::{check, raw},
};
use crate::{Error, HostEvent, Result};
use snapshot::ProcessKey;
use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};
use windows_sys::Win32::{
    Foundation::{HANDLE, WAIT_OBJECT_0},
    System::{
        ProcessStatus::K32EnumProcesses,
        Threading::{
            PROCESS_TERMINATE, TerminateProcess, WaitForMultipleObjects, WaitForSingleObject,
        },
    },
};

/// How often starts are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// What one call can wait for (`MAXIMUM_WAIT_OBJECTS`), less the one that cancels.
const MOST: usize = 63;
/// How long a wait takes where there are more than that.
const SLICE: Duration = Duration::from_millis(20);

/// Processes that are watched, and starts that are followed.
#[derive(Default)]
pub(crate) struct Watcher {
    processes: BTreeMap<ProcessKey, Process>,
    starts: Option<Starts>,
}

struct Starts {
    known: HashSet<u32>,
    next: Instant,
}

impl Watcher {
    /// Reports the end of this process from now on.
    pub(crate) fn watch(&mut self, key: ProcessKey) -> Result<()> {
        self.processes.insert(key, Process::open(key, 0)?);
        Ok(())
    }

    /// Reports its end no more.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.processes.remove(&key);
    }

    /// Looks for processes that start, from now on; the system does not tell of them.
    pub(crate) fn follow_starts(&mut self) -> bool {
        self.starts.get_or_insert_with(|| Starts {
            known: pids(),
            next: Instant::now() + LOOK,
        });
        false
    }

    /// Waits for events, at most for `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Vec<HostEvent> {
        let deadline = Instant::now() + limit;
        loop {
            let mut left = deadline.saturating_duration_since(Instant::now());
            if let Some(starts) = &self.starts {
                left = left.min(starts.next.saturating_duration_since(Instant::now()));
            }
            self.sleep(left);
            let mut events = self.started();
            events.extend(self.ended());
            let over = Instant::now() >= deadline || crate::Cancel.is_asked();
            if over || !events.is_empty() {
                return events;
            }
        }
    }

    /// Sleeps until one of them ends, or somebody asks us to stop.
    fn sleep(&self, limit: Duration) {
        let own = console::cancel_event();
        let watched = self.processes.values().take(MOST).map(Process::raw);
        let handles: Vec<HANDLE> = watched.chain(own).collect();
        let limit = match self.processes.len() {
            0..=MOST => limit,
            _ => limit.min(SLICE),
        };
        if handles.is_empty() {
            return std::thread::sleep(limit);
        }
        let millis = limit.as_millis().min(u32::MAX as u128 - 1) as u32;
        // Rounded up: a wait that ends too early would spin.
        let millis = millis + u32::from(!limit.subsec_nanos().is_multiple_of(1_000_000));
        // SAFETY: handles that live until the call ends.
        unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, millis) };
    }

    fn ended(&mut self) -> Vec<HostEvent> {
        let gone = |process: &Process| {
            // SAFETY: an open process with the right to wait.
            unsafe { WaitForSingleObject(raw(&process.handle), 0) == WAIT_OBJECT_0 }
        };
        let ended: Vec<ProcessKey> = self
            .processes
            .iter()
            .filter(|(_, process)| gone(process))
            .map(|(key, _)| *key)
            .collect();
        for key in &ended {
            self.processes.remove(key);
        }
        ended.into_iter().map(HostEvent::Exited).collect()
    }

    fn started(&mut self) -> Vec<HostEvent> {
        let Some(starts) = self.starts.as_mut().filter(|s| s.next <= Instant::now()) else {
            return Vec::new();
        };
        starts.next = Instant::now() + LOOK;
        let now = pids();
        let new = now
            .difference(&starts.known)
            .map(|pid| HostEvent::Started(*pid));
        let new = new.collect();
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
