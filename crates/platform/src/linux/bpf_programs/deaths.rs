//! Seeing a process die of a signal without attaching to it.
//!
//! One [program](super::death_program) reports the deaths of all processes that somebody waits for. With
//! [`Catching`], those of all others are caught too: then the thread that dies is held for a moment, and a process of
//! ours that does nothing else is told of it ([`HeldDeaths`](super::HeldDeaths)).

use super::{
    death_holds::DeathHolds,
    death_program::{self, Death, DeathReport},
    instructions::Code,
    pids::{Once, Pids, once},
    ring::{LARGE, Ring},
};
use crate::{
    linux::{
        arch,
        sys::{
            bpf::{self, ProgramType},
            kernel_types, priority,
            wake::{self, Wake},
        },
    },
    lock,
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
};

/// The reports of deaths in one process.
pub(crate) struct Deaths {
    pid: u32,
    mailbox: Arc<Mailbox>,
    hub: &'static Hub,
}

/// The death of a process that nobody had waited for.
pub(crate) struct Caught {
    /// The process.
    pub(crate) pid: u32,
    /// What is reported of it, from this death on.
    pub(crate) deaths: Deaths,
    /// Those who had begun to wait for its death.
    pub(crate) others: Others,
}

/// Those who had begun to wait for the death of a process that was caught then: what they had kept may be of the program
/// that it ran before.
pub(crate) struct Others(Vec<Arc<Mailbox>>);

/// A thread that stands where it dies, until this is dropped, or for as long as [`death_holds`](super::death_holds) has it.
pub(crate) struct HeldThread(&'static Hub, u64);

/// Reports that were not taken yet.
struct Mailbox {
    deaths: Mutex<VecDeque<Death>>,
    wake: Wake,
}

/// The one program, and whom it reports to.
struct Hub {
    ring: Ring,
    /// The ring of who catches.
    held: OwnedFd,
    /// Held by whoever takes reports out of the ring.
    reader: Mutex<()>,
    pids: Pids,
    /// Those that are being kept, and have executed no other program since that began.
    unchanged: Pids,
    holds: DeathHolds,
    /// Who is told of deaths that nobody had waited for.
    told: Mutex<Option<Told>>,
    mailboxes: Mutex<HashMap<u32, Vec<Arc<Mailbox>>>>,
    _links: [OwnedFd; 2],
}

/// Is called with each death that nobody had waited for.
type Told = Box<dyn Fn(Caught) + Send>;

/// The deaths by a fault of processes that nobody waits for.
#[derive(Clone, Copy)]
pub(crate) struct Catching(&'static Hub);

impl Catching {
    /// Has `told` be called with each, once that has [begun](Catching::begin).
    ///
    /// # Errors
    /// If the kernel does not take the programs, as without root and before Linux 6.16.
    pub(crate) fn new(told: impl Fn(Caught) + Send + 'static) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        Self::is_possible()?;
        let hub = Hub::get()?;
        *lock(&hub.told) = Some(Box::new(told));
        Ok(Self(hub))
    }

    /// Checks whether the kernel allows it.
    pub(crate) fn is_possible() -> io::Result<()> {
        DeathHolds::new()?.begin(1).map(|_| ())
    }

    /// Returns what the process that catches needs.
    pub(crate) fn files(&self) -> [BorrowedFd<'_>; 3] {
        [self.0.held.as_fd(), self.0.holds.map(), self.0.pids.map()]
    }

    /// Begins, when who catches is ready.
    ///
    /// # Errors
    /// If there is no room for that.
    pub(crate) fn begin(&self) -> io::Result<()> {
        self.0.pids.add_all()
    }

    /// Catches no more.
    pub(crate) fn end(&self) {
        self.0.pids.remove_all();
    }

    /// Returns when all deaths until now have been told.
    pub(crate) fn pass_on(&self) {
        self.0.pass_on_all();
    }

    /// A thread that who catches has left to us.
    pub(crate) fn held(&self, thread: u64) -> HeldThread {
        HeldThread(self.0, thread)
    }
}

impl Deaths {
    /// Prepares the reports of deaths in the process, before anything of it is kept; see [`Deaths::begin`].
    ///
    /// # Errors
    /// If the kernel does not take the program, as without root.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let deaths = Self::at(Hub::get()?, pid)?;
        deaths.hub.unchanged.add(pid)?;
        Ok(deaths)
    }

    fn at(hub: &'static Hub, pid: u32) -> io::Result<Self> {
        let mailbox = Arc::new(Mailbox {
            deaths: Mutex::default(),
            wake: Wake::new()?,
        });
        let mut mailboxes = lock(&hub.mailboxes);
        mailboxes.entry(pid).or_default().push(mailbox.clone());
        Ok(Self { pid, mailbox, hub })
    }

    /// Has deaths be reported from now on, without holding a thread: its address space is kept. Before this, its death
    /// is like that of a process that nobody waits for. Returns false if it has executed another program since
    /// [`Deaths::of`]; when it does from now on, it is not waited for any more.
    ///
    /// # Errors
    /// If there is no room for another process.
    pub(crate) fn begin(&self) -> io::Result<bool> {
        self.hub.pids.add(self.pid)?;
        Ok(self.hub.unchanged.take(self.pid))
    }

    /// Returns the next report, if there is one.
    pub(crate) fn next(&self) -> Option<Death> {
        // Whoever asks because the process has ended must not be faster than the thread that passes reports on.
        self.hub.pass_on_all();
        let mut deaths = lock(&self.mailbox.deaths);
        let next = deaths.pop_front();
        if next.is_none() {
            self.mailbox.wake.take();
        }
        next
    }

    /// Returns a descriptor that can be read as soon as there is a report.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.mailbox.wake.as_fd()
    }
}

