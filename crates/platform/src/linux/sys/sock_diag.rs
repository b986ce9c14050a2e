//! The list of all sockets of a network namespace (sock_diag(7)).

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{
    io,
    time::{Duration, Instant},
};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP` of linux/netlink.h.
const DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The size in bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Room for one answer of the kernel, in bytes: it sends 32 KiB at once where there is room (`netlink_dump` in
/// net/netlink/af_netlink.c).
const ROOM: usize = 32 << 10;

/// A socket by which the sockets of one namespace are listed.
pub(crate) struct SockDiag(OwnedFd);

impl SockDiag {
    /// For the namespace of this process.
    ///
    /// # Errors
    /// If the kernel does not tell of sockets.
    pub(crate) fn open() -> io::Result<Self> {
        let kind = (
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
        );
        Ok(Self(socket_with(
            kind.0,
            kind.1,
            kind.2,
            Some(netlink::SOCK_DIAG),
        )?))
    }

    /// For another network namespace, which a thread that ends enters.
    ///
    /// # Errors
    /// If we may not enter it, or as [`SockDiag::open`].
    pub(crate) fn open_in(namespace: BorrowedFd<'_>) -> io::Result<Self> {
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
                Self::open()
            });
            let failed = |_| {
                Err(io::Error::other(
                    "the thread that enters the namespace failed",
                ))
            };
            entered.join().unwrap_or_else(failed)
        })
    }

    /// Asks for all sockets of a family by `request` (`struct inet_diag_req_v2`, `struct unix_diag_req`), and calls `each` with
    /// the message of each. What is not told by the time `until` is left out.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn dump(
        &self,
        request: &[u8],
        until: Instant,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        send(self.0.as_fd(), &framed(request), SendFlags::empty())?;
        let mut buffer = vec![0; ROOM];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            set_socket_timeout(
                &self.0,
                Timeout::Recv,
                Some(left.max(Duration::from_millis(1))),
            )?;
            let (count, _) = recv(self.0.as_fd(), &mut buffer, RecvFlags::empty())?;
            if !messages(&buffer[..count], &mut each)? {
                return Ok(());
            }
        }
    }
}

/// A request with its header.
fn framed(request: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + request.len());
    message.extend(((HEADER + request.len()) as u32).to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(request);
    message
}

/// Calls `each` with the content of each message. Returns whether more will come.
fn messages(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let content = bytes.get(HEADER..length);
        match (kind, content) {
            (NLMSG_DONE, _) | (_, None) => return Ok(false),
            (NLMSG_ERROR, Some(content)) => {
                let number = content
                    .first_chunk()
                    .map_or(0, |number| i32::from_ne_bytes(*number));
                return Err(io::Error::from_raw_os_error(-number));
            }
            (_, Some(content)) => each(content),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}
