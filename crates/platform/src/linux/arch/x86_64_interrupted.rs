//! System calls that a stop has interrupted, and how a thread is had to make them again.

use super::x86_64::{GENERAL, GENERAL_32, NT_PRSTATUS, decode};
use crate::linux::sys::ptrace;
use snapshot::Registers;
use std::io;

/// What has the kernel make a call again unless a handler of a signal runs; the call returns EINTR then
/// (`ERESTARTNOHAND`, include/linux/errno.h).
const AGAIN_WITHOUT_HANDLER: i32 = -514;
/// The places of `rax` and `eax` in `struct user_regs_struct`, in words.
const RAX: usize = 10;
const EAX: usize = 6;
/// The number of io_pgetevents(2), which the libc crate lacks.
const IO_PGETEVENTS: i64 = 333;

/// System calls that return EINTR after a stop although no signal came, and that have done nothing then. The kernel makes
/// others again by itself. (signal(7), "Interruption of system calls and library functions by stop signals"; the others were
/// found by experiment.)
const CALLS: [i64; 24] = [
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_io_getevents,
    IO_PGETEVENTS,
    libc::SYS_io_uring_enter,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    // The following where their socket has a time (SO_RCVTIMEO, SO_SNDTIMEO). A connection that is made again goes on being
    // made.
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_splice,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendfile,
];

/// The same calls of 32-bit programs (arch/x86/entry/syscalls/syscall_32.tbl), in the order of their numbers.
const CALLS_32: [u32; 30] = [
    3, 4, 102, 117, 145, 146, 177, 187, 239, 247, 256, 313, 319, 337, 345, 362, 364, 369, 370, 371,
    372, 385, 414, 416, 417, 420, 421, 423, 426, 441,
];

/// Has a stopped thread make its call again, if the stop has interrupted one of those that the kernel does not make again: the
/// program sees no EINTR that it would not have seen without us. Where a handler of a signal runs first, the call returns EINTR.
///
/// It is one SETREGSET, so that all of it happens or nothing.
pub(crate) fn restart_interrupted(tid: i32) -> io::Result<()> {
    let mut buffer = [0; GENERAL];
    let bytes = ptrace::register_set(tid, NT_PRSTATUS, &mut buffer)?;
    if !decode(bytes).is_some_and(|registers| is_interrupted(&registers)) {
        return Ok(());
    }
    let len = bytes.len();
    match len == GENERAL_32 {
        true => buffer[EAX * 4..][..4].copy_from_slice(&AGAIN_WITHOUT_HANDLER.to_le_bytes()),
        false => {
            buffer[RAX * 8..][..8].copy_from_slice(&i64::from(AGAIN_WITHOUT_HANDLER).to_le_bytes())
        }
    }
    ptrace::set_register_set(tid, NT_PRSTATUS, &buffer[..len])
}

/// Whether a thread is about to return EINTR from one of those calls.
fn is_interrupted(registers: &Registers) -> bool {
    match registers {
        Registers::X86_64(now) if now.rax as i64 == -i64::from(libc::EINTR) => {
            CALLS.contains(&(now.orig_rax as i64))
        }
        Registers::X86(now) if now.eax as i32 == -libc::EINTR => {
            CALLS_32.binary_search(&now.orig_eax).is_ok()
        }
        _ => false,
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
