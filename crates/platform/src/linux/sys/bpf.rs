//! bpf(2), and the probes that run BPF programs, by the raw system call: our programs are a few
//! dozen instructions, which need no compiler at build time and no library at run time.

use super::btf;
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{
    ffi::CStr,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

/// Commands of bpf(2) (`linux/bpf.h`).
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP: libc::c_long = 1;
const MAP_UPDATE: libc::c_long = 2;
const MAP_DELETE: libc::c_long = 3;
const PROG_LOAD: libc::c_long = 5;
const BTF_LOAD: libc::c_long = 18;
const LINK_CREATE: libc::c_long = 28;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;

/// Types of maps: a hash table, an array, a hash table that forgets what was used least recently, a ring (`linux/bpf.h`).
pub(crate) const HASH: u32 = 1;
pub(crate) const ARRAY: u32 = 2;
pub(crate) const RECENT: u32 = 9;
pub(crate) const RING: u32 = 27;
/// A flag for a table that takes memory only for what is in it (`BPF_F_NO_PREALLOC`).
pub(crate) const GROWING: u32 = 1;
/// A flag for an array that can be mapped into memory (`BPF_F_MMAPABLE`).
pub(crate) const MAPPABLE: u32 = 1 << 10;

/// The license that we tell the kernel. Without the GPL in it, programs may not call all helpers.
const LICENSE: &CStr = c"Dual MIT/GPL";

/// `union bpf_attr`, as large as the commands here need it.
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
        // SAFETY: the attributes live during the call and are as long as we say. The pointers in
        // them were put there by the functions of this file, and point to values that live during
        // the call and have the size that the command, or the sizes of the map, say.
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
        // SAFETY: a descriptor that was just made and belongs to nobody else (bpf(2) makes all of
        // them close-on-exec).
        Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
    }
}

/// Makes a map; `key` and `value` are sizes in bytes.
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

/// Sets an entry of a map whose keys and values are eight bytes long.
pub(crate) fn set(map: &OwnedFd, key: u64, value: u64) -> io::Result<()> {
    update(map, key, value, 0)
}

/// As [`set`], of an entry that is there.
///
/// # Errors
/// If it is not.
pub(crate) fn change(map: &OwnedFd, key: u64, value: u64) -> io::Result<()> {
    /// `BPF_EXIST`.
    const IF_THERE: u64 = 2;
    update(map, key, value, IF_THERE)
}

fn update(map: &OwnedFd, key: u64, value: u64, flags: u64) -> io::Result<()> {
    let mut attributes = Attributes::new()
        .fd(0, map)
        .pointer(8, &raw const key)
        .pointer(16, &raw const value)
        .u64(24, flags);
    attributes.call(MAP_UPDATE).map(|_| ())
}

/// Copies an entry of a map whose keys are eight bytes long, and whose values are as long as `value`.
///
/// # Errors
/// If it is not there.
pub(crate) fn get<const N: usize>(map: &OwnedFd, key: u64, value: &mut [u8; N]) -> io::Result<()> {
    let mut attributes = Attributes::new()
        .fd(0, map)
        .pointer(8, &raw const key)
        .pointer(16, value.as_mut_ptr());
    attributes.call(MAP_LOOKUP).map(|_| ())
}

/// Removes an entry of a map whose keys are eight bytes long.
pub(crate) fn remove(map: &OwnedFd, key: u64) -> io::Result<()> {
    let mut attributes = Attributes::new().fd(0, map).pointer(8, &raw const key);
    attributes.call(MAP_DELETE).map(|_| ())
}

/// What a program is attached to: `BPF_PROG_TYPE_KPROBE`, `BPF_PROG_TYPE_TRACEPOINT`,
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProgramType {
    /// A uprobe that is a perf event.
    Probe = 2,
    /// A tracepoint that is a perf event.
    Tracepoint = 5,
    /// A raw tracepoint, without a perf event.
    RawTracepoint = 17,
}

/// Attaches a program to a raw tracepoint, until the descriptor is closed.
pub(crate) fn attach(program: &OwnedFd, tracepoint: &CStr) -> io::Result<OwnedFd> {
    Attributes::new()
        .pointer(0, tracepoint.as_ptr())
        .fd(8, program)
        .open(RAW_TRACEPOINT_OPEN)
}

/// A flag for a program that may sleep (`BPF_F_SLEEPABLE`); at uprobes since Linux 6.0.
pub(crate) const SLEEPABLE: u32 = 1 << 4;

