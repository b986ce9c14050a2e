//! Waiting for processes to end and to start.

use super::{
    proc::ProcDir,
    sys::netlink::{self, ProcessEvent},
};
use crate::{Error, HostEvent, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use snapshot::ProcessKey;
use std::{
    collections::{BTreeMap, HashSet},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// Without the connector, `/proc` is looked at so often.
const LOOK: Duration = Duration::from_millis(100);

/// Who is waited for.
#[derive(Default)]
pub(crate) struct Watcher {
    processes: BTreeMap<ProcessKey, OwnedFd>,
    starts: Option<Starts>,
}

enum Starts {
    /// The kernel tells.
    Told(OwnedFd),
    /// We look.
    Looked { known: HashSet<i32>, next: Instant },
}

impl Watcher {
    /// Reports the end of this process from now on.
    pub(crate) fn watch(&mut self, key: ProcessKey) -> Result<()> {
        self.processes.insert(key, open(key)?);
        Ok(())
    }

    /// Reports its end no more.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.processes.remove(&key);
    }

    /// Reports processes that start from now on; whether the kernel tells (else we look).
    pub(crate) fn follow_starts(&mut self) -> bool {
        if self.starts.is_none() {
            let looked = || Starts::Looked {
                known: pids(),
                next: Instant::now() + LOOK,
            };
            self.starts = Some(netlink::listen().map_or_else(|_| looked(), Starts::Told));
        }
        matches!(self.starts, Some(Starts::Told(_)))
    }

    /// Waits for events, at most for `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Vec<HostEvent> {
        let keys: Vec<ProcessKey> = self.processes.keys().copied().collect();
        let mut fds: Vec<PollFd<'_>> = self
            .processes
            .values()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        let mut limit = limit;
        match &self.starts {
            Some(Starts::Told(socket)) => fds.push(PollFd::new(socket, PollFlags::IN)),
            Some(Starts::Looked { next, .. }) => {
                limit = limit.min(next.saturating_duration_since(Instant::now()));
            }
            None => {}
        }
        let limit = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        let _ = poll(&mut fds, Some(&limit));
        let ended: Vec<ProcessKey> = keys
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(key, _)| key)
            .collect();
        drop(fds);
        let mut events = self.started();
        for key in ended {
            self.processes.remove(&key);
            events.push(HostEvent::Exited(key));
        }
        events
    }

    fn started(&mut self) -> Vec<HostEvent> {
        match &mut self.starts {
            Some(Starts::Told(socket)) => match netlink::events(socket) {
                Ok(events) => events.into_iter().map(told).collect(),
                // Events were lost: everybody may be new.
                Err(_) => pids()
                    .into_iter()
                    .map(|pid| HostEvent::Started(pid as u32))
                    .collect(),
            },
            Some(Starts::Looked { known, next }) if *next <= Instant::now() => {
                *next = Instant::now() + LOOK;
                let now = pids();
                let new = now
                    .difference(known)
                    .map(|pid| HostEvent::Started(*pid as u32))
                    .collect();
                *known = now;
                new
            }
            _ => Vec::new(),
        }
    }
}

/// A descriptor of exactly this process.
fn open(key: ProcessKey) -> Result<OwnedFd> {
    let failed = |e: std::io::Error| Error::of_process("watching", key, &e);
    let pid =
        Pid::from_raw(key.pid as i32).ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| failed(e.into()))?;
    // The pid may have been taken over just before: the descriptor is of whoever has it now.
    ProcDir::open(key)?;
    Ok(fd)
}

/// Ends exactly this process.
pub(crate) fn kill(key: ProcessKey) -> Result<()> {
    let sent = pidfd_send_signal(open(key)?, Signal::KILL);
    sent.map_err(|e| Error::of_process("ending", key, &e.into()))
}

fn told(event: ProcessEvent) -> HostEvent {
    match event {
        ProcessEvent::Forked(pid) | ProcessEvent::Executed(pid) => HostEvent::Started(pid),
    }
}

fn pids() -> HashSet<i32> {
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, rustix::fs::Mode::empty());
    let listed = proc
        .map_err(std::io::Error::from)
        .and_then(|proc| super::proc::numbers_in(&proc, "."));
    listed.unwrap_or_default().into_iter().collect()
}
