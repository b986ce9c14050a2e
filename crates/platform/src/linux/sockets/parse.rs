//! The messages of sock_diag(7), as linux/inet_diag.h and linux/unix_diag.h have them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// Which lists there are: family, number and name of the protocol.
pub(super) const INET: [(u8, u8, &str); 4] = [
    (libc::AF_INET as u8, libc::IPPROTO_TCP as u8, "tcp"),
    (libc::AF_INET6 as u8, libc::IPPROTO_TCP as u8, "tcp"),
    (libc::AF_INET as u8, libc::IPPROTO_UDP as u8, "udp"),
    (libc::AF_INET6 as u8, libc::IPPROTO_UDP as u8, "udp"),
];

/// The states of TCP by their numbers (net/tcp_states.h), which other sockets use too.
const STATES: [&str; 13] = [
    "",
    "established",
    "connecting (SYN_SENT)",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "closed",
    "closed by the other end (CLOSE_WAIT)",
    "LAST_ACK",
    "listening",
    "CLOSING",
    "SYN_RECV",
];
const LISTENING: u8 = 10;
const CLOSED: u8 = 7;

/// `UDIAG_SHOW_NAME`, `_PEER` and `_RQLEN`.
const SHOW: u32 = 1 | 4 | 0x10;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;

/// A socket of TCP or UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inet {
    protocol: &'static str,
    state: u8,
    local: SocketAddr,
    remote: SocketAddr,
    /// Bytes that were received and not read; connections that were not accepted, where it listens.
    unread: u32,
    /// Bytes that were sent and not yet acknowledged.
    unsent: u32,
}

/// Protocol, own address and that of the other end.
pub(super) type Ends = (&'static str, SocketAddr, SocketAddr);

/// A socket of the family AF_UNIX.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unix {
    /// Its path, or `@NAME` for one in the abstract space; empty if it has none.
    pub(super) name: String,
    /// The inode of the socket that it is connected to.
    pub(super) peer: Option<u32>,
    state: u8,
    kind: u8,
    unread: u32,
}

/// `struct inet_diag_req_v2` for all sockets of a protocol.
pub(super) fn inet_request(family: u8, protocol: u8) -> [u8; 56] {
    let mut request = [0; 56];
    request[0] = family;
    request[1] = protocol;
    // All states.
    request[4..8].fill(0xff);
    request
}

/// `struct unix_diag_req` for all sockets.
pub(super) fn unix_request() -> [u8; 24] {
    let mut request = [0; 24];
    request[0] = libc::AF_UNIX as u8;
    request[4..8].fill(0xff);
    request[12..16].copy_from_slice(&SHOW.to_ne_bytes());
    request
}

/// Takes a `struct inet_diag_msg` apart: the inode and the socket. One that belongs to nobody any more has no inode.
pub(super) fn inet(protocol: &'static str, message: &[u8]) -> Option<(u32, Inet)> {
    let port = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?));
    let inode = number(message, 68).filter(|inode| *inode != 0)?;
    let family = *message.first()?;
    let socket = Inet {
        protocol,
        state: *message.get(1)?,
        local: SocketAddr::new(address(family, message.get(8..24)?)?, port(4)?),
        remote: SocketAddr::new(address(family, message.get(24..40)?)?, port(6)?),
        unread: number(message, 56)?,
        unsent: number(message, 60)?,
    };
    Some((inode, socket))
}

/// Takes a `struct unix_diag_msg` with its attributes apart: the inode and the socket.
pub(super) fn unix(message: &[u8]) -> Option<(u32, Unix)> {
    let inode = number(message, 4)?;
    let mut socket = Unix {
        kind: *message.get(1)?,
        state: *message.get(2)?,
        ..Unix::default()
    };
    let mut rest = message.get(16..)?;
    while let Some(header) = rest.first_chunk::<4>() {
        let length = u16::from_ne_bytes([header[0], header[1]]) as usize;
        let content = rest.get(4..length)?;
        match u16::from_ne_bytes([header[2], header[3]]) {
            UNIX_DIAG_NAME => socket.name = name(content),
            UNIX_DIAG_PEER => socket.peer = number(content, 0).filter(|peer| *peer != 0),
            UNIX_DIAG_RQLEN => socket.unread = number(content, 0)?,
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((inode, socket))
}

impl Inet {
    pub(super) fn ends(&self) -> Ends {
        (self.protocol, self.local, self.remote)
    }

    /// What the socket at the other end has.
    pub(super) fn other_end(&self) -> Ends {
        (self.protocol, self.remote, self.local)
    }
}

/// `tcp 127.0.0.1:5000 → 127.0.0.1:80, established, 12 bytes unread`.
impl fmt::Display for Inet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.local)?;
        if self.remote.port() != 0 {
            write!(f, " → {}", self.remote)?;
        }
        match (self.state, self.protocol) {
            // One of UDP that is connected to nothing.
            (CLOSED, "udp") => {}
            (state, _) => write!(f, ", {}", state_name(state))?,
        }
        match (self.state, self.unread) {
            (_, 0) => {}
            (LISTENING, waiting) => write!(f, ", connections that wait: {waiting}")?,
            (_, bytes) => write!(f, ", {bytes} bytes unread")?,
        }
        match (self.state, self.unsent) {
            (LISTENING, _) | (_, 0) => Ok(()),
            (_, bytes) => write!(f, ", {bytes} bytes not acknowledged"),
        }
    }
}

