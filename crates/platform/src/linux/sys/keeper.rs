//! A process that [keeps](super::pin) the address space of another one.
//!
//! Why not a thread: the page fault in which the reader sleeps is one in the kernel, which takes the lock of the reader's own
//! address space (`do_user_addr_fault` in arch/x86/mm/fault.c). In our process, any other thread may have that lock, because
//! it maps memory or begins a thread, and may be without a processor on a loaded machine: then who stands at its death for
//! 20 ms is missed. Seen: 16 of 240 such deaths beside a compiler, 3 of 336 when our other threads were put before those of
//! others for the moment. This process has one thread, and nothing else to do.
//!
//! We and it talk through a socket, its standard input: it sends the guard of its page, and is sent what to read. When we
//! close the guard, it sends another one. When we are gone, so is it.

use super::{priority, signals, userfault::EmptyPage, wake};
use rustix::{
    io::retry_on_intr,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
        sockopt::socket_type,
    },
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The word for this program to become such a process.
const WORD: &str = "keep-memory";

/// Such a process, seen by us. It is ended when this is dropped.
pub(super) struct Keeper {
    process: Child,
    socket: OwnedFd,
}

impl Keeper {
    /// Starts one.
    ///
    /// # Errors
    /// If this program cannot be started again.
    pub(super) fn start() -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (socket, its) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("firstchance").arg(WORD).stdin(its);
        // Ctrl-C in our terminal is not for it.
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let process = command.spawn()?;
        Ok(Self { process, socket })
    }

    /// Its pid.
    pub(super) fn id(&self) -> i32 {
        self.process.id() as i32
    }

    /// Can be read when it has sent a guard, or has ended.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Returns the guard that it has sent, `None` if it has sent none yet.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn guard(&self) -> io::Result<Option<OwnedFd>> {
        match wake::wait_for(self.descriptor(), Duration::ZERO)? {
            true => receive(self.descriptor()).map(|(guard, _)| Some(guard)),
            false => Ok(None),
        }
    }

    /// Has it read, where the caller runs.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn keep(&self, mem: &File, address: u64) -> io::Result<()> {
        priority::run_where_we_run(self.id());
        send(self.descriptor(), mem.as_fd(), address)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // One that has ended needs no more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// If this process was started as one of these, it serves until the one that started it is gone. Returns whether it was.
pub(crate) fn serve_if_started_so() -> bool {
    let stdin = io::stdin();
    let socket = stdin.as_fd();
    let is_one = std::env::args_os().nth(1).is_some_and(|word| word == WORD);
    let is_one = is_one && socket_type(socket).is_ok_and(|kind| kind == SocketType::SEQPACKET);
    if is_one {
        serve(socket);
    }
    is_one
}

fn serve(socket: BorrowedFd<'_>) {
    signals::block_all();
    if let Ok(page) = EmptyPage::new() {
        while serve_once(socket, &page).is_ok() {}
    }
}

fn serve_once(socket: BorrowedFd<'_>, page: &EmptyPage) -> io::Result<()> {
    priority::raise_priority();
    page.empty();
    let guard = page.guard()?;
    send(socket, guard.as_fd(), 0)?;
    drop(guard);
    let (mem, address) = receive(socket)?;
    page.read(&mem.into(), address);
    Ok(())
}

/// Sends a descriptor and a number.
fn send(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>, number: u64) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    with.push(SendAncillaryMessage::ScmRights(&descriptors));
    let number = number.to_ne_bytes();
    let number = [IoSlice::new(&number)];
    retry_on_intr(|| sendmsg(socket, &number, &mut with, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Waits for a descriptor and a number.
fn receive(socket: BorrowedFd<'_>) -> io::Result<(OwnedFd, u64)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut number = [0; 8];
    let mut place = [IoSliceMut::new(&mut number)];
    retry_on_intr(|| recvmsg(socket, &mut place, &mut with, RecvFlags::CMSG_CLOEXEC))?;
    let descriptor = with.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    let descriptor = descriptor.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((descriptor, u64::from_ne_bytes(number)))
}
