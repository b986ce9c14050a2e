//! Counters in a file that is mapped: written by the victim, read by the test at any time.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Slot {
    /// Rounds of work.
    Counter,
    /// Rounds that found something changed that must not change.
    Errors,
    /// System calls that returned EINTR.
    Interrupted,
    /// The largest time between two rounds, in nanoseconds.
    MaxGap,
    /// A process or thread that the victim has started.
    Child,
    /// System calls that returned although nothing should have ended them.
    Returned,
}

const SLOTS: usize = 64;

/// The size of the file.
const BYTES: usize = SLOTS * size_of::<u64>();

/// The page of counters.
pub struct State {
    slots: &'static [AtomicU64; SLOTS],
}

impl State {
    /// The counters in the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// When the file cannot be made or mapped.
    pub fn open(path: &Path) -> io::Result<State> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.set_len(BYTES as u64)?;
        let page = map(&file)?;
        // SAFETY: the mapping has BYTES bytes, is aligned to a page, and is never unmapped; atomics
        // may be changed by another process at any time.
        let slots = unsafe { &*page.cast::<[AtomicU64; SLOTS]>() };
        Ok(State { slots })
    }

    /// Counters that nobody else sees.
    pub fn private() -> State {
        State {
            slots: Box::leak(Box::new([const { AtomicU64::new(0) }; SLOTS])),
        }
    }

    /// Adds one.
    pub fn count(&self, slot: Slot) {
        self.slots[slot as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Sets a value.
    pub fn set(&self, slot: Slot, value: u64) {
        self.slots[slot as usize].store(value, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self, slot: Slot) -> u64 {
        self.slots[slot as usize].load(Ordering::Relaxed)
    }

    /// Where the value lies in this process.
    pub fn address(&self, slot: Slot) -> u64 {
        (&raw const self.slots[slot as usize]) as u64
    }
}

#[cfg(unix)]
fn map(file: &File) -> io::Result<*mut u8> {
    use std::os::fd::AsRawFd as _;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let fd = file.as_raw_fd();
    // SAFETY: a new mapping at a place the kernel chooses.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            BYTES,
            protection,
            libc::MAP_SHARED,
            fd,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(page.cast())
    }
}

#[cfg(windows)]
fn map(file: &File) -> io::Result<*mut u8> {
    use std::os::windows::io::AsRawHandle as _;
    use std::ptr::{null, null_mut};
    use windows_sys::Win32::System::Memory::{
        CreateFileMappingW, FILE_MAP_WRITE, MapViewOfFile, PAGE_READWRITE,
    };
    let file = file.as_raw_handle();
    // SAFETY: the handle is an open file's; no name, no attributes; the section keeps itself.
    let page = unsafe {
        let section = CreateFileMappingW(file, null(), PAGE_READWRITE, 0, BYTES as u32, null());
        if section.is_null() {
            null_mut()
        } else {
            MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, BYTES).Value
        }
    };
    if page.is_null() {
        Err(io::Error::last_os_error())
    } else {
        Ok(page.cast())
    }
}
