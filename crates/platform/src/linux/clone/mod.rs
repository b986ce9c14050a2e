//! A copy-on-write clone of a target: one of its threads is made to run clone(2) while all stand, and what is copied is the
//! memory of the child. The target stands as long as a fork takes, some milliseconds for each GiB.
//!
//! Where a clone would be a danger the target is copied in place, and why is said ([`Reason`]).

mod borrowed;
mod frame_places;
mod gadgets;
mod made;
mod reap;
mod seccomp;

pub(super) use made::TargetClone;

use super::{
    arch::calls::{self, Gadgets, Saved},
    cgroup::{Groups, limits},
    memory_left,
    proc::{ProcDir, bounds, read_file, stat::Stat, status},
    stop::{Threads, TraceState},
    sys::{memory::write_process, ptrace},
};
use crate::Facts;
use borrowed::{Answer, Borrowed, usable};
use frame_places::FramePlaces;
use seccomp::SystemCall;
use snapshot::{Memory, Region};
use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// Why a target is not cloned, as what follows "because".
pub(super) type Reason = String;

/// What has to be known before the stop.
pub(super) struct Prepared {
    gadgets: Gadgets,
    places: FramePlaces,
    /// The numbers of clones that runs which were killed have left, as the target counts.
    left: Vec<i64>,
}

impl Prepared {
    /// Has the target wait for what earlier runs have left of clones, too, when [`make_for_a_moment`] has it wait.
    pub(super) fn take_along(&mut self, target: &ProcDir) {
        self.left = reap::left_behind(target);
    }
}

/// How long the call may take: the largest process would be let go then.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// What a clone needs of the memory that is left to a control group or to the machine, in bytes, besides what the target can
/// write meanwhile, which is all that is its own. (Of 200 MiB that were written all the time, the kernel killed the clone and
/// then the target where 80 to 128 MiB were left: no look at the memory comes soon enough.)
const HEADROOM: u64 = 64 << 20;
/// With less than this the clone is ended: others use the memory, too.
const LEAST_HEADROOM: u64 = 16 << 20;

/// Looks whether a process may be cloned, of which so many clones are being copied already. `regions` are its mappings, `memory`
/// reads its code.
///
/// # Errors
/// The reason against it.
pub(super) fn prepare(
    proc: &ProcDir,
    facts: &Facts,
    copied: u64,
    regions: &[Region],
    memory: &dyn Memory,
) -> Result<Prepared, Reason> {
    without_user_faults(facts)?;
    newer_than_races()?;
    // The page tables are copied too. What it writes is copied for each clone.
    with_headroom(
        proc,
        HEADROOM + facts.private * (1 + copied) + facts.resident / 256,
    )?;
    let gadgets = gadgets::find(regions, memory);
    Ok(Prepared {
        gadgets: gadgets.ok_or("no code for the call was found in it")?,
        places: FramePlaces::of(regions),
        left: Vec::new(),
    })
}

/// Fails where a fork waits for somebody to read of it (`UFFD_FEATURE_EVENT_FORK`), perhaps a thread that stands.
fn without_user_faults(facts: &Facts) -> Result<(), Reason> {
    let mut names = facts.handles.iter().map(|handle| &handle.name);
    if names.any(|name| name.contains("[userfaultfd]")) {
        return Err("it has a userfaultfd".into());
    }
    match facts.handles.len() >= bounds::DESCRIPTORS {
        true => Err("not all of its descriptors could be looked at".into()),
        false => Ok(()),
    }
}

/// Fails before Linux 6.5, where a direct read that goes on during a fork may end in the child alone
/// (mm/gup.c, FOLL_PIN for iov_iter_extract_pages).
fn newer_than_races() -> Result<(), Reason> {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || {
        numbers
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0u32)
    };
    match (number(), number()) >= (6, 5) {
        true => Ok(()),
        false => Err("before Linux 6.5 a fork beside direct input can lose what is read".into()),
    }
}

/// Fails if a control group of a process, or the machine, has less memory left than this.
fn with_headroom(proc: &ProcDir, least: u64) -> Result<(), Reason> {
    within_groups(&Groups::of(proc), least)?;
    match memory_left::of_machine().is_some_and(|bytes| bytes < least) {
        true => Err("the machine has little memory left".into()),
        false => Ok(()),
    }
}

/// Fails if one of these control groups has less memory left than this. A clone is the first that is killed; where its target is
/// killed with it, more is wanted.
fn within_groups(groups: &Groups<'_>, least: u64) -> Result<(), Reason> {
    let least = match limits::are_killed_together(groups) {
        true => least.saturating_add(HEADROOM),
        false => least,
    };
    match limits::headroom(groups).is_some_and(|left| left < least) {
        true => Err("its control group has little memory left".into()),
        false => Ok(()),
    }
}