/// How the program of a uprobe is attached (`expected_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attach {
    /// To a perf event. Each is closed under one lock of the whole machine, which takes tens of milliseconds.
    PerfEvent = 0,
    /// By [`attach_uprobe`] (`BPF_TRACE_UPROBE_MULTI`, Linux 6.6).
    Uprobe = 48,
}

/// Attaches a program to a place in a file, in one process, until the descriptor is closed.
pub(crate) fn attach_uprobe(
    program: &OwnedFd,
    file: &CStr,
    offset: u64,
    pid: u32,
) -> io::Result<OwnedFd> {
    Attributes::new()
        .fd(0, program)
        .u32(8, Attach::Uprobe as u32)
        .pointer(16, file.as_ptr())
        .pointer(24, &raw const offset)
        .u32(48, 1)
        .u32(56, pid)
        .open(LINK_CREATE)
}

/// Loads a program that has further functions, which begin at these instructions.
pub(crate) fn load_with(
    program_type: ProgramType,
    code: &[u64],
    functions: &[usize],
    flags: u32,
    attach: Attach,
) -> io::Result<OwnedFd> {
    let types = load_types()?;
    let starts = [0].iter().chain(functions);
    let functions: Vec<[u32; 2]> = starts.map(|start| [*start as u32, btf::FUNCTION]).collect();
    program(program_type, code)
        .u32(44, flags)
        .u32(68, attach as u32)
        .fd(72, &types)
        .u32(76, size_of::<[u32; 2]>() as u32)
        .pointer(80, functions.as_ptr())
        .u32(88, functions.len() as u32)
        .open(PROG_LOAD)
}

/// Loads the types of our functions, which the kernel wants to know of programs that have some.
fn load_types() -> io::Result<OwnedFd> {
    let types = btf::types();
    Attributes::new()
        .pointer(0, types.as_ptr())
        .u32(16, types.len() as u32)
        .open(BTF_LOAD)
}

/// Loads a program that has one function.
///
/// # Errors
/// If the kernel's verifier refuses it, or we have no right to load programs.
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

/// The request that attaches a program to a perf event (`PERF_EVENT_IOC_SET_BPF`, `_IOW('$', 8,
/// __u32)`).
const SET_BPF: libc::c_ulong = 0x4004_2408;

/// Runs a program at each hit of a perf event, until the event is closed.
pub(crate) fn run_at(event: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    // SAFETY: both descriptors are open, and the request takes the number of one.
    let set = unsafe { libc::ioctl(event.as_raw_fd(), SET_BPF as _, program.as_raw_fd()) };
    if set < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Memory that is shared with the kernel's BPF programs, until this is dropped.
pub(crate) struct SharedWords {
    start: *mut libc::c_void,
    bytes: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is accessed as atomics only.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps `bytes` bytes of a map or ring from `offset` on, which is a multiple of the size of a page.
    ///
    /// # Errors
    /// If the kernel refuses, or is out of memory.
    pub(crate) fn new(map: &OwnedFd, offset: u64, bytes: usize) -> io::Result<Self> {
        Self::map(map, bytes, offset, libc::PROT_READ | libc::PROT_WRITE)
    }

    fn map(map: &OwnedFd, bytes: usize, offset: u64, protection: i32) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is
        // touched.
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

    /// Returns the words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is aligned to a page, has `bytes` bytes and lives as long as `self`.
        // The kernel's programs change its words meanwhile, which is allowed for atomics.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes / 8) }
    }
}

/// As [`SharedWords`], of memory that only the kernel may write to.
pub(crate) struct ReadWords(SharedWords);

impl ReadWords {
    /// Maps `bytes` bytes of a ring from `offset` on.
    ///
    /// # Errors
    /// As [`SharedWords::new`].
    pub(crate) fn new(map: &OwnedFd, bytes: usize, offset: u64) -> io::Result<Self> {
        SharedWords::map(map, bytes, offset, libc::PROT_READ).map(Self)
    }

    /// Reads a word. Loads of a word are the one atomic access that memory which cannot be written to allows
    /// (`std::sync::atomic`, "Atomic accesses to read-only memory"); nobody gets a reference by which to do another.
    pub(crate) fn load(&self, at: usize) -> u64 {
        self.0.words()[at].load(Ordering::Acquire)
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made in `new`, unmapped once; nobody has a reference
        // into it.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}
