//! Messages between processes of ours, with descriptors (`SCM_RIGHTS` in unix(7)).

use super::wake::wait_for;
use rustix::{
    io::retry_on_intr,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg,
        shutdown, socketpair,
        sockopt::{set_socket_send_buffer_size_force, socket_type},
    },
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    ffi::OsStr,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The most descriptors in a message.
pub(crate) const DESCRIPTORS: usize = 32;

/// The most bytes in a message.
pub(crate) const BYTES: usize = 4096;

/// The room for messages that wait to be read, in bytes: some thousands.
const ROOM: usize = 8 << 20;

/// A process of this program that was started for a purpose of its own, seen by who started it. It is ended when this is
/// dropped.
pub(crate) struct Helper {
    process: Child,
    socket: OwnedFd,
}

impl Helper {
    /// Starts one. `word` is its first argument, and its standard input is a channel to us.
    ///
    /// # Errors
    /// If this program cannot be started again.
    pub(crate) fn start(word: &str) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (socket, its) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        // With the usual room, messages are lost when many come at once.
        let _ = set_socket_send_buffer_size_force(&its, ROOM);
        let mut command = Command::new("/proc/self/exe");
        command.arg0("firstchance").arg(word).stdin(its);
        // Ctrl-C in our terminal is not for it.
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let process = command.spawn()?;
        Ok(Self { process, socket })
    }

    /// Its pid.
    pub(crate) fn id(&self) -> i32 {
        self.process.id() as i32
    }

    /// Asks it to end, and waits so long for that.
    pub(crate) fn end(self, limit: Duration) {
        // One that has ended does not listen.
        let _ = shutdown(&self.socket, Shutdown::Both);
        let its_end = Pid::from_raw(self.id()).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        if let Some(Ok(its_end)) = its_end {
            let _ = wait_for(its_end.as_fd(), limit);
        }
    }

    /// The channel, which can be read when it has sent something, or has ended.
    pub(crate) fn channel(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // One that has ended needs no more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns whether this process was started as a [`Helper`] with this word.
pub(crate) fn is_helper(word: &str) -> bool {
    let is_said = std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == OsStr::new(word));
    is_said && socket_type(io::stdin()).is_ok_and(|kind| kind == SocketType::SEQPACKET)
}

/// Sends a message, without waiting.
///
/// # Errors
/// If there is no room for it, or nobody to read it.
pub(crate) fn send(
    channel: BorrowedFd<'_>,
    descriptors: &[BorrowedFd<'_>],
    bytes: &[u8],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !with.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| sendmsg(channel, &[IoSlice::new(bytes)], &mut with, flags))?;
    Ok(())
}

/// Waits for a message. Where there is no room for more descriptors of ours, some of its are missing.
///
/// # Errors
/// If nobody can send one any more.
pub(crate) fn receive(channel: BorrowedFd<'_>) -> io::Result<(Vec<OwnedFd>, Vec<u8>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; BYTES];
    let mut place = [IoSliceMut::new(&mut bytes)];
    let got = retry_on_intr(|| recvmsg(channel, &mut place, &mut with, RecvFlags::CMSG_CLOEXEC))?;
    let descriptors = with.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(all) => Some(all),
        _ => None,
    });
    let descriptors: Vec<_> = descriptors.flatten().collect();
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(got.bytes);
    Ok((descriptors, bytes))
}
