//! Which processes have the other ends of sockets.

use super::{Owners, inode_of};
use crate::linux::proc::{all_pids, link, numbers_in, open_dir, read_stat};
use std::{collections::HashSet, os::fd::OwnedFd, time::Instant};

/// Looks through the descriptors of all processes that we may look at, until all are found or the time is over.
pub(super) fn find(inodes: &[u32], until: Instant) -> Owners {
    let mut wanted: HashSet<u32> = inodes.iter().copied().collect();
    let mut owners = Owners::new();
    for pid in all_pids().unwrap_or_default() {
        if wanted.is_empty() || Instant::now() >= until {
            break;
        }
        let Ok(dir) = open_dir(pid as u32) else {
            continue;
        };
        let found = of_process(&dir, &wanted);
        if found.is_empty() {
            continue;
        }
        let name = read_stat(&dir).map(|stat| stat.comm).unwrap_or_default();
        for inode in found {
            wanted.remove(&inode);
            owners.insert(inode, format!("{name} (pid {pid})"));
        }
    }
    owners
}

fn of_process(dir: &OwnedFd, wanted: &HashSet<u32>) -> Vec<u32> {
    let numbers = numbers_in(dir, "fd").unwrap_or_default().into_iter();
    let names = numbers.filter_map(|number| link(dir, &format!("fd/{number}")).ok());
    let inodes = names.filter_map(|name| inode_of(&name));
    inodes.filter(|inode| wanted.contains(inode)).collect()
}
