//! perf_event_open(2): events of one process or thread.

use rustix::fd::{FromRawFd, OwnedFd};
use std::{ffi::CStr, io, marker::PhantomData};

/// `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// `exclude_kernel`, `exclude_hv`, `remove_on_exec` and `sigtrap` among the flags, of which
/// `disabled` is the first.
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const REMOVE_ON_EXEC: u64 = 1 << 36;
const SIGTRAP: u64 = 1 << 37;

/// `PERF_TYPE_TRACEPOINT`, `PERF_TYPE_BREAKPOINT`.
const TRACEPOINT: u32 = 2;
const BREAKPOINT: u32 = 5;

/// `struct perf_event_attr` (`linux/perf_event.h`, PERF_ATTR_SIZE_VER7), which may hold the address
/// of a text.
#[repr(C, align(8))]
struct Event<'t>([u8; 128], PhantomData<&'t CStr>);

impl<'t> Event<'t> {
    fn of(kind: u32) -> Self {
        let event = Self([0; 128], PhantomData);
        event.half(0, kind).half(4, 128)
    }

    fn half(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn word(mut self, at: usize, value: u64) -> Self {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn text(self, at: usize, text: &'t CStr) -> Self {
        self.word(at, text.as_ptr() as u64)
    }

    fn open(&self, pid: i32) -> io::Result<OwnedFd> {
        let attributes = self.0.as_ptr();
        // SAFETY: the attributes are as long as they say; a text in them lives as long as they.
        let raw = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                attributes,
                pid,
                -1,
                -1,
                CLOSE_ON_EXEC,
            )
        };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made.
        Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
    }
}

/// A uprobe at `offset` of a file, in one process.
///
/// Never with `inherit`: the kernel would read the path's pointer again in the process of a new
/// thread, where it means nothing, and the target's clone(2) would fail.
pub(crate) fn uprobe(kind: u32, path: &CStr, offset: u64, pid: u32) -> io::Result<OwnedFd> {
    let event = Event::of(kind).word(16, 1).word(40, REMOVE_ON_EXEC);
    event.text(56, path).word(64, offset).open(pid as i32)
}

/// A tracepoint. The event is only what a program hangs on, which the kernel asks at every hit
/// (perf_trace_run_bpf_submit in kernel/events/core.c), whosever event it is: ours.
pub(crate) fn tracepoint(id: u64) -> io::Result<OwnedFd> {
    const OURSELVES: i32 = 0;
    Event::of(TRACEPOINT).word(8, id).open(OURSELVES)
}

/// A breakpoint in the processor, for one thread: when it comes there it gets a SIGTRAP with
/// `cookie` in it before the instruction. It goes with its descriptor.
///
/// Without `inherit`: who traces the process arms each new thread before it runs, and takes all back
/// by closing what it opened.
pub(crate) fn breakpoint(tid: i32, address: u64, cookie: u64) -> io::Result<OwnedFd> {
    /// `HW_BREAKPOINT_X`.
    const EXECUTE: u32 = 4;
    let flags = REMOVE_ON_EXEC | SIGTRAP;
    Event::of(BREAKPOINT)
        .word(16, 1)
        .word(40, flags | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR)
        .half(52, EXECUTE)
        .word(56, address)
        .word(64, size_of::<libc::c_long>() as u64)
        .word(120, cookie)
        .open(tid)
}
