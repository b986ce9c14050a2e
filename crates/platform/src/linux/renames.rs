//! Processes that take another name without executing a program: by prctl(2) (`PR_SET_NAME`), or by writing over their own
//! arguments, of which the kernel tells nobody.

use super::proc;
use std::{
    collections::HashMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read as _},
};

/// How much of the arguments is looked at: more than any name has.
const ARGUMENTS: u64 = 4096;

/// How often those are looked at whose first thread has slept since: other threads may have named the process.
const SLEEPERS: u32 = 10;

/// The most bytes of `schedstat`: three numbers.
const SCHEDSTAT: usize = 64;

/// What processes were called when they were looked at last.
#[derive(Default)]
pub(super) struct Renames {
    known: HashMap<i32, Known>,
    looks: u32,
}

#[derive(Clone, Copy)]
struct Known {
    /// For how long its first thread has run (`/proc/PID/schedstat`), if the kernel tells.
    ran: Option<[u8; SCHEDSTAT]>,
    names: u64,
}

impl Renames {
    /// Returns the pids of processes that are called otherwise than the last time, or were not there then. Threads of the
    /// kernel, which have no arguments, are left out.
    pub(super) fn look(&mut self) -> Vec<u32> {
        self.looks = self.looks.wrapping_add(1);
        let trusts = !self.looks.is_multiple_of(SLEEPERS);
        let mut before = std::mem::take(&mut self.known);
        let mut new = Vec::new();
        for pid in proc::all_pids().unwrap_or_default() {
            let known = before.remove(&pid);
            let Ok(now) = known_of(pid, known.filter(|_| trusts)) else {
                continue;
            };
            if now.names != known.map_or(0, |known| known.names) {
                new.push(pid as u32);
            }
            self.known.insert(pid, now);
        }
        new
    }
}

/// What a process is called: as before, if it has not run since.
fn known_of(pid: i32, before: Option<Known>) -> io::Result<Known> {
    let ran = ran(pid).ok();
    match before.filter(|before| ran.is_some() && ran == before.ran) {
        Some(before) => Ok(before),
        None => Ok(Known {
            ran,
            names: names(pid as u32)?,
        }),
    }
}

fn ran(pid: i32) -> io::Result<[u8; SCHEDSTAT]> {
    let mut text = [0; SCHEDSTAT];
    let len = File::open(format!("/proc/{pid}/schedstat"))?.read(&mut text)?;
    match len {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(text),
    }
}

/// A number for all that a process is called; 0 if it has no arguments.
fn names(pid: u32) -> io::Result<u64> {
    let dir = proc::open_dir(pid)?;
    let arguments = proc::read_file_up_to(&dir, "cmdline", ARGUMENTS)?;
    if arguments.is_empty() {
        return Ok(0);
    }
    let mut hasher = DefaultHasher::new();
    (proc::read_file(&dir, "comm")?, arguments).hash(&mut hasher);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n45_a_process_is_named_when_it_is_new_and_when_its_name_is() {
        let own = std::process::id();
        let mut renames = Renames::default();
        assert!(renames.look().contains(&own));
        assert!(!renames.look().contains(&own));
        let before = Known {
            ran: None,
            names: 1,
        };
        renames.known.insert(own as i32, before);
        assert!(renames.look().contains(&own));
    }
}
