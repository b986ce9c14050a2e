//! System calls that a stop has interrupted, and how a thread is had to make them again.

use super::Wait;
use super::x86_64::{GENERAL, GENERAL_32, NT_PRSTATUS, decode};
use crate::linux::sys::ptrace;
use snapshot::Registers;
use std::io;

/// What has the kernel make a call again unless a handler of a signal runs; the call returns EINTR then
/// (`ERESTARTNOHAND`, include/linux/errno.h).
const AGAIN_WITHOUT_HANDLER: i32 = -514;
/// The places of `rax`, `eax` and the arguments in `struct user_regs_struct`, in words.
const RAX: usize = 10;
const EAX: usize = 6;
const ARGUMENTS: [usize; 6] = [14, 13, 12, 7, 9, 8];

/// The number of io_pgetevents(2), which the libc crate lacks.
const IO_PGETEVENTS: i64 = 333;

/// System calls that return EINTR after a stop although no signal came, and that have done nothing then; for how long each
/// waits, and what it returns at the end of that. The kernel makes others again by itself. (signal(7), "Interruption of system
/// calls and library functions by stop signals"; the others were found by experiment.)
const CALLS: [(i64, Wait, i32); 24] = [
    (libc::SYS_epoll_wait, Wait::Milliseconds(3), 0),
    (libc::SYS_epoll_pwait, Wait::Milliseconds(3), 0),
    (libc::SYS_epoll_pwait2, Wait::Time(3), 0),
    (libc::SYS_io_getevents, Wait::Time(4), 0),
    (IO_PGETEVENTS, Wait::Time(4), 0),
    (libc::SYS_io_uring_enter, Wait::Unknown, 0),
    (libc::SYS_rt_sigtimedwait, Wait::Time(2), -libc::EAGAIN),
    (libc::SYS_semop, Wait::Unknown, 0),
    // One that is made again goes on waiting for the same connection.
    (libc::SYS_connect, Wait::Unknown, 0),
    (libc::SYS_semtimedop, Wait::Time(3), -libc::EAGAIN),
    // The following wait as long as their socket says (SO_RCVTIMEO, SO_SNDTIMEO).
    (libc::SYS_accept, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_accept4, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_recvfrom, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_recvmsg, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_recvmmsg, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_read, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_readv, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_splice, Wait::Receive, -libc::EAGAIN),
    (libc::SYS_sendto, Wait::Send, -libc::EAGAIN),
    (libc::SYS_sendmsg, Wait::Send, -libc::EAGAIN),
    (libc::SYS_sendmmsg, Wait::Send, -libc::EAGAIN),
    (libc::SYS_write, Wait::Send, -libc::EAGAIN),
    (libc::SYS_writev, Wait::Send, -libc::EAGAIN),
    (libc::SYS_sendfile, Wait::Send, -libc::EAGAIN),
];

/// The same calls of 32-bit programs (arch/x86/entry/syscalls/syscall_32.tbl), in the order of their numbers; how long they wait
/// is not looked at.
const CALLS_32: [u32; 30] = [
    3, 4, 102, 117, 145, 146, 177, 187, 239, 247, 256, 313, 319, 337, 345, 362, 364, 369, 370, 371,
    372, 385, 414, 416, 417, 420, 421, 423, 426, 441,
];

/// A call that a stopped thread would return from with EINTR, though the kernel could make it again.
pub(crate) struct Call {
    tid: i32,
    registers: Vec<u8>,
    wait: Wait,
    at_end: i32,
}

impl Call {
    /// Returns that of a thread; `None` if it is in no such call.
    pub(crate) fn of(tid: i32) -> io::Result<Option<Self>> {
        let mut buffer = [0; GENERAL];
        let bytes = ptrace::register_set(tid, NT_PRSTATUS, &mut buffer)?;
        let known = decode(bytes).and_then(|registers| known(&registers));
        Ok(known.map(|(wait, at_end)| Self {
            tid,
            registers: bytes.to_vec(),
            wait,
            at_end,
        }))
    }

    /// For how long it waits.
    pub(crate) fn wait(&self) -> Wait {
        self.wait
    }

    /// Its argument of this number, from 0 on, of a 64-bit program.
    pub(crate) fn argument(&self, number: usize) -> u64 {
        let at = ARGUMENTS[number] * 8;
        let word = self.registers.get(at..at + 8);
        word.map_or(0, |word| {
            u64::from_le_bytes(word.try_into().unwrap_or_default())
        })
    }

    /// Has the thread make it again, unless a handler of a signal runs first: the call returns EINTR then, as it would without
    /// us.
    pub(crate) fn restart(self) -> io::Result<()> {
        self.return_with(AGAIN_WITHOUT_HANDLER)
    }

    /// Has it return as at the end of its time.
    pub(crate) fn time_out(self) -> io::Result<()> {
        let at_end = self.at_end;
        self.return_with(at_end)
    }

    /// It is one SETREGSET, so that all of it happens or nothing.
    fn return_with(mut self, value: i32) -> io::Result<()> {
        match self.registers.len() == GENERAL_32 {
            true => self.registers[EAX * 4..][..4].copy_from_slice(&value.to_le_bytes()),
            false => {
                self.registers[RAX * 8..][..8].copy_from_slice(&i64::from(value).to_le_bytes())
            }
        }
        ptrace::set_register_set(self.tid, NT_PRSTATUS, &self.registers)
    }
}

/// How long an interrupted call waits, and what it returns at the end of that; `None` if it is no interrupted call, or none of
/// those.
fn known(registers: &Registers) -> Option<(Wait, i32)> {
    match registers {
        Registers::X86_64(now) if now.rax as i64 == -i64::from(libc::EINTR) => {
            let call = CALLS
                .iter()
                .find(|(number, ..)| *number as u64 == now.orig_rax);
            call.map(|(_, wait, at_end)| (*wait, *at_end))
        }
        Registers::X86(now) if now.eax as i32 == -libc::EINTR => {
            let is_one = CALLS_32.binary_search(&now.orig_eax).is_ok();
            is_one.then_some((Wait::Unknown, 0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_32_bit_programs_can_be_looked_up() {
        assert!(CALLS_32.is_sorted());
    }
}
