//! bpf(2) and the probes that run its programs, by the raw system call: a dozen instructions need
//! no compiler at build time and no library at run time.

use super::btf;
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{ffi::CStr, io, sync::atomic::AtomicU64};

/// Commands of bpf(2) (`linux/bpf.h`).
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const BTF_LOAD: libc::c_long = 18;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;

/// Kinds of maps.
pub(crate) const HASH: u32 = 1;
pub(crate) const ARRAY: u32 = 2;
pub(crate) const RING: u32 = 27;
/// An array that may be mapped.
pub(crate) const MAPPABLE: u32 = 1 << 10;

/// The kernel asks for a license that lets programs use its helpers.
const LICENSE: &CStr = c"Dual MIT/GPL";

/// `union bpf_attr`, as large as any command here needs it.
#[repr(C, align(8))]
struct Attributes([u8; 128]);

impl Attributes {
    fn new() -> Self {
        Self([0; 128])
    }

    fn u32(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn u64(mut self, at: usize, value: u64) -> Self {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn fd(self, at: usize, fd: &OwnedFd) -> Self {
        self.u32(at, fd.as_raw_fd() as u32)
    }

    fn pointer<T>(self, at: usize, to: *const T) -> Self {
        self.u64(at, to as u64)
    }

    fn call(&mut self, command: libc::c_long) -> io::Result<libc::c_long> {
        // SAFETY: the attributes live through the call and are as long as is said; the pointers in
        // them, put there by the functions below, are to live values of the size that the command
        // or the map's own sizes demand.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(result)
        }
    }

    fn open(mut self, command: libc::c_long) -> io::Result<OwnedFd> {
        let raw = self.call(command)?;
        // SAFETY: a descriptor that was just made (close-on-exec, as bpf(2) makes them all).
        Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
    }
}

/// Makes a map; sizes in bytes.
pub(crate) fn create_map(
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    Attributes::new()
        .u32(0, kind)
        .u32(4, key)
        .u32(8, value)
        .u32(12, entries)
        .u32(16, flags)
        .open(MAP_CREATE)
}

/// An entry of a map whose keys and values are eight bytes long.
pub(crate) fn set(map: &OwnedFd, key: u64, value: u64) -> io::Result<()> {
    let mut attributes = Attributes::new()
        .fd(0, map)
        .pointer(8, &raw const key)
        .pointer(16, &raw const value);
    attributes.call(MAP_UPDATE).map(|_| ())
}

/// What a program is attached to: `BPF_PROG_TYPE_KPROBE`, `BPF_PROG_TYPE_TRACEPOINT`,
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProgramType {
    /// A uprobe of a perf event.
    Probe = 2,
    /// A tracepoint of a perf event.
    Tracepoint = 5,
    /// A raw tracepoint.
    RawTracepoint = 17,
}

/// Attaches a program to a raw tracepoint, for as long as the descriptor lives.
pub(crate) fn attach(program: &OwnedFd, tracepoint: &CStr) -> io::Result<OwnedFd> {
    Attributes::new()
        .pointer(0, tracepoint.as_ptr())
        .fd(8, program)
        .open(RAW_TRACEPOINT_OPEN)
}

/// Loads a program that has functions beside its own, which begin at these instructions.
pub(crate) fn load_with(
    program_type: ProgramType,
    code: &[u64],
    functions: &[usize],
) -> io::Result<OwnedFd> {
    let types = load_types()?;
    let starts = [0].iter().chain(functions);
    let functions: Vec<[u32; 2]> = starts.map(|start| [*start as u32, btf::FUNCTION]).collect();
    program(program_type, code)
        .fd(72, &types)
        .u32(76, size_of::<[u32; 2]>() as u32)
        .pointer(80, functions.as_ptr())
        .u32(88, functions.len() as u32)
        .open(PROG_LOAD)
}

/// What types functions have, which the kernel wants to be told of programs that have some.
fn load_types() -> io::Result<OwnedFd> {
    let types = btf::types();
    Attributes::new()
        .pointer(0, types.as_ptr())
        .u32(16, types.len() as u32)
        .open(BTF_LOAD)
}

/// Loads a program.
pub(crate) fn load(program_type: ProgramType, code: &[u64]) -> io::Result<OwnedFd> {
    program(program_type, code).open(PROG_LOAD)
}

fn program(program_type: ProgramType, code: &[u64]) -> Attributes {
    Attributes::new()
        .u32(0, program_type as u32)
        .u32(4, code.len() as u32)
        .pointer(8, code.as_ptr())
        .pointer(16, LICENSE.as_ptr())
}

/// `PERF_EVENT_IOC_SET_BPF`: `_IOW('$', 8, __u32)`.
const SET_BPF: libc::c_ulong = 0x4004_2408;

/// Has a program run at each hit of a perf event; it goes with the event.
pub(crate) fn run_at(event: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    // SAFETY: the request takes a descriptor's number.
    let set = unsafe { libc::ioctl(event.as_raw_fd(), SET_BPF as _, program.as_raw_fd()) };
    if set < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Words that are shared with the kernel, for as long as this lives.
pub(crate) struct SharedWords {
    start: *mut libc::c_void,
    bytes: usize,
}

// SAFETY: the pages are accessed as atomics only, from any thread.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps `bytes` of a map or ring from `offset` on.
    pub(crate) fn new(map: &OwnedFd, bytes: usize, offset: u64, write: bool) -> io::Result<Self> {
        let protection = libc::PROT_READ | if write { libc::PROT_WRITE } else { 0 };
        // SAFETY: a fresh mapping; no existing memory is touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start, bytes })
    }

    /// The words; those that may not be written to must not be stored to.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, lives as long as `self`, and the kernel writes
        // whole words to it.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes / 8) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`, unmapped once.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}
