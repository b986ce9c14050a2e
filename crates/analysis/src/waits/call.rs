//! The system call that a thread is blocked in, with its arguments.

use super::On;
use snapshot::{Memory, OperatingSystem, Registers, Snapshot, Thread};

/// A system call of Linux.
pub(super) struct Call {
    number: Number,
    arguments: [u64; 6],
}

/// A word of memory that is waited on (futex(2)).
pub(super) struct Word {
    pub(super) address: u64,
    /// What the thread has told the kernel that it is.
    pub(super) expected: u32,
    /// Whether the kernel knows it as a lock: the word has the owner.
    pub(super) is_owned: bool,
}

/// The calls that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Futex,
    Read,
    Write,
    Accept,
    Receive,
    Connect,
    Send,
    Lock,
    Several(&'static str),
    Child,
    Sleep,
    Signal,
}

/// The numbers on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl) and on 64-bit ARM (include/uapi/asm-generic/unistd.h).
const NUMBERS: &[(u64, u64, Number)] = {
    use Number::*;
    const NONE: u64 = u64::MAX - 1;
    &[
        (202, 98, Futex),
        (0, 63, Read),
        (17, 67, Read),
        (19, 65, Read),
        (1, 64, Write),
        (20, 66, Write),
        (43, 202, Accept),
        (288, 242, Accept),
        (45, 207, Receive),
        (47, 212, Receive),
        (42, 203, Connect),
        (44, 206, Send),
        (46, 211, Send),
        (73, 32, Lock),
        (65, 193, Several("semop")),
        (220, 192, Several("semtimedop")),
        (70, 188, Several("msgrcv")),
        (69, 189, Several("msgsnd")),
        (2, NONE, Several("open")),
        (257, 56, Several("openat")),
        (7, NONE, Several("poll")),
        (271, 73, Several("ppoll")),
        (23, NONE, Several("select")),
        (270, 72, Several("pselect")),
        (232, NONE, Several("epoll_wait")),
        (281, 22, Several("epoll_pwait")),
        (441, 441, Several("epoll_pwait2")),
        (426, 426, Several("io_uring_enter")),
        (61, 260, Child),
        (247, 95, Child),
        (35, 101, Sleep),
        (230, 115, Sleep),
        (34, NONE, Signal),
        (130, 133, Signal),
        (128, 137, Signal),
    ]
};

/// `FUTEX_LOCK_PI` and `FUTEX_LOCK_PI2` (include/uapi/linux/futex.h).
const LOCKS: [u64; 2] = [6, 13];
/// `FUTEX_WAIT` and `FUTEX_WAIT_BITSET`.
const WAITS: [u64; 2] = [0, 9];
/// `FUTEX_PRIVATE_FLAG` and `FUTEX_CLOCK_REALTIME`.
const FLAGS: u64 = 128 | 256;

impl Call {
    /// The call that a thread is in. Returns `None` if it is in none that is known.
    pub(super) fn of(snapshot: &Snapshot, thread: &Thread) -> Option<Self> {
        Self::made(snapshot, thread).filter(|_| thread.letter != 'R')
    }

    /// The call that a thread has made last, by its registers: it may be about to come back from it.
    pub(super) fn made(snapshot: &Snapshot, thread: &Thread) -> Option<Self> {
        if snapshot.system.os != OperatingSystem::Linux {
            return None;
        }
        let (number, is_x86, arguments) = match thread.registers.as_ref()? {
            Registers::X86_64(r) => {
                let told = thread.syscall.or(Some(r.orig_rax));
                let arguments = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
                (told?, true, arguments)
            }
            Registers::Aarch64(r) => {
                let arguments = r.x.first_chunk().copied()?;
                (thread.syscall.unwrap_or(r.x[8]), false, arguments)
            }
            Registers::X86(_) | Registers::Arm(_) | Registers::RiscV64(_) => return None,
        };
        let mut known = NUMBERS.iter();
        let found = known.find(|(x86, arm, _)| number == if is_x86 { *x86 } else { *arm });
        Some(Self {
            number: found?.2,
            arguments,
        })
    }

    /// What it waits for, if the call alone tells that.
    pub(super) fn waits_for(&self) -> Option<On> {
        let descriptor = |what| On::Descriptor {
            number: self.arguments[0] as u32,
            what,
        };
        Some(match self.number {
            Number::Futex => return None,
            Number::Read => descriptor("read from"),
            Number::Write => descriptor("write to"),
            Number::Accept => descriptor("accept a connection of"),
            Number::Receive => descriptor("receive from"),
            Number::Connect => descriptor("connect"),
            Number::Send => descriptor("send to"),
            Number::Lock => descriptor("lock"),
            Number::Several(name) => On::Several(name),
            Number::Child => On::Child,
            Number::Sleep => On::Sleep,
            Number::Signal => On::Signal,
        })
    }

    /// The word that it waits on, if it is a call of futex(2) that waits.
    pub(super) fn futex(&self) -> Option<Word> {
        let [address, operation, expected, ..] = self.arguments;
        let operation = operation & !FLAGS;
        let is_owned = LOCKS.contains(&operation);
        (self.number == Number::Futex && (is_owned || WAITS.contains(&operation))).then_some(Word {
            address,
            expected: expected as u32,
            is_owned,
        })
    }

    /// The time that a sleep or a futex may take at most, as it was asked for, if it is a time from then on.
    pub(super) fn timeout(&self, memory: &dyn Memory) -> Option<u64> {
        let [first, second, third, fourth, ..] = self.arguments;
        let address = match self.number {
            // FUTEX_WAIT_BITSET has a point in time.
            Number::Futex if second & !FLAGS == 0 => fourth,
            Number::Sleep => first,
            Number::Several("epoll_wait" | "epoll_pwait") => return milliseconds(fourth),
            Number::Several("poll") => return milliseconds(third),
            _ => return None,
        };
        let seconds = memory.read_u64(address)?;
        let rest = memory.read_u64(address.wrapping_add(8))?;
        seconds.checked_mul(1_000_000_000)?.checked_add(rest)
    }
}

/// A time in milliseconds as a C `int`; negative is for ever.
fn milliseconds(argument: u64) -> Option<u64> {
    let time = u64::try_from(argument as u32 as i32).ok()?;
    Some(time * 1_000_000)
}
