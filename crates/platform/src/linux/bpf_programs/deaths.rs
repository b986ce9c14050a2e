//! Seeing a process die of a signal without attaching to it.
//!
//! A program at the kernel's raw tracepoint `signal_deliver` (include/trace/events/signal.h)
//! reports signals for which the process has no handler, with the registers of the thread. The
//! other threads, which die with the first, are reported in the same way: they get SIGKILL.

use super::{
    instructions::{AddressSpace, Code, Condition, FRAME, Helper},
    pids::{Once, Pids, once},
    ring::{self, Ring},
};
use crate::linux::{
    arch,
    sys::{
        bpf::{self, ProgramType},
        wake::{self, Wake},
    },
};
use snapshot::Registers;
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The delivery of a signal without a handler to a thread.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Death {
    /// The thread id.
    pub(crate) thread: i32,
    /// The number of the signal.
    pub(crate) signal: i32,
    /// The first bytes of the signal's `siginfo_t`.
    pub(crate) info: Vec<u8>,
    /// The name of the thread.
    pub(crate) name: String,
    /// The registers in user mode when the signal was delivered.
    pub(crate) registers: Registers,
}

/// The reports of deaths in one process.
pub(crate) struct Deaths {
    pid: u32,
    mailbox: Arc<Mailbox>,
    hub: &'static Hub,
}

/// Reports that were not taken yet.
struct Mailbox {
    deaths: Mutex<VecDeque<Death>>,
    wake: Wake,
}

/// The one program, and whom it reports to.
struct Hub {
    ring: Ring,
    /// Held by whoever takes reports out of the ring.
    reader: Mutex<()>,
    pids: Pids,
    mailboxes: Mutex<HashMap<u32, Vec<Arc<Mailbox>>>>,
    _link: OwnedFd,
}

/// Offsets and sizes of the fields of a report, in bytes.
const THREAD: usize = 0;
const SIGNAL: usize = 8;
const INFO: usize = 16;
const INFO_BYTES: usize = 48;
const NAME: usize = INFO + INFO_BYTES;
/// `TASK_COMM_LEN`.
const NAME_BYTES: usize = 16;
const REGISTERS: usize = NAME + NAME_BYTES;
const BYTES: usize = REGISTERS + arch::PROBE_WORDS * 8;

/// Returns the offset of a field on the program's stack. Below the report there is room for one
/// word.
const fn at(field: usize) -> i16 {
    field as i16 - BYTES as i16
}
const WORD: i16 = -(BYTES as i16) - 8;

impl Deaths {
    /// Reports deaths in the process from now on.
    ///
    /// # Errors
    /// If the kernel does not take the program, as without root.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let hub = Hub::get()?;
        let mailbox = Arc::new(Mailbox {
            deaths: Mutex::default(),
            wake: Wake::new()?,
        });
        hub.pids.add(pid)?;
        let mut mailboxes = hub.mailboxes();
        mailboxes.entry(pid).or_default().push(mailbox.clone());
        Ok(Self { pid, mailbox, hub })
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
            self.hub.pids.remove(self.pid);
        }
    }
}

impl Mailbox {
    fn deaths(&self) -> MutexGuard<'_, VecDeque<Death>> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (ring, pids) = (Ring::new()?, Pids::new()?);
        let program = bpf::load(
            ProgramType::RawTracepoint,
            program(&ring.map, &pids).words(),
        )?;
        Ok(Self {
            ring,
            reader: Mutex::default(),
            pids,
            mailboxes: Mutex::default(),
            _link: bpf::attach(&program, c"signal_deliver")?,
        })
    }

    /// Passes reports on, for ever.
    fn pass_on(&self) {
        loop {
            wake::sleep(&[self.ring.map.as_fd()], None);
            self.pass_on_all();
        }
    }

    fn pass_on_all(&self) {
        let _only_one = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(report) = self.ring.next() {
            if let Some((pid, death)) = decode(&report) {
                self.deliver(pid, &death);
            }
        }
    }

    fn deliver(&self, pid: u32, death: &Death) {
        for mailbox in self.mailboxes().get(&pid).into_iter().flatten() {
            mailbox.deaths().push_back(death.clone());
            mailbox.wake.wake();
        }
    }

    fn mailboxes(&self) -> MutexGuard<'_, HashMap<u32, Vec<Arc<Mailbox>>>> {
        self.mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decodes a report: the process that it is about, and the death of a thread.
fn decode(bytes: &[u8]) -> Option<(u32, Death)> {
    let word = |at| ring::word(bytes, at);
    let ids = word(THREAD)?;
    let death = Death {
        thread: ids as u32 as i32,
        signal: word(SIGNAL)? as i32,
        info: bytes.get(INFO..NAME)?.to_vec(),
        name: ring::text(bytes.get(NAME..REGISTERS)?),
        registers: arch::from_probe(bytes.get(REGISTERS..)?)?,
    };
    Some(((ids >> 32) as u32, death))
}

/// Writes the program for `signal_deliver(int sig, siginfo *info, sigaction *action)`. The first
/// word of the action is the handler; SIG_DFL is 0.
fn program(ring: &OwnedFd, pids: &Pids) -> Code {
    const CONTEXT: u8 = 6;
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.call(Helper::PidTgid);
    code.store(FRAME, at(THREAD), 0);
    code.shift_right(0, 32);
    pids.leave_unless_in(&mut code, 0, WORD);
    code.set(1, 0);
    for field in (INFO..BYTES).step_by(8) {
        code.store(FRAME, at(field), 1);
    }
    code.store(FRAME, WORD, 1);
    code.load(3, CONTEXT, 16);
    code.read(AddressSpace::Kernel, WORD, 8);
    code.load(1, FRAME, WORD);
    code.leave_unless(Condition::Equal, 1, 0);
    code.load(1, CONTEXT, 0);
    code.store(FRAME, at(SIGNAL), 1);
    code.load(3, CONTEXT, 8);
    code.read(AddressSpace::Kernel, at(INFO), INFO_BYTES);
    code.copy(1, FRAME);
    code.add(1, at(NAME).into());
    code.set(2, NAME_BYTES as i32);
    code.call(Helper::CurrentName);
    code.call(Helper::CurrentTask);
    code.copy(1, 0);
    code.call(Helper::TaskRegisters);
    code.copy(3, 0);
    code.read(AddressSpace::Kernel, at(REGISTERS), arch::PROBE_WORDS * 8);
    code.send(ring, at(0), BYTES);
    code.leave();
    code
}
