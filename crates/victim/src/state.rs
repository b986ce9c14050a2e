//! Counters that a victim and its test share: an array of 64-bit integers in a file that both map
//! into memory. The victim writes them, and the test can read them at any time.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters and values, by their index in the file.
#[derive(Clone, Copy, Debug)]
pub enum Slot {
    /// How many rounds of its work the victim has done.
    Counter,
    /// How many rounds found a register or memory changed that must not change.
    Errors,
    /// How many system calls returned EINTR.
    Interrupted,
    /// The longest time between two rounds, in nanoseconds.
    MaxGap,
    /// The pid or thread id of a process or thread that the victim started.
    Child,
    /// How many system calls returned although nothing should have ended them.
    Returned,
}

const SLOTS: usize = 64;

/// The size of the file in bytes.
const BYTES: usize = SLOTS * size_of::<u64>();

/// The mapped counters. They stay mapped until the process ends.
pub struct State {
    slots: &'static [AtomicU64; SLOTS],
}

impl State {
    /// Maps the counters of the file at `path`, which is made if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be made or mapped.
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
        // SAFETY: the mapping is BYTES long, which is the size of the array, is aligned to a page,
        // and is never unmapped. Another process may change it at any time, which is allowed for
        // atomics.
        let slots = unsafe { &*page.cast::<[AtomicU64; SLOTS]>() };
        Ok(State { slots })
    }

    /// Makes counters that no other process can see.
    pub fn private() -> State {
        State {
            slots: Box::leak(Box::new([const { AtomicU64::new(0) }; SLOTS])),
        }
    }

    /// Adds one to a counter.
    pub fn count(&self, slot: Slot) {
        self.slots[slot as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Stores a value.
    pub fn set(&self, slot: Slot, value: u64) {
        self.slots[slot as usize].store(value, Ordering::Relaxed);
    }

    /// Returns the present value.
    pub fn get(&self, slot: Slot) -> u64 {
        self.slots[slot as usize].load(Ordering::Relaxed)
    }

    /// Returns the address of a value in this process.
    pub fn address(&self, slot: Slot) -> u64 {
        (&raw const self.slots[slot as usize]) as u64
    }
}

#[cfg(unix)]
fn map(file: &File) -> io::Result<*mut u8> {
    use std::os::fd::AsRawFd as _;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let fd = file.as_raw_fd();
    // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
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
    // SAFETY: the file is open during both calls, and the section has no name and no attributes.
    // The view keeps the section alive when its handle is lost.
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
