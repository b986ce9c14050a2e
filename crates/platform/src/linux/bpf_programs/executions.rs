//! Hearing of programs that one process executes. What was armed is bound to the program before: places in its files, and
//! its address space.
//!
//! A program at the kernel's raw tracepoint `sched_process_exec` (include/trace/events/sched.h) runs in the process that
//! executes a program. Nobody else tells of it where only one process is watched: the kernel's reports of starts are those
//! of all processes of the machine.

use super::{
    instructions::{Code, FRAME, Helper, Reg},
    pids::{Once, Pids, once},
    ring::{self, Ring},
};
use crate::{
    linux::sys::{
        bpf::{self, ProgramType},
        wake::{self, Wake},
    },
    lock,
};
use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
};

/// The size of a report: the process id, and the id that the thread had before.
const BYTES: usize = 16;
const PROCESS: i16 = -(BYTES as i16);
const THREAD: i16 = PROCESS + 8;

/// The programs that one process executes.
pub(crate) struct Executions {
    pid: u32,
    mailbox: Arc<Mailbox>,
    hub: &'static Hub,
}

/// What has been executed since it was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) any: bool,
    /// Whether a thread that was not the first one did. It is the first one since; what the kernel had kept for that is gone.
    pub(crate) by_other_thread: bool,
}

struct Mailbox {
    executed: Mutex<Executed>,
    wake: Wake,
}

/// The one program, and whom it reports to.
struct Hub {
    ring: Ring,
    pids: Pids,
    mailboxes: Mutex<HashMap<u32, Vec<Arc<Mailbox>>>>,
    _link: OwnedFd,
}

impl Executions {
    /// Hears of programs that are executed from now on.
    ///
    /// # Errors
    /// If the kernel does not take the program, as without root.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let hub = Hub::get()?;
        let mailbox = Arc::new(Mailbox {
            executed: Mutex::default(),
            wake: Wake::new()?,
        });
        let mut mailboxes = lock(&hub.mailboxes);
        hub.pids.add(pid)?;
        mailboxes.entry(pid).or_default().push(mailbox.clone());
        Ok(Self { pid, mailbox, hub })
    }

    /// Takes what has been executed since the last call.
    pub(crate) fn take(&self) -> Executed {
        self.mailbox.wake.take();
        std::mem::take(&mut lock(&self.mailbox.executed))
    }

    /// Returns a descriptor that can be read as soon as a program was executed.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.mailbox.wake.as_fd()
    }
}

impl Drop for Executions {
    fn drop(&mut self) {
        let mut mailboxes = lock(&self.hub.mailboxes);
        let of_process = mailboxes.entry(self.pid).or_default();
        of_process.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
        if of_process.is_empty() {
            mailboxes.remove(&self.pid);
            self.hub.pids.remove(self.pid);
        }
    }
}

impl Mailbox {
    fn put(&self, is_by_other: bool) {
        let mut executed = lock(&self.executed);
        executed.any = true;
        executed.by_other_thread |= is_by_other;
        drop(executed);
        self.wake.wake();
    }
}

impl Hub {
    /// Returns the hub of this program, which is made when it is needed first and stays.
    fn get() -> io::Result<&'static Self> {
        static HUB: Once<Hub> = Mutex::new(None);
        once(&HUB, Self::new, |hub| {
            let thread = std::thread::Builder::new().name("executions".to_owned());
            thread.spawn(|| hub.pass_on()).map(|_| ())
        })
    }

    fn new() -> io::Result<Self> {
        let (ring, pids) = (Ring::new(ring::SMALL)?, Pids::new()?);
        let program = program(&ring.map, &pids);
        let program = bpf::load(ProgramType::RawTracepoint, program.words())?;
        Ok(Self {
            ring,
            pids,
            mailboxes: Mutex::default(),
            _link: bpf::attach(&program, c"sched_process_exec")?,
        })
    }

    /// Passes reports on, for ever.
    fn pass_on(&'static self) {
        loop {
            wake::sleep(&[self.ring.map.as_fd()], None);
            while let Some(report) = self.ring.next() {
                self.deliver(&report);
            }
        }
    }

    fn deliver(&self, report: &[u8]) {
        let (Some(pid), Some(thread)) = (ring::word(report, 0), ring::word(report, 8)) else {
            return;
        };
        for mailbox in lock(&self.mailboxes)
            .get(&(pid as u32))
            .into_iter()
            .flatten()
        {
            mailbox.put(pid != thread);
        }
    }
}

/// Writes the program for `sched_process_exec(struct task_struct *task, pid_t old_pid, struct linux_binprm *program)`.
fn program(ring: &OwnedFd, pids: &Pids) -> Code {
    const CONTEXT: Reg = 6;
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.call(Helper::PidTgid);
    code.shift_right(0, 32);
    code.copy(1, 0);
    pids.leave_unless_in(&mut code, 1, PROCESS);
    code.load(1, CONTEXT, 8);
    code.keep_low_half(1);
    code.store(FRAME, THREAD, 1);
    code.send(ring, PROCESS, BYTES);
    code.leave();
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    /// Needs root, as the program itself.
    #[test]
    fn n45_each_program_that_is_executed_is_heard_of() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut sh = Command::new("sh");
        let pipes = sh.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes
            .args(["-c", "echo ready; read line; exec cat"])
            .spawn()
            .expect("sh");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        output.next().expect("ready").expect("a line");
        let executions = Executions::of(child.id()).expect("the kernel takes the program");
        assert_eq!(executions.take(), Executed::default());
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"\n").expect("it reads");
        let end = Instant::now() + Duration::from_secs(60);
        wake::sleep(&[executions.descriptor()], Some(end));
        let executed = executions.take();
        assert_eq!((executed.any, executed.by_other_thread), (true, false));
        assert_eq!(executions.take(), Executed::default());
        drop(input);
        child.wait().expect("it ends");
    }
}
