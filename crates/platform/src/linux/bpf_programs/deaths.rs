//! Seeing a process die of a signal without attaching to it.
//!
//! One [program](super::death_program) reports the deaths of all processes that somebody waits for. A
//! [`Catcher`] has those of all others caught too: then the thread that dies is held for a moment.

use super::{
    death_holds::DeathHolds,
    death_program::{self, Death, DeathReport},
    instructions::Code,
    pids::{Once, Pids, once},
    ring::Ring,
};
use crate::linux::sys::{
    bpf::{self, ProgramType},
    priority,
    urgent_mutex::{UrgentGuard, UrgentMutex},
    wake::{self, Wake},
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Instant,
};

/// The reports of deaths in one process.
pub(crate) struct Deaths {
    pid: u32,
    mailbox: Arc<Mailbox>,
    hub: &'static Hub,
}

/// How many of these can wait to be looked at. Each has a descriptor.
const MOST_CAUGHT: usize = 128;

/// The death of a process that nobody had waited for. The thread that dies stands in its exit until this is dropped, or
/// for as long as [`death_holds`](super::death_holds) has it.
pub(crate) struct Caught {
    /// The process.
    pub(crate) pid: u32,
    /// The thread.
    pub(crate) thread: i32,
    /// What is reported of it, from this death on.
    pub(crate) deaths: Deaths,
    /// Dropped to let the thread go on.
    pub(crate) held: HeldThread,
    /// Those who had begun to wait for its death.
    pub(crate) others: Others,
}

/// Those who had begun to wait for the death of a process that was caught then: what they had kept may be of the program
/// that it ran before.
pub(crate) struct Others(Vec<Arc<Mailbox>>);

/// A thread that stands where it dies, until this is dropped.
pub(crate) struct HeldThread(&'static Hub, u64);

/// Reports that were not taken yet.
struct Mailbox {
    deaths: UrgentMutex<VecDeque<Death>>,
    wake: Wake,
}

/// The one program, and whom it reports to.
struct Hub {
    ring: Ring,
    /// Held by whoever takes reports out of the ring.
    reader: UrgentMutex<()>,
    pids: Pids,
    /// Those that are being kept, and have executed no other program since that began.
    unchanged: Pids,
    holds: DeathHolds,
    catching: UrgentMutex<Option<Catching>>,
    mailboxes: UrgentMutex<HashMap<u32, Vec<Arc<Mailbox>>>>,
    _links: [OwnedFd; 2],
}

/// Who is told of deaths that nobody had waited for.
struct Catching {
    to: SyncSender<Caught>,
    /// Told of each: the report that it came from may have been taken out of the ring before who waits there has seen it.
    wake: Arc<Wake>,
    _link: OwnedFd,
}

/// Catches the death by a fault of any process that nobody waits for.
pub(crate) struct Catcher {
    hub: &'static Hub,
    caught: Mutex<Receiver<Caught>>,
    wake: Arc<Wake>,
}

impl Catcher {
    /// Begins to catch. As many threads of different processors have to [wait](Catcher::wait).
    ///
    /// # Errors
    /// If the kernel does not take the programs, as without root and before Linux 6.16.
    pub(crate) fn begin(threads: u32) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let hub = Hub::get()?;
        let link = hub.holds.begin(threads - 1)?;
        let (to, caught) = sync_channel(MOST_CAUGHT);
        let wake = Arc::new(Wake::new()?);
        *hub.catching() = Some(Catching {
            to,
            wake: wake.clone(),
            _link: link,
        });
        hub.pids.add_all()?;
        let caught = Mutex::new(caught);
        Ok(Self { hub, caught, wake })
    }

    /// Sleeps until there is a report, or `until` has come. Returns a process, if the report was of one that nobody waits
    /// for.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Option<Caught> {
        self.next().or_else(|| {
            wake::sleep(&[self.hub.ring.map.as_fd(), self.wake.as_fd()], until);
            self.next()
        })
    }

    /// Catches no process of a user until [`Catcher::allow`].
    pub(crate) fn refuse(&self, user: u32) {
        self.hub.pids.refuse(user);
    }

    /// Catches processes of a user again.
    pub(crate) fn allow(&self, user: u32) {
        self.hub.pids.allow(user);
    }

    /// Checks whether the kernel allows it.
    pub(crate) fn is_possible() -> io::Result<()> {
        DeathHolds::new()?.begin(1).map(|_| ())
    }

    fn next(&self) -> Option<Caught> {
        self.hub.pass_on_all();
        let caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        caught.try_recv().ok().or_else(|| {
            // Only when there is none: the others who wait are to see that there are more.
            self.wake.take();
            caught.try_recv().ok()
        })
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
            deaths: UrgentMutex::default(),
            wake: Wake::new()?,
        });
        let mut mailboxes = hub.mailboxes();
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
        let mut deaths = self.mailbox.deaths();
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
        let mut mailboxes = self.hub.mailboxes();
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