impl Unix {
    /// What it is: `unix → /run/postgresql/.s.PGSQL.5432, established`.
    pub(super) fn describe(&self, peer: &str) -> String {
        let kind = match i32::from(self.kind) {
            libc::SOCK_DGRAM => "unix datagram",
            libc::SOCK_SEQPACKET => "unix seqpacket",
            _ => "unix",
        };
        let mut text = kind.to_owned();
        if !self.name.is_empty() {
            text += &format!(" {}", self.name);
        }
        if !peer.is_empty() {
            text += &format!(" → {peer}");
        }
        if self.state != CLOSED {
            text += &format!(", {}", state_name(self.state));
        }
        match (self.state, self.unread) {
            (_, 0) => text,
            (LISTENING, waiting) => format!("{text}, connections that wait: {waiting}"),
            (_, bytes) => format!("{text}, {bytes} bytes unread"),
        }
    }
}

fn state_name(state: u8) -> &'static str {
    STATES.get(usize::from(state)).copied().unwrap_or("")
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*number))
}

/// An address, which is one of version 4 where that is mapped into one of version 6.
fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    if i32::from(family) == libc::AF_INET {
        let four: [u8; 4] = *bytes.first_chunk()?;
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen: [u8; 16] = *bytes.first_chunk()?;
    Some(Ipv6Addr::from(sixteen).to_canonical())
}

/// A path ends with a NUL or with the message; an abstract name begins with NUL, and may have more, which are written as `@`
/// (unix(7)).
fn name(bytes: &[u8]) -> String {
    match bytes {
        [0, ..] => String::from_utf8_lossy(bytes).replace('\0', "@"),
        path => {
            let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(path).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(state: u8) -> Vec<u8> {
        let mut message = vec![0; 72];
        message[0] = libc::AF_INET as u8;
        message[1] = state;
        message[4..6].copy_from_slice(&5000u16.to_be_bytes());
        message[6..8].copy_from_slice(&80u16.to_be_bytes());
        message[8..12].copy_from_slice(&[127, 0, 0, 1]);
        message[24..28].copy_from_slice(&[10, 0, 0, 2]);
        message[56..60].copy_from_slice(&12u32.to_ne_bytes());
        message[68..72].copy_from_slice(&41u32.to_ne_bytes());
        message
    }

    #[test]
    fn a_socket_of_tcp_is_told_with_both_ends_and_what_waits_in_it() {
        let (inode, socket) = inet("tcp", &message(1)).expect("a socket");
        assert_eq!(inode, 41);
        let text = "tcp 127.0.0.1:5000 → 10.0.0.2:80, established, 12 bytes unread";
        assert_eq!(socket.to_string(), text);
        let (_, listener) = inet("tcp", &message(LISTENING)).expect("a socket");
        assert!(
            listener
                .to_string()
                .ends_with("listening, connections that wait: 12")
        );
        assert!((0..72).all(|end| inet("tcp", &message(1)[..end]).is_none()));
    }

    #[test]
    fn a_unix_socket_is_told_by_its_name_or_that_of_its_peer() {
        let attribute = |kind: u16, content: &[u8]| {
            let mut bytes = ((4 + content.len()) as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let mut bytes = vec![1, 1, 1, 0];
        bytes.extend(41u32.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(attribute(UNIX_DIAG_NAME, b"\0x11"));
        bytes.extend(attribute(UNIX_DIAG_PEER, &42u32.to_ne_bytes()));
        let (inode, socket) = unix(&bytes).expect("a socket");
        assert_eq!((inode, socket.peer), (41, Some(42)));
        assert_eq!(socket.describe("/run/x"), "unix @x11 → /run/x, established");
        // Whatever the kernel sends, nothing is read behind it.
        (0..bytes.len()).for_each(|end| drop(unix(&bytes[..end])));
        bytes[16..18].fill(0xff);
        assert_eq!(unix(&bytes), None);
    }
}
