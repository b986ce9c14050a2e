//! The processes that a program reports on which is loaded once for all of them. To load and attach a program takes
//! milliseconds and to detach it longer, one after the other on the whole machine: with a server that has a process for
//! each connection, one program for each process held the machine up.

use super::instructions::{Code, Condition, FRAME, Helper, Reg};
use crate::{linux::sys::bpf, lock};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Mutex,
};

/// The most processes at once: `PID_MAX_LIMIT` of `linux/threads.h` is larger, but no machine has so many.
const MOST: u32 = 1 << 17;

/// The entry that stands for all processes. The kernel's idle threads have this id, and nobody else.
const ALL: u32 = 0;

/// What is added to a user's id for his entry.
const OF_USERS: u64 = 1 << 32;

fn key_of_user(user: u32) -> u64 {
    OF_USERS + u64::from(user)
}

/// Where what one program needs is kept for the rest of the run, once it was needed.
pub(super) type Once<T> = Mutex<Option<&'static T>>;

/// Returns what is kept there; the first time, it is made, and `begin` is called with it.
///
/// # Errors
/// If it cannot be made. The next call tries again.
pub(super) fn once<T>(
    place: &Once<T>,
    make: impl FnOnce() -> io::Result<T>,
    begin: impl FnOnce(&'static T) -> io::Result<()>,
) -> io::Result<&'static T> {
    let mut kept = lock(place);
    if let Some(kept) = *kept {
        return Ok(kept);
    }
    let new: &'static T = Box::leak(Box::new(make()?));
    begin(new)?;
    Ok(kept.insert(new))
}

/// A table of process ids in the kernel.
pub(super) struct Pids(OwnedFd);

impl Pids {
    pub(super) fn new() -> io::Result<Self> {
        bpf::create_map(bpf::HASH, 8, 8, MOST, bpf::GROWING).map(Self)
    }

    /// A table that is there already, in another process of ours too.
    pub(super) fn of(map: OwnedFd) -> Self {
        Self(map)
    }

    pub(super) fn map(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        bpf::set(&self.0, pid.into(), 1)
    }

    pub(super) fn remove(&self, pid: u32) {
        // A process that is not there need not be removed.
        let _ = bpf::remove(&self.0, pid.into());
    }

    /// Removes a process; returns whether it was there.
    pub(super) fn take(&self, pid: u32) -> bool {
        bpf::remove(&self.0, pid.into()).is_ok()
    }

    /// Has processes that are not in the table be reported on too, as far as the program does that.
    pub(super) fn add_all(&self) -> io::Result<()> {
        self.add(ALL)
    }

    /// Undoes [`Pids::add_all`].
    pub(super) fn remove_all(&self) {
        self.remove(ALL);
    }

    /// Writes code that looks for the process whose id is at offset `key` of the stack. The result is 0 if it is not in
    /// the table.
    pub(super) fn find(&self, code: &mut Code, key: i16) {
        code.lookup(&self.0, key);
    }

    /// Writes code that puts the process whose id is at offset `key` of the stack into the table.
    pub(super) fn put(&self, code: &mut Code, key: i16) {
        code.put_entry(&self.0, key, key);
    }

    /// Has processes of a user that are not in the table not be reported on, until [`Pids::allow`].
    pub(super) fn refuse(&self, user: u32) {
        // Without room he is refused later, at a higher cost.
        let _ = bpf::set(&self.0, key_of_user(user), 1);
    }

    pub(super) fn allow(&self, user: u32) {
        let _ = bpf::remove(&self.0, key_of_user(user));
    }

    /// Writes code that ends the program if this thread's user is refused. `key` is the offset of a free word of the
    /// stack.
    pub(super) fn leave_if_refused(&self, code: &mut Code, key: i16) {
        code.call(Helper::UserGroup);
        code.store_half(FRAME, key, 0);
        code.set(1, (OF_USERS >> 32) as i32);
        code.store_half(FRAME, key + 4, 1);
        code.lookup(&self.0, key);
        code.leave_unless(Condition::Equal, 0, 0);
    }

    /// Writes code that takes the process whose id is at offset `key` of the stack out of the table.
    pub(super) fn take_out(&self, code: &mut Code, key: i16) {
        code.delete_entry(&self.0, key);
    }

    /// Writes code that ends the program unless processes that are not in the table are reported on too. `key` is the
    /// offset of a free word of the stack.
    pub(super) fn leave_unless_all(&self, code: &mut Code, key: i16) {
        code.set(1, ALL as i32);
        self.leave_unless_in(code, 1, key);
    }

    /// Writes code that ends the program unless the process id in a register is in the table. `key` is the offset of a
    /// free word of the stack. Registers 0 to 5 lose their values.
    pub(super) fn leave_unless_in(&self, code: &mut Code, pid: Reg, key: i16) {
        code.store(FRAME, key, pid);
        code.lookup(&self.0, key);
        code.leave_unless(Condition::NotEqual, 0, 0);
    }
}