impl HeldThread {
    /// Somebody looks at it from now on.
    pub(crate) fn look_at(&self) {
        self.0.holds.look_at(self.1);
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        self.0.holds.let_go(self.1);
    }
}

impl Mailbox {
    fn deaths(&self) -> UrgentGuard<'_, VecDeque<Death>> {
        self.deaths.lock()
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
        let (ring, holds) = (Ring::new()?, DeathHolds::new()?);
        let (pids, unchanged) = (Pids::new()?, Pids::new()?);
        let program = death_program::program(&ring.map, &pids, &holds);
        let at_exec = death_program::program_at_exec(&unchanged, &pids);
        let load = |code: &Code| bpf::load(ProgramType::RawTracepoint, code.words());
        let (program, at_exec) = (load(&program)?, load(&at_exec)?);
        Ok(Self {
            ring,
            reader: UrgentMutex::default(),
            pids,
            unchanged,
            holds,
            catching: UrgentMutex::default(),
            mailboxes: UrgentMutex::default(),
            _links: [
                bpf::attach(&program, c"signal_deliver")?,
                bpf::attach(&at_exec, c"sched_process_exec")?,
            ],
        })
    }

    /// Passes reports on, for ever.
    fn pass_on(&'static self) {
        // Who catches, before all others, waits for this thread where that has begun to read.
        priority::raise_priority();
        loop {
            wake::sleep(&[self.ring.map.as_fd()], None);
            self.pass_on_all();
        }
    }

    fn pass_on_all(&'static self) {
        // Whoever looks often must not have the lock when a process dies: a thread without a processor would be waited for.
        if self.ring.is_empty() && self.reader.try_lock().is_some() {
            return;
        }
        let _only_one = self.reader.lock();
        while let Some(report) = self.ring.next() {
            if let Some(report) = death_program::decode(&report) {
                self.pass_on_one(&report);
            }
        }
    }

    fn pass_on_one(&'static self, report: &DeathReport) {
        let others = report
            .held
            .and_then(|_| self.mailboxes().remove(&report.pid));
        let others = Others(others.unwrap_or_default());
        let held = report.held.map(|thread| HeldThread(self, thread));
        let caught = held.and_then(|held| Some((held, Deaths::at(self, report.pid).ok()?)));
        if report.held.is_some() && caught.is_none() {
            // Without room for a descriptor it dies as it would have without us.
            self.pids.remove(report.pid);
        }
        self.deliver(report.pid, &report.death);
        if let (Some((held, deaths)), Some(catching)) = (caught, &*self.catching()) {
            // Those that nobody comes to look at die as they would have without us.
            let _ = catching.to.try_send(Caught {
                pid: report.pid,
                thread: report.death.thread,
                deaths,
                held,
                others,
            });
            catching.wake.wake();
        }
    }

    fn deliver(&self, pid: u32, death: &Death) {
        for mailbox in self.mailboxes().get(&pid).into_iter().flatten() {
            mailbox.deaths().push_back(death.clone());
            mailbox.wake.wake();
        }
    }

    fn catching(&self) -> UrgentGuard<'_, Option<Catching>> {
        self.catching.lock()
    }

    fn mailboxes(&self) -> UrgentGuard<'_, HashMap<u32, Vec<Arc<Mailbox>>>> {
        self.mailboxes.lock()
    }
}
