//! Waiting for processes to end and to start.

use super::{
    proc::ProcDir,
    sys::netlink::{self, ProcessEvent},
};
use crate::{Error, HostEvent, Result};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use snapshot::ProcessKey;
use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

/// Without the connector, `/proc` is looked at so often.
const LOOK: Duration = Duration::from_millis(100);

/// Events taken at once; more come with the next turn.
const MOST_EVENTS: usize = 64;
/// What an event of the connector carries; processes count from 1.
const STARTS: u64 = 0;

/// Who is waited for. Each is registered once: handing 500 descriptors to poll(2) with each call
/// took longer than sampling them.
#[derive(Default)]
pub(crate) struct Watcher {
    /// Made when first needed.
    epoll: Option<OwnedFd>,
    processes: HashMap<ProcessKey, (u64, OwnedFd)>,
    /// The process that an event is about.
    keys: HashMap<u64, ProcessKey>,
    last: u64,
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
        let process = open(key)?;
        self.last += 1;
        let registered = self.register(&process, self.last);
        registered.map_err(|e| Error::of_process("watching", key, &e))?;
        self.keys.insert(self.last, key);
        self.processes.insert(key, (self.last, process));
        Ok(())
    }

    /// Reports its end no more.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        // Closing the descriptor takes it out of the set (epoll(7)).
        if let Some((number, _)) = self.processes.remove(&key) {
            self.keys.remove(&number);
        }
    }

    /// Reports processes that start from now on; whether the kernel tells (else we look).
    pub(crate) fn follow_starts(&mut self) -> bool {
        if self.starts.is_none() {
            let looked = || Starts::Looked {
                known: pids(),
                next: Instant::now() + LOOK,
            };
            self.starts = Some(self.listen().map_or_else(|_| looked(), Starts::Told));
        }
        matches!(self.starts, Some(Starts::Told(_)))
    }

    /// Waits for events, at most for `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Vec<HostEvent> {
        let limit = match &self.starts {
            Some(Starts::Looked { next, .. }) => {
                limit.min(next.saturating_duration_since(Instant::now()))
            }
            _ => limit,
        };
        let happened = self.poll(limit);
        let mut events = self.started();
        for number in happened {
            if let Some(key) = self.keys.get(&number).copied() {
                self.forget(key);
                events.push(HostEvent::Exited(key));
            }
        }
        events
    }

    /// The numbers of those that have something to say.
    fn poll(&mut self, limit: Duration) -> Vec<u64> {
        let Ok(epoll) = self.epoll() else {
            std::thread::sleep(limit);
            return Vec::new();
        };
        let limit = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut events = Vec::with_capacity(MOST_EVENTS);
        // Interrupted by a signal: the loop looks what it wants.
        let _ = epoll::wait(epoll, spare_capacity(&mut events), Some(&limit));
        events
            .iter()
            .map(|event: &epoll::Event| event.data.u64())
            .collect()
    }

    fn epoll(&mut self) -> io::Result<&OwnedFd> {
        match &mut self.epoll {
            Some(epoll) => Ok(epoll),
            none => Ok(none.insert(epoll::create(epoll::CreateFlags::CLOEXEC)?)),
        }
    }

    fn register(&mut self, what: impl AsFd, number: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(
            self.epoll()?,
            what,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    fn listen(&mut self) -> io::Result<OwnedFd> {
        let socket = netlink::listen()?;
        self.register(&socket, STARTS)?;
        Ok(socket)
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
    let failed = |e: io::Error| Error::of_process("watching", key, &e);
    let pid =
        Pid::from_raw(key.pid as i32).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
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
        .map_err(io::Error::from)
        .and_then(|proc| super::proc::numbers_in(&proc, "."));
    listed.unwrap_or_default().into_iter().collect()
}
