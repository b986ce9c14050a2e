//! The kernel's process connector (`linux/cn_proc.h`), which reports every fork, exec and death by a signal on the machine
//! to root.

use crate::os::pid_namespace::expect_pids_of_the_machine;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const EVENT_NONE: u32 = 0;
const EVENT_FORK: u32 = 1;
const EVENT_EXEC: u32 = 2;
const EVENT_EXIT: u32 = 0x8000_0000;
/// The bits of an exit code that have the number of the signal (wait(2)).
const SIGNAL: u32 = 0x7f;
/// The size in bytes of `struct nlmsghdr` and `struct cn_msg`, which come before the payload.
const HEADERS: usize = 16 + 20;
/// Where the [`mark`] is.
const MARK: usize = 16 + 12;

/// The room for reports that wait, in bytes: some thousands. The usual room has 256 of them.
const ROOM: usize = 4 << 20;

/// An event that made a new process, gave a process another program, or ended it by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEvent {
    /// A process with this pid was forked by another one.
    Forked { pid: u32, parent: u32 },
    /// A process with this pid executed another program.
    Executed(u32),
    /// A process with this pid has ended by this signal.
    Killed { pid: u32, signal: u32 },
}

/// What marks our request (`ack` of `struct cn_msg`); the answer has one more. Others get their answers in the same group.
fn mark() -> u32 {
    std::process::id()
}

/// Opens the connector.
///
/// # Errors
/// With a reason that users are shown, if the kernel reports nothing to us: if we are in a pid or user namespace of our
/// own, or before Linux 6.6 not root.
pub(crate) fn listen() -> io::Result<OwnedFd> {
    expect_pids_of_the_machine()?;
    subscribed().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => io::Error::other("the kernel tells only root of them"),
        _ => error,
    })
}

fn subscribed() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes plain numbers.
    let raw = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // With less room, more reports are lost while many processes start and end at once.
    let _ = set_socket_recv_buffer_size_force(&socket, ROOM);
    bind(&socket)?;
    subscribe(&socket)?;
    expect_answer(&socket)?;
    leave_out_the_rest(&socket)?;
    Ok(socket)
}

/// Has the kernel put only those messages into the socket that [`parse`] is after: the connector reports other ends, new
/// threads, names and users of processes too, and each report would wake us. The instructions are those of socket(7),
/// `SO_ATTACH_FILTER`; they load words as big-endian numbers.
fn leave_out_the_rest(socket: &OwnedFd) -> io::Result<()> {
    const LOAD: u16 = 0x20;
    const KEEP: u16 = 0x07;
    const EQUAL: u16 = 0x15;
    const EQUAL_KEPT: u16 = 0x1d;
    const AND: u16 = 0x54;
    const RETURN: u16 = 0x06;
    let word = |at: usize| (HEADERS + at) as u32;
    let as_loaded = |number: u32| u32::from_be_bytes(number.to_ne_bytes());
    let step = |code, yes, no, k| libc::sock_filter {
        code,
        jt: yes,
        jf: no,
        k,
    };
    let mut steps = [
        step(LOAD, 0, 0, word(0)),
        step(EQUAL, 9, 0, as_loaded(EVENT_EXEC)),
        step(EQUAL, 1, 0, as_loaded(EVENT_FORK)),
        step(EQUAL, 4, 8, as_loaded(EVENT_EXIT)),
        step(LOAD, 0, 0, word(24)),
        step(KEEP, 0, 0, 0),
        step(LOAD, 0, 0, word(28)),
        step(EQUAL_KEPT, 3, 4, 0),
        step(LOAD, 0, 0, word(24)),
        step(AND, 0, 0, as_loaded(SIGNAL)),
        step(EQUAL, 1, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
        step(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    let size = size_of::<libc::sock_fprog>() as u32;
    // SAFETY: the option takes a sock_fprog, which points to as many live instructions as it says; the kernel copies
    // them.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size,
        )
    };
    if set < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn bind(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sockaddr_nl.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = CN_IDX_PROC;
    let size = size_of::<libc::sockaddr_nl>() as u32;
    // SAFETY: the address is a live local of the size that is given.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) };
    if bound < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn subscribe(socket: &OwnedFd) -> io::Result<()> {
    let mut message = Vec::with_capacity(HEADERS + 4);
    let total = (HEADERS + 4) as u32;
    message.extend(total.to_ne_bytes());
    message.extend((libc::NLMSG_DONE as u16).to_ne_bytes());
    message.extend([0; 2]);
    message.extend([0; 8]);
    for word in [CN_IDX_PROC, CN_VAL_PROC, 0, mark()] {
        message.extend(word.to_ne_bytes());
    }
    message.extend(4u16.to_ne_bytes());
    message.extend([0; 2]);
    message.extend(PROC_CN_MCAST_LISTEN.to_ne_bytes());
    rustix::io::write(socket, &message)?;
    Ok(())
}

/// Checks that the kernel has agreed. It answers at once, unless we are in another namespace (of pids or users) than the
/// first: then it says nothing. Whoever listens looks at all processes afterwards, so that the events before it are not
/// needed.
fn expect_answer(socket: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(socket, &mut buffer) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            Ok(got) => match answer(&buffer[..got]) {
                Some(0) => return Ok(()),
                Some(error) => return Err(io::Error::from_raw_os_error(error as i32)),
                None => {}
            },
            Err(rustix::io::Errno::INTR | rustix::io::Errno::NOBUFS) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The number of the error in the answer to our request, 0 for none; `None` of any other message.
fn answer(message: &[u8]) -> Option<u32> {
    let word = |at: usize| {
        let bytes = message.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let is_answer = word(MARK)? == mark() + 1 && word(HEADERS)? == EVENT_NONE;
    if is_answer { word(HEADERS + 16) } else { None }
}

/// Returns the events that have come, without waiting.
///
/// # Errors
/// ENOBUFS if events were lost.
pub(crate) fn events(socket: &OwnedFd) -> io::Result<Vec<ProcessEvent>> {
    let mut events = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(socket, &mut buffer) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(events),
            Ok(got) => events.extend(parse(&buffer[..got])),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Parses a `struct proc_event`: the kind of event, cpu, timestamp; then for a fork the pid and
/// tgid of the parent and of the child, for an exec pid and tgid, for an end those and the exit code.
fn parse(message: &[u8]) -> Option<ProcessEvent> {
    let event = message.get(HEADERS..)?;
    let word = |at: usize| {
        event
            .get(at..at + 4)
            .and_then(|word| word.try_into().ok())
            .map(u32::from_ne_bytes)
    };
    match word(0)? {
        // A new thread is reported as a fork too. Only a new process has a pid that equals its
        // tgid.
        EVENT_FORK if word(24)? == word(28)? => Some(ProcessEvent::Forked {
            pid: word(28)?,
            parent: word(20)?,
        }),
        EVENT_EXEC => Some(ProcessEvent::Executed(word(20)?)),
        // The end of each thread is reported.
        EVENT_EXIT if word(16)? == word(20)? => Some(ProcessEvent::Killed {
            pid: word(20)?,
            signal: word(24)? & SIGNAL,
        }),
        _ => None,
    }
}
