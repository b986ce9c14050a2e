//! The sockets of a network namespace.

use super::{
    has_our_network,
    parse::{Ends, INET, Inet, Unix, inet, inet_request, unix, unix_request},
};
use crate::linux::{proc::ProcDir, sys::sock_diag::SockDiag};
use std::{collections::HashMap, io, os::fd::AsFd, time::Instant};

/// The most sockets that are looked at of each kind, so that this stays below 10 MB on a machine with a million of them.
const MOST: usize = 1 << 16;

/// All sockets, by their inodes.
pub(super) struct List {
    inet: HashMap<u32, Inet>,
    unix: HashMap<u32, Unix>,
    /// The inodes of connected sockets by both of their addresses.
    by_ends: HashMap<Ends, u32>,
}

impl List {
    /// Reads the sockets of the network that a process is in.
    ///
    /// # Errors
    /// If it is in another network and we may not look there, or the kernel does not tell.
    pub(super) fn read(proc: &ProcDir, until: Instant) -> io::Result<Self> {
        let diag = match has_our_network(proc) {
            true => SockDiag::open()?,
            false => SockDiag::open_in(proc.open_file("ns/net")?.as_fd())?,
        };
        let mut list = Self {
            inet: HashMap::new(),
            unix: HashMap::new(),
            by_ends: HashMap::new(),
        };
        // What can be had without the rest is told: a kernel may lack one of these.
        for (family, number, protocol) in INET {
            let add = |message: &[u8]| list.add_inet(inet(protocol, message));
            let _ = diag.dump(&inet_request(family, number), until, add);
        }
        let add = |message: &[u8]| list.add_unix(unix(message));
        let _ = diag.dump(&unix_request(), until, add);
        Ok(list)
    }

    /// What a socket is: `tcp 127.0.0.1:5000 → 127.0.0.1:80, established`.
    pub(super) fn describe(&self, inode: u32) -> Option<String> {
        if let Some(inet) = self.inet.get(&inode) {
            return Some(inet.to_string());
        }
        let unix = self.unix.get(&inode)?;
        let peer = unix.peer.and_then(|peer| self.unix.get(&peer));
        let peer_name = peer.map_or("", |peer| &peer.name);
        Some(unix.describe(peer_name))
    }

    /// The socket at the other end, if it is on this machine.
    pub(super) fn peer_of(&self, inode: u32) -> Option<u32> {
        if let Some(inet) = self.inet.get(&inode) {
            return self.by_ends.get(&inet.other_end()).copied();
        }
        self.unix.get(&inode)?.peer
    }

    fn add_inet(&mut self, found: Option<(u32, Inet)>) {
        if let Some((inode, inet)) = found.filter(|_| self.inet.len() < MOST) {
            self.by_ends.insert(inet.ends(), inode);
            self.inet.insert(inode, inet);
        }
    }

    fn add_unix(&mut self, found: Option<(u32, Unix)>) {
        if let Some((inode, unix)) = found.filter(|_| self.unix.len() < MOST) {
            self.unix.insert(inode, unix);
        }
    }
}
