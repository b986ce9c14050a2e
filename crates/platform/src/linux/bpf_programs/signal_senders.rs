//! Finding out who ended a process by a signal.
//!
//! A program at the kernel's tracepoint `signal:signal_generate` (include/trace/events/signal.h)
//! runs in the process that sends a signal, and reports its pid and name. The receiver of a SIGKILL
//! is not told who sent it.

use super::{
    instructions::{Code, Condition, FRAME, Helper},
    pids::{Once, Pids, once},
    ring::{self, Ring},
};
use crate::{
    linux::sys::{
        bpf::{self, ProgramType},
        perf, tracefs,
    },
    lock,
};
use snapshot::Sender;
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard},
};

/// The signals by which people and supervisors end processes (signal(7)): SIGHUP, SIGINT, SIGQUIT,
/// SIGKILL, SIGTERM.
const ENDING: [i32; 5] = [1, 2, 3, 9, 15];

/// The fields of the tracepoint's record that we read, as its `format` file must describe them.
/// They have not changed since the tracepoint exists.
const FORMAT: [&str; 3] = [
    "field:int sig;\toffset:8;",
    "field:int code;\toffset:16;",
    "field:pid_t pid;\toffset:36;",
];
const SIGNAL: i16 = 8;
const CODE: i16 = 16;
const PID: i16 = 36;

/// The code of a signal that the kernel sent of its own accord, as when memory is short
/// (`SI_KERNEL` of sigaction(2)).
const BY_KERNEL: u64 = 0x80;

/// The length in bytes of the sender's name, and of a report: the signal, its code, process and
/// thread id of the sender, and its name.
const NAME_BYTES: usize = 16;
/// The offset of the id of the process that got it.
const TARGET: usize = 24 + NAME_BYTES;
const BYTES: usize = TARGET + 8;

/// Returns the offset of a field on the program's stack.
const fn at(field: usize) -> i16 {
    field as i16 - BYTES as i16
}

/// The senders of ending signals to one process.
pub(crate) struct SignalSenders {
    pid: u32,
    hub: &'static Hub,
}

/// The one program, and what it has reported.
struct Hub {
    ring: Ring,
    pids: Pids,
    noted: Mutex<Noted>,
    _event: OwnedFd,
}

#[derive(Default)]
struct Noted {
    /// How many [`SignalSenders`] there are of each process.
    users: HashMap<u32, usize>,
    /// The last sender of each signal to each process.
    last: HashMap<(u32, i32), Sender>,
}

impl SignalSenders {
    /// Notes senders from now on.
    ///
    /// # Errors
    /// If the kernel has no such tracepoint, or does not take the program, as without root.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let hub = Hub::get()?;
        let mut noted = hub.noted();
        hub.pids.add(pid)?;
        *noted.users.entry(pid).or_default() += 1;
        Ok(Self { pid, hub })
    }

    /// Returns who sent this signal to the process last, if anybody did.
    pub(crate) fn sender(&mut self, signal: i32) -> Option<Sender> {
        self.hub.noted().last.get(&(self.pid, signal)).cloned()
    }
}

impl Drop for SignalSenders {
    fn drop(&mut self) {
        let mut noted = self.hub.noted();
        let users = noted.users.entry(self.pid).or_default();
        *users = users.saturating_sub(1);
        if *users == 0 {
            noted.users.remove(&self.pid);
            noted.last.retain(|(pid, _), _| *pid != self.pid);
            self.hub.pids.remove(self.pid);
        }
    }
}

impl Hub {
    /// Returns the hub of this program, which is made when it is needed first and stays.
    fn get() -> io::Result<&'static Self> {
        static HUB: Once<Hub> = Mutex::new(None);
        once(&HUB, Self::new, |_| Ok(()))
    }

    fn new() -> io::Result<Self> {
        let point = tracefs::point("signal/signal_generate")?;
        if !FORMAT.iter().all(|field| point.format.contains(field)) {
            return Err(io::Error::other(
                "the tracepoint signal_generate has another format",
            ));
        }
        let (ring, pids) = (Ring::new(ring::LARGE)?, Pids::new()?);
        let program = bpf::load(ProgramType::Tracepoint, program(&ring.map, &pids).words())?;
        let event = perf::tracepoint(point.id)?;
        bpf::run_at(&event, &program)?;
        Ok(Self {
            ring,
            pids,
            noted: Mutex::default(),
            _event: event,
        })
    }

    /// Returns what has been reported until now.
    fn noted(&self) -> MutexGuard<'_, Noted> {
        let mut noted = lock(&self.noted);
        while let Some(report) = self.ring.next() {
            noted.last.extend(decode(&report));
        }
        noted
    }
}

/// Decodes a report: the process that got the signal, its number, and who sent it.
fn decode(report: &[u8]) -> Option<((u32, i32), Sender)> {
    let word = |at| ring::word(report, at);
    let name = report.get(24..TARGET)?;
    let sender = match word(8)? {
        BY_KERNEL => Sender::Kernel,
        _ => Sender::Process {
            pid: (word(16)? >> 32) as u32,
            name: ring::text(name),
        },
    };
    Some(((word(TARGET)? as u32, word(0)? as i32), sender))
}

fn program(ring: &OwnedFd, pids: &Pids) -> Code {
    const CONTEXT: u8 = 6;
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.load_half(1, CONTEXT, PID);
    code.store(FRAME, at(TARGET), 1);
    pids.leave_unless_in(&mut code, 1, -(BYTES as i16) - 8);
    code.load_half(1, CONTEXT, SIGNAL);
    let ending = ENDING.map(|signal| code.jump(Condition::Equal, 1, signal));
    code.leave();
    ending.into_iter().for_each(|jump| code.land(jump));
    code.store(FRAME, at(0), 1);
    code.load_half(1, CONTEXT, CODE);
    code.store(FRAME, at(8), 1);
    code.call(Helper::PidTgid);
    code.store(FRAME, at(16), 0);
    code.copy(1, FRAME);
    code.add(1, at(24).into());
    code.set(2, NAME_BYTES as i32);
    code.call(Helper::CurrentName);
    code.send(ring, at(0), BYTES);
    code.leave();
    code
}
