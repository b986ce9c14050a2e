//! A thread that blocks in a system call, and counts how often the call returned.
//!
//! Tests attach to it to see which calls a stop interrupts with EINTR, and that firstchance
//! restarts them (signal(7), "Interruption of system calls and library functions by stop signals").

use std::io;
use std::ptr::null_mut;

use victim::Slot;

use super::Mode;
use super::mapping::{check, check_long};
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "blocked", args: "SYSCALL", about: "blocks in a system call for ever", run: blocked },
];

/// One blocking call. An error of the kind `Interrupted` is EINTR, which a stop may cause.
type Block = Box<dyn FnMut() -> io::Result<i32>>;

/// A timeout that no test lives to see.
const HOUR: libc::timespec = libc::timespec {
    tv_sec: 3600,
    tv_nsec: 0,
};
const HOUR_IN_MILLISECONDS: i32 = 3_600_000;

fn blocked(harness: &Harness) -> Outcome {
    let mut block = prepare(harness.text(0)?)?;
    harness.ready();
    loop {
        match block() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                harness.state.count(Slot::Interrupted)
            }
            Err(error) => return Err(error.into()),
            Ok(_) => harness.state.count(Slot::Returned),
        }
    }
}

/// Returns the call of that name, with what it blocks on set up.
///
/// SAFETY of all calls in this file, unless they say more: descriptors and identifiers are our own
/// and stay open, and every pointer is either to something that lives during the call, or null
/// where the call allows that.
fn prepare(name: &str) -> io::Result<Block> {
    Ok(match name {
        "read" => read_from(pipe()?),
        "inotify" => read_from(inotify()?),
        "nanosleep" => Box::new(nanosleep),
        "clock_nanosleep" => Box::new(clock_nanosleep),
        "epoll_wait" => epoll_wait()?,
        "poll" => poll(pipe()?),
        "select" => select(pipe()?),
        "futex" => Box::new(futex),
        "sigtimedwait" => sigtimedwait(),
        "pause" => Box::new(pause),
        "semop" => semop()?,
        "msgrcv" => msgrcv()?,
        "recv" => recv(socket()?),
        "recv-timeout" => recv_with_timeout()?,
        "wait" => wait()?,
        _ => return Err(io::Error::other("not one of the system calls known here")),
    })
}

/// Returns the end of a pipe to read from. The other end stays open, so that a read blocks.
fn pipe() -> io::Result<i32> {
    let mut ends = [0; 2];
    // SAFETY: see `prepare`.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    Ok(ends[0])
}

fn inotify() -> io::Result<i32> {
    // SAFETY: see `prepare`.
    check(unsafe { libc::inotify_init() })
}

fn socket() -> io::Result<i32> {
    let mut ends = [0; 2];
    // SAFETY: see `prepare`.
    check(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) })?;
    Ok(ends[0])
}

fn read_from(fd: i32) -> Block {
    Box::new(move || {
        let mut buffer = [0_u8; 256];
        // SAFETY: see `prepare`.
        check(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) } as i32)
    })
}

fn nanosleep() -> io::Result<i32> {
    // SAFETY: see `prepare`.
    check(unsafe { libc::nanosleep(&HOUR, null_mut()) })
}

/// Unlike the others, clock_nanosleep(2) returns its error instead of setting errno.
fn clock_nanosleep() -> io::Result<i32> {
    // SAFETY: see `prepare`.
    match unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &HOUR, null_mut()) } {
        0 => Ok(0),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn epoll_wait() -> io::Result<Block> {
    // SAFETY: see `prepare`.
    let epoll = check(unsafe { libc::epoll_create1(0) })?;
    Ok(Box::new(move || {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: see `prepare`.
        check(unsafe { libc::epoll_wait(epoll, &raw mut event, 1, HOUR_IN_MILLISECONDS) })
    }))
}

fn poll(fd: i32) -> Block {
    Box::new(move || {
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: see `prepare`.
        check(unsafe { libc::poll(&raw mut poll, 1, HOUR_IN_MILLISECONDS) })
    })
}

fn select(fd: i32) -> Block {
    Box::new(move || {
        let mut timeout = libc::timeval {
            tv_sec: HOUR.tv_sec,
            tv_usec: 0,
        };
        // SAFETY: see `prepare`; a set of zeros is a valid, empty one, and `fd` is below
        // FD_SETSIZE.
        unsafe {
            let mut set: libc::fd_set = std::mem::zeroed();
            libc::FD_SET(fd, &raw mut set);
            check(libc::select(
                fd + 1,
                &raw mut set,
                null_mut(),
                null_mut(),
                &raw mut timeout,
            ))
        }
    })
}

fn futex() -> io::Result<i32> {
    let word = 0_u32;
    // SAFETY: see `prepare`.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_futex,
            &raw const word,
            libc::FUTEX_WAIT,
            0,
            &HOUR,
            0,
            0,
        )
    })
}

fn sigtimedwait() -> Block {
    // SAFETY: see `prepare`; the set is written before it is read.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, null_mut());
        set
    };
    // SAFETY: see `prepare`.
    Box::new(move || check(unsafe { libc::sigtimedwait(&raw const set, null_mut(), &HOUR) }))
}

fn pause() -> io::Result<i32> {
    // SAFETY: see `prepare`.
    check(unsafe { libc::pause() })
}

/// Moves to an IPC namespace of our own: what the System V calls make would otherwise outlive the
/// process.
fn private_ipc() -> io::Result<()> {
    // SAFETY: see `prepare`.
    check(unsafe { libc::unshare(libc::CLONE_NEWIPC) }).map(drop)
}

fn semop() -> io::Result<Block> {
    private_ipc()?;
    // SAFETY: see `prepare`.
    let id = check(unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) })?;
    Ok(Box::new(move || {
        let mut take = libc::sembuf {
            sem_num: 0,
            sem_op: -1,
            sem_flg: 0,
        };
        // SAFETY: see `prepare`.
        check(unsafe { libc::semop(id, &raw mut take, 1) })
    }))
}

fn msgrcv() -> io::Result<Block> {
    private_ipc()?;
    // SAFETY: see `prepare`.
    let id = check(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })?;
    Ok(Box::new(move || {
        let mut message = [0_u64; 8];
        // SAFETY: see `prepare`; 32 bytes and the type fit into the buffer.
        check(unsafe { libc::msgrcv(id, message.as_mut_ptr().cast(), 32, 0, 0) } as i32)
    }))
}

fn recv(fd: i32) -> Block {
    Box::new(move || {
        let mut byte = 0_u8;
        // SAFETY: see `prepare`.
        check(unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, 0) } as i32)
    })
}

fn recv_with_timeout() -> io::Result<Block> {
    let fd = socket()?;
    let timeout = libc::timeval {
        tv_sec: HOUR.tv_sec,
        tv_usec: 0,
    };
    let size = size_of_val(&timeout) as libc::socklen_t;
    let place = (&raw const timeout).cast();
    // SAFETY: see `prepare`.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, place, size) })?;
    Ok(recv(fd))
}

fn wait() -> io::Result<Block> {
    // SAFETY: see `prepare`; there is one thread, and the child only sleeps.
    let child = check(unsafe { libc::fork() })?;
    if child == 0 {
        crate::harness::die_with_parent();
        crate::harness::rest();
    }
    Ok(Box::new(move || {
        // SAFETY: see `prepare`.
        check(unsafe { libc::waitpid(child, null_mut(), 0) })
    }))
}
