//! What the sockets of a process are: protocol, addresses, state, what waits in them, and which process has the other end,
//! where that is on this machine. Who reads a dump asks "which backend does it wait for".

mod list;
mod owners;
mod parse;

use super::proc::{ProcDir, link};
use list::List;
use snapshot::Handle;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long this takes at most: where a thread stands at an event, and where it does not.
const STANDING: Duration = Duration::from_millis(5);
const RUNNING: Duration = Duration::from_millis(150);

/// Adds to the name of each socket what it is. What cannot be had in time, or may not be seen, is left as it is.
pub(super) fn tell(proc: &ProcDir, handles: &mut [Handle], is_held: bool) {
    let within = if is_held { STANDING } else { RUNNING };
    let until = Instant::now() + within;
    if !handles
        .iter()
        .any(|handle| inode_of(&handle.name).is_some())
    {
        return;
    }
    let Ok(list) = List::read(proc, until) else {
        return;
    };
    let inodes = handles.iter().filter_map(|handle| inode_of(&handle.name));
    let peers: Vec<u32> = inodes.filter_map(|inode| list.peer_of(inode)).collect();
    let owners = owners::find(&peers, until);
    for handle in handles {
        if let Some(inode) = inode_of(&handle.name)
            && let Some(what) = list.describe(inode)
        {
            let peer = list.peer_of(inode).and_then(|peer| owners.get(&peer));
            let peer = peer.map_or_else(String::new, |peer| format!(", {peer}"));
            handle.name = format!("{} {what}{peer}", handle.name);
        }
    }
}

/// The inode in the name of a descriptor that is a socket, `socket:[41]`.
fn inode_of(name: &str) -> Option<u32> {
    let inode = name.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// The processes that have ends of sockets, by the inodes of these.
type Owners = HashMap<u32, String>;

/// Whether a process has the network of this one.
fn has_our_network(proc: &ProcDir) -> bool {
    let ours = std::fs::read_link("/proc/self/ns/net");
    let theirs = link(proc.fd(), "ns/net");
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours.to_string_lossy() == theirs)
}