/// Whether somebody has sent SIGTERM to a clone, which has that blocked: who ends all processes of a service waits for each.
pub(super) fn is_asked_to_end(clone: &ProcDir) -> bool {
    let status = clone.read("status").unwrap_or_default();
    let terminate = 1 << (libc::SIGTERM - 1);
    ["ShdPnd", "SigPnd"]
        .iter()
        .any(|key| status::mask(&status, key).is_some_and(|mask| mask & terminate != 0))
}

/// Fails if the kernel would kill the clone and its target next, because memory gets short.
pub(super) fn with_enough_memory(target: &ProcDir) -> Result<(), Reason> {
    with_headroom(target, LEAST_HEADROOM)
}

/// Whether a process is a clone of another one, by us or by another firstchance: nobody is told of its end, it has not
/// executed a program, and it has the name of a clone, is still traced, or waits to be taken off its parent's list.
pub(super) fn is_one(folder: &OwnedFd, stat: &Stat) -> bool {
    if stat.exit_signal != Some(0) {
        return false;
    }
    let status = || read_file(folder, "status").unwrap_or_default();
    let is_traced = || status::number(&status(), "TracerPid").is_some_and(|pid| pid != 0);
    stat.comm == made::NAME || stat.state == 'Z' || is_traced()
}

/// Makes a clone of a process whose threads stand.
///
/// # Errors
/// The reason why there is none. The target is as it was then.
pub(super) fn make(
    prepared: &Prepared,
    proc: &ProcDir,
    threads: &mut Threads,
    memory: &dyn Memory,
) -> Result<TargetClone, Reason> {
    let mut maker = Maker::borrow(prepared, proc, threads, memory)?;
    let clone = maker.make()?;
    maker.give_back();
    Ok(clone)
}

/// Makes a clone, has `keep` take what is wanted of it by its pid, ends it and has the target wait for it and for what was to be
/// taken along, all while the threads stand: those of a process that is traced all the time stop for other reasons as soon as they run.
///
/// # Errors
/// As [`make`], and if nothing was kept.
pub(super) fn make_for_a_moment<T>(
    prepared: &Prepared,
    proc: &ProcDir,
    threads: &mut Threads,
    memory: &dyn Memory,
    keep: impl FnOnce(u32) -> Result<T, Reason>,
) -> Result<T, Reason> {
    let mut maker = Maker::borrow(prepared, proc, threads, memory)?;
    let mut clone = maker.make()?;
    let kept = keep(clone.pid as u32);
    clone.kill();
    for number in std::iter::once(&clone.number).chain(&prepared.left) {
        maker.call(libc::SYS_wait4, [*number as u64, 0, reap::HOW, 0])?;
    }
    maker.give_back();
    kept
}

/// A stopped thread of a process that makes the calls.
struct Maker<'t> {
    threads: &'t mut Threads,
    thread: Borrowed,
    gadgets: Gadgets,
    /// Where the frame of the clone is.
    end_frame: u64,
    /// A signal that came to it meanwhile, 0 for none.
    signal: i32,
}

impl<'t> Maker<'t> {
    /// Takes one that may make the calls, and writes both frames.
    ///
    /// # Errors
    /// The reason why there is none.
    fn borrow(
        prepared: &Prepared,
        proc: &ProcDir,
        threads: &'t mut Threads,
        memory: &dyn Memory,
    ) -> Result<Self, Reason> {
        let gadgets = prepared.gadgets;
        let (tid, saved) = usable_of(threads, &prepared.places, memory)?;
        if !allowed(tid, gadgets) {
            return Err("its filter of system calls does not allow the call".into());
        }
        if !gadgets::are_there(gadgets, memory) {
            return Err("its code has moved".into());
        }
        let (frame, bytes) = saved.frame(saved.stack_pointer() - calls::RED_ZONE, gadgets);
        let (end_frame, end_bytes) = saved.frame_of_end(frame, gadgets);
        let pid = proc.living_tid();
        let written =
            write_process(pid, frame, &bytes).and(write_process(pid, end_frame, &end_bytes));
        let ready = written.and_then(|()| ptrace::tell_calls(tid));
        ready.map_err(|error| format!("what the call needs could not be written: {error}"))?;
        Ok(Self {
            threads,
            thread: Borrowed::new(tid, saved, gadgets, frame),
            gadgets,
            end_frame,
            signal: 0,
        })
    }

