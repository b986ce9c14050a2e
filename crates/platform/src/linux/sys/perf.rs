//! perf_event_open(2): uprobes, tracepoints and hardware breakpoints as events.

use rustix::fd::{FromRawFd, OwnedFd};
use std::{ffi::CStr, io, marker::PhantomData};

/// Makes the descriptor close-on-exec (`PERF_FLAG_FD_CLOEXEC`).
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// The flags `exclude_kernel`, `exclude_hv`, `remove_on_exec` and `sigtrap`, by their position in
/// the bit field that begins with `disabled`.
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const REMOVE_ON_EXEC: u64 = 1 << 36;
const SIGTRAP: u64 = 1 << 37;

/// Types of events (`PERF_TYPE_TRACEPOINT`, `PERF_TYPE_BREAKPOINT`).
const TRACEPOINT: u32 = 2;
const BREAKPOINT: u32 = 5;

/// `struct perf_event_attr` (`linux/perf_event.h`, PERF_ATTR_SIZE_VER7). It may contain the address
/// of a text, which it borrows.
#[repr(C, align(8))]
struct Event<'t>([u8; 128], PhantomData<&'t CStr>);

impl<'t> Event<'t> {
    /// Makes attributes of zeros with a type and a size.
    fn of(kind: u32) -> Self {
        let event = Self([0; 128], PhantomData);
        event.half(0, kind).half(4, 128)
    }

    /// Sets a 32-bit field.
    fn half(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    /// Sets a 64-bit field.
    fn word(mut self, at: usize, value: u64) -> Self {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    /// Sets a field to the address of a text.
    fn text(self, at: usize, text: &'t CStr) -> Self {
        self.word(at, text.as_ptr() as u64)
    }

    /// Opens the event for a process or thread, on any processor.
    fn open(&self, pid: i32) -> io::Result<OwnedFd> {
        let attributes = self.0.as_ptr();
        // SAFETY: the attributes are as long as they say, and live during the call. The lifetime
        // `'t` keeps a text whose address they contain alive.
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
        // SAFETY: a descriptor that was just made and belongs to nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
    }
}

/// Opens a uprobe at `offset` bytes of a file, in one process. `kind` is the event type that the
/// kernel gives to uprobes.
///
/// It stays when the process executes another program, which the kernel tells apart by its address space
/// (`uprobe_perf_filter` in kernel/trace/trace_uprobe.c).
///
/// Never with `inherit`: when a thread is made, the kernel would read the path's pointer again in
/// the target, where it means nothing, and the target's clone(2) would fail.
pub(crate) fn uprobe(kind: u32, path: &CStr, offset: u64, pid: u32) -> io::Result<OwnedFd> {
    let event = Event::of(kind).word(16, 1);
    event.text(56, path).word(64, offset).open(pid as i32)
}

/// Opens a tracepoint, as something to attach a program to. The kernel runs the program at every
/// hit in whatever process (perf_trace_run_bpf_submit in kernel/events/core.c), although the event
/// is opened for ours.
pub(crate) fn tracepoint(id: u64) -> io::Result<OwnedFd> {
    const OURSELVES: i32 = 0;
    Event::of(TRACEPOINT).word(8, id).open(OURSELVES)
}

/// Opens a hardware breakpoint for one thread. When the thread comes to `address`, it gets a
/// SIGTRAP that contains `cookie`, before it executes the instruction. The breakpoint is removed
/// when the descriptor is closed.
///
/// Without `inherit`: the tracer sets it for each new thread before that runs, and removes all by
/// closing what it opened.
pub(crate) fn breakpoint(tid: i32, address: u64, cookie: u64) -> io::Result<OwnedFd> {
    /// Stops before an instruction is executed (`HW_BREAKPOINT_X`).
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