impl Drop for Deaths {
    fn drop(&mut self) {
        let mut mailboxes = lock(&self.hub.mailboxes);
        let Some(of_process) = mailboxes.get_mut(&self.pid) else {
            return;
        };
        of_process.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
        if of_process.is_empty() {
            mailboxes.remove(&self.pid);
            self.hub.unchanged.remove(self.pid);
            self.hub.pids.remove(self.pid);
        }
    }
}

impl Others {
    /// Tells them that the process was caught, and can be taken.
    pub(crate) fn tell(&self) {
        self.0.iter().for_each(|mailbox| mailbox.wake.wake());
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        self.0.holds.let_go(self.1);
    }
}

impl Hub {
    /// Returns the hub of this program, which is made when it is needed first and stays.
    fn get() -> io::Result<&'static Self> {
        static HUB: Once<Hub> = Mutex::new(None);
        once(&HUB, Self::new, |hub| {
            let thread = std::thread::Builder::new().name("deaths".to_owned());
            thread.spawn(|| hub.pass_on()).map(|_| ())
        })
    }

    fn new() -> io::Result<Self> {
        let (ring, held, holds) = (Ring::new(LARGE)?, Ring::new_map(LARGE)?, DeathHolds::new()?);
        let (pids, unchanged) = (Pids::new()?, Pids::new()?);
        let pointer = kernel_types::offset(arch::THREAD_POINTER);
        let program = death_program::program(&ring.map, &held, &pids, &holds, pointer);
        let at_exec = death_program::program_at_exec(&unchanged, &pids);
        let load = |code: &Code| bpf::load(ProgramType::RawTracepoint, code.words());
        let (program, at_exec) = (load(&program)?, load(&at_exec)?);
        Ok(Self {
            ring,
            held,
            reader: Mutex::default(),
            pids,
            unchanged,
            holds,
            told: Mutex::default(),
            mailboxes: Mutex::default(),
            _links: [
                bpf::attach(&program, c"signal_deliver")?,
                bpf::attach(&at_exec, c"sched_process_exec")?,
            ],
        })
    }

    /// Passes reports on, for ever.
    fn pass_on(&'static self) {
        // Some of what is kept of a process that has died can be read only until its parent has waited for it.
        priority::raise_priority();
        loop {
            wake::sleep(&[self.ring.map.as_fd()], None);
            self.pass_on_all();
        }
    }

    fn pass_on_all(&'static self) {
        // Whoever looks often must not have the lock when a process dies.
        if self.ring.is_empty() && self.reader.try_lock().is_ok() {
            return;
        }
        let _only_one = lock(&self.reader);
        while let Some(report) = self.ring.next() {
            if let Some(report) = death_program::decode(&report) {
                self.pass_on_one(&report);
            }
        }
    }

    fn pass_on_one(&'static self, report: &DeathReport) {
        let caught = report.held.and_then(|_| self.caught(report.pid));
        self.deliver(report.pid, &report.death);
        if let (Some(caught), Some(told)) = (caught, &*lock(&self.told)) {
            told(caught);
        }
    }

    fn caught(&'static self, pid: u32) -> Option<Caught> {
        let others = lock(&self.mailboxes).remove(&pid);
        let Ok(deaths) = Deaths::at(self, pid) else {
            // Without room for a descriptor it dies as it would have without us.
            self.pids.remove(pid);
            return None;
        };
        Some(Caught {
            pid,
            deaths,
            others: Others(others.unwrap_or_default()),
        })
    }

    fn deliver(&self, pid: u32, death: &Death) {
        for mailbox in lock(&self.mailboxes).get(&pid).into_iter().flatten() {
            lock(&mailbox.deaths).push_back(death.clone());
            mailbox.wake.wake();
        }
    }
}