    /// Makes the clone.
    fn make(&mut self) -> Result<TargetClone, Reason> {
        // Descriptors are shared for a moment, so that none is closed a second time in the clone, which would flush it or drop
        // a lock. Nothing else is: while the folder is shared, the target could not unshare(2).
        let arguments = [libc::CLONE_FILES as u64, self.end_frame, 0, 0];
        let answer = self.call(libc::SYS_clone, arguments)?;
        let made = match answer.returned {
            1.. => TargetClone::new(answer, self.gadgets, self.end_frame),
            failed => Err(format!(
                "the call failed: {}",
                std::io::Error::from_raw_os_error(-failed as i32)
            )),
        };
        made.inspect_err(|_| self.give_back())
    }

    /// # Errors
    /// If it does not return. Then it comes back by itself, if at all.
    fn call(&mut self, number: i64, arguments: [u64; 4]) -> Result<Answer, Reason> {
        let called = self
            .thread
            .call(number, arguments, Instant::now() + CALL_WITHIN);
        let answer = called.map_err(|error| {
            self.threads.did_not_come_back(self.thread.tid, &error);
            format!("the call did not return: {error}")
        })?;
        self.signal = self.signal.max(answer.signal);
        Ok(answer)
    }

    fn give_back(&mut self) {
        let _ = self.thread.restore();
        self.threads.came_back(self.thread.tid, self.signal);
    }
}

/// Finds a thread that may be borrowed.
fn usable_of(
    threads: &Threads,
    places: &FramePlaces,
    memory: &dyn Memory,
) -> Result<(i32, Saved), Reason> {
    let mut buffer = super::arch::extended_buffer();
    let mut stopped = threads.states.iter();
    let found = stopped.find_map(|(tid, state)| {
        let stands = *state == TraceState::Stopped;
        let saved = stands.then(|| usable(*tid, places, memory, &mut buffer))?;
        Some((*tid, saved?))
    });
    found.ok_or_else(|| "no thread of it can make the call".into())
}

/// Whether the filters of a thread, if it has any, allow all calls that are made in the target and in its clone.
fn allowed(tid: i32, gadgets: Gadgets) -> bool {
    let status = std::fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    if status::number(&status, "Seccomp") == Some(0) {
        return true;
    }
    let call = |number: i64, arguments: [u64; 3]| SystemCall {
        number: number as u32,
        architecture: calls::AUDIT,
        instruction: gadgets.call + calls::CALL_INSTRUCTION,
        arguments: [arguments[0], arguments[1], arguments[2], 0, 0, 0],
    };
    let all = [
        call(libc::SYS_clone, [libc::CLONE_FILES as u64, 0, 0]),
        call(libc::SYS_rt_sigreturn, [0; 3]),
        call(libc::SYS_exit_group, [0; 3]),
        call(libc::SYS_wait4, [0, 0, reap::HOW]),
        call(libc::SYS_close_range, made::ALL_DESCRIPTORS),
        call(libc::SYS_setsid, [0; 3]),
        call(libc::SYS_prctl, [libc::PR_SET_NAME as u64, 0, 0]),
        call(libc::SYS_madvise, [0, 0, libc::MADV_DONTNEED as u64]),
    ];
    seccomp::allow(tid, &all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::cgroup::tests::in_v2;

    /// With 4 MiB left there is no clone, with 64 MiB there is one of a small process, and more is wanted in a group whose
    /// processes are killed together.
    #[test]
    fn n11_a_clone_needs_room_in_every_group_above() {
        const MIB: u64 = 1 << 20;
        let within = |left: u64, together: &str, wanted: u64| {
            let used = format!("{}", (100 * MIB).saturating_sub(left));
            let files = [
                ("pod/memory.max", "104857600"),
                ("pod/memory.current", &used),
                ("pod/memory.oom.group", together),
                ("pod/web/memory.max", "max"),
            ];
            in_v2(&files, "/pod/web", |groups| {
                within_groups(groups, wanted).is_ok()
            })
        };
        assert!(!within(4 * MIB, "0", LEAST_HEADROOM));
        assert!(within(16 * MIB, "0", LEAST_HEADROOM));
        assert!(!within(16 * MIB, "1", LEAST_HEADROOM));
        assert!(within(80 * MIB, "1", LEAST_HEADROOM));
        assert!(within(64 * MIB, "0", HEADROOM));
        assert!(!within(64 * MIB, "1", HEADROOM));
        assert!(!within(99 * MIB, "0", u64::MAX));
        assert!(!within(99 * MIB, "1", u64::MAX));
    }
}
