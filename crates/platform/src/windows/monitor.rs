//! How `firstchance cancel`, and ProcDump's own `-cancel`, reach the monitors: by an event that is
//! named after the monitored process. Whoever sets it ends all monitors of that process.

use super::sys::{check, own, raw, wide};
use crate::{Error, Result, monitor::Shared};
use std::{
    collections::HashMap,
    io,
    os::windows::io::OwnedHandle,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use windows_sys::Win32::{
    Foundation::WAIT_OBJECT_0,
    System::Threading::{
        CreateEventW, EVENT_MODIFY_STATE, OpenEventW, SetEvent, WaitForSingleObject,
    },
};

/// How often the events are checked, and new processes are noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The thread that checks the events. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct MonitorListener {
    closed: Arc<AtomicBool>,
}

impl MonitorListener {
    /// Begins to check the events, in a thread of its own.
    pub(crate) fn open(shared: Shared) -> Result<Self> {
        let closed = Arc::new(AtomicBool::new(false));
        let over = closed.clone();
        std::thread::spawn(move || {
            let mut events = HashMap::new();
            while !over.load(Ordering::Relaxed) {
                poll_events(&shared, &mut events);
                std::thread::sleep(POLL_INTERVAL);
            }
        });
        Ok(Self { closed })
    }
}

impl Drop for MonitorListener {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// Makes an event for each monitored process that has none yet, and cancels the monitoring of those
/// whose event was set.
fn poll_events(shared: &Shared, events: &mut HashMap<u32, Option<OwnedHandle>>) {
    {
        let pids = shared.pids();
        events.retain(|pid, _| pids.contains(pid));
        for &pid in &*pids {
            events.entry(pid).or_insert_with(|| event_of(pid).ok());
        }
    }
    let is_set = |event: &OwnedHandle| {
        // SAFETY: an open event.
        unsafe { WaitForSingleObject(raw(event), 0) == WAIT_OBJECT_0 }
    };
    let set = events
        .iter()
        .filter(|(_, event)| event.as_ref().is_some_and(is_set));
    for (pid, _) in set {
        shared.ask(*pid);
    }
}

fn name(pid: u32) -> Vec<u16> {
    wide(&format!("ProcDump-{pid}"))
}

/// Opens the event of a process, which is made if it does not exist.
fn event_of(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the name ends with a NUL, and the handle is new and ours.
    unsafe { own(CreateEventW(std::ptr::null(), 1, 0, name(pid).as_ptr())) }
}

/// Asks every monitor of this process to end. They share one event, so that the returned count is 0
/// or 1.
pub(crate) fn cancel_monitors(pid: u32) -> Result<u32> {
    // SAFETY: the name ends with a NUL, and the handle is new and ours.
    let event = unsafe { own(OpenEventW(EVENT_MODIFY_STATE, 0, name(pid).as_ptr())) };
    let event = match event {
        Ok(event) => event,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(pid, &error)),
    };
    // SAFETY: an open event with the right to set it.
    check(unsafe { SetEvent(raw(&event)) }).map_err(|e| failed(pid, &e))?;
    Ok(1)
}

fn failed(pid: u32, error: &io::Error) -> Error {
    let what = format!("reaching the monitors of process {pid} failed: {error}");
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => crate::ErrorKind::NotPermitted,
        _ => crate::ErrorKind::Other,
    };
    Error::new(kind, what)
}
