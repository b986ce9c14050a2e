//! A copy-on-write clone of a process (Windows 8.1 and later;
//! <https://learn.microsoft.com/windows/win32/api/processsnapshot/nf-processsnapshot-psscapturesnapshot>).
//!
//! The process is stopped for milliseconds only, and the clone's memory is copied while the process
//! runs on. Wine has no clones, so this code is compiled by the tests, but not run.

use super::{
    context,
    process::{Process, duration, number},
    sys::{function, wine_version},
    threads,
};
use snapshot::{Thread, WallTime};
use std::{ffi::CStr, io};
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::{
        Diagnostics::{
            Debug::{CONTEXT_ALL_AMD64, CONTEXT_XSTATE_AMD64},
            ProcessSnapshotting::{
                HPSS, HPSSWALK, PSS_CAPTURE_THREAD_CONTEXT, PSS_CAPTURE_THREAD_CONTEXT_EXTENDED,
                PSS_CAPTURE_THREADS, PSS_CAPTURE_VA_CLONE, PSS_CREATE_BREAKAWAY_OPTIONAL,
                PSS_CREATE_RELEASE_SECTION, PSS_CREATE_USE_VM_ALLOCATIONS,
                PSS_QUERY_VA_CLONE_INFORMATION, PSS_THREAD_ENTRY, PSS_THREAD_FLAGS_TERMINATED,
                PSS_VA_CLONE_INFORMATION, PSS_WALK_THREADS,
            },
        },
        Threading::{GetCurrentProcess, TerminateProcess},
    },
};

/// A clone, with the registers of the threads at the moment of cloning. Dropping it ends the clone.
pub(crate) struct Clone {
    functions: Functions,
    snapshot: HPSS,
    process: HANDLE,
}

#[derive(Clone, Copy)]
struct Functions {
    capture: unsafe extern "system" fn(HANDLE, u32, u32, *mut HPSS) -> u32,
    query: unsafe extern "system" fn(HPSS, i32, *mut core::ffi::c_void, u32) -> u32,
    walk: unsafe extern "system" fn(HPSS, i32, HPSSWALK, *mut core::ffi::c_void, u32) -> u32,
    begin: unsafe extern "system" fn(*const core::ffi::c_void, *mut HPSSWALK) -> u32,
    end: unsafe extern "system" fn(HPSSWALK) -> u32,
    free: unsafe extern "system" fn(HANDLE, HPSS) -> u32,
}

const WANTED: u32 = PSS_CAPTURE_VA_CLONE
    | PSS_CAPTURE_THREADS
    | PSS_CAPTURE_THREAD_CONTEXT
    | PSS_CAPTURE_THREAD_CONTEXT_EXTENDED
    | PSS_CREATE_BREAKAWAY_OPTIONAL
    | PSS_CREATE_USE_VM_ALLOCATIONS
    | PSS_CREATE_RELEASE_SECTION;

// SAFETY: the handles belong to our process, not to a thread; the functions may be called from any
// thread, and through a shared reference they only read.
unsafe impl Send for Clone {}
// SAFETY: as above.
unsafe impl Sync for Clone {}

impl Clone {
    /// Clones a 64-bit process, which was opened with the right to do so.
    ///
    /// # Errors
    /// If the system has no clones, or refuses; the text says why.
    pub(crate) fn of(process: &Process) -> Result<Self, String> {
        if process.is_narrow() {
            return Err("32-bit processes are not cloned".to_owned());
        }
        if wine_version().is_some() {
            return Err("Wine has no clones".to_owned());
        }
        let functions = Functions::load().ok_or("this Windows has no clones")?;
        let context = CONTEXT_ALL_AMD64 | CONTEXT_XSTATE_AMD64;
        let mut snapshot = std::ptr::null_mut();
        // SAFETY: an open process, and a live local for the snapshot.
        let status =
            unsafe { (functions.capture)(process.raw(), WANTED, context, &raw mut snapshot) };
        if status != 0 {
            let error = io::Error::from_raw_os_error(status as i32);
            return Err(format!("PssCaptureSnapshot failed: {error}"));
        }
        let mut clone = Self {
            functions,
            snapshot,
            process: std::ptr::null_mut(),
        };
        clone.process = clone.handle().ok_or("its handle could not be had")?;
        Ok(clone)
    }

    /// Returns the handle of the clone's process, which is valid as long as this value.
    pub(crate) fn raw(&self) -> HANDLE {
        self.process
    }

    /// Returns the threads at the moment of cloning.
    pub(crate) fn threads(&self) -> Vec<Thread> {
        let mut marker = std::ptr::null_mut();
        // SAFETY: the call writes to a live local.
        if unsafe { (self.functions.begin)(std::ptr::null(), &raw mut marker) } != 0 {
            return Vec::new();
        }
        let mut all = Vec::new();
        while let Some(entry) = self.next(marker) {
            if entry.Flags & PSS_THREAD_FLAGS_TERMINATED == 0 {
                all.push(thread(&entry));
            }
        }
        // SAFETY: our own marker, which is not used any more.
        unsafe { (self.functions.end)(marker) };
        all
    }

    fn next(&self, marker: HPSSWALK) -> Option<PSS_THREAD_ENTRY> {
        let mut entry = PSS_THREAD_ENTRY::default();
        let size = size_of::<PSS_THREAD_ENTRY>() as u32;
        let at = (&raw mut entry).cast();
        // SAFETY: our snapshot and marker, and a structure for one entry with its size.
        let status =
            unsafe { (self.functions.walk)(self.snapshot, PSS_WALK_THREADS, marker, at, size) };
        (status == 0).then_some(entry)
    }

    fn handle(&self) -> Option<HANDLE> {
        let mut found = PSS_VA_CLONE_INFORMATION::default();
        let size = size_of::<PSS_VA_CLONE_INFORMATION>() as u32;
        let (class, at) = (PSS_QUERY_VA_CLONE_INFORMATION, (&raw mut found).cast());
        // SAFETY: our snapshot, and a structure for the answer with its size.
        let status = unsafe { (self.functions.query)(self.snapshot, class, at, size) };
        (status == 0 && !found.VaCloneHandle.is_null()).then_some(found.VaCloneHandle)
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        // SAFETY: our own clone and snapshot, which are not used any more. The clone is ended
        // first: freeing the snapshot before that races with its end.
        unsafe {
            if !self.process.is_null() {
                TerminateProcess(self.process, 0);
            }
            (self.functions.free)(GetCurrentProcess(), self.snapshot);
        }
    }
}

impl Functions {
    /// Loads the functions; `None` if this Windows does not have them. (Wine's function of that name
    /// ends whoever calls it.)
    fn load() -> Option<Self> {
        const LIBRARY: &str = "kernel32.dll";
        const CAPTURE: &CStr = c"PssCaptureSnapshot";
        // SAFETY: the types are those of the documented functions.
        unsafe {
            Some(Self {
                capture: function(LIBRARY, CAPTURE)?,
                query: function(LIBRARY, c"PssQuerySnapshot")?,
                walk: function(LIBRARY, c"PssWalkSnapshot")?,
                begin: function(LIBRARY, c"PssWalkMarkerCreate")?,
                end: function(LIBRARY, c"PssWalkMarkerFree")?,
                free: function(LIBRARY, c"PssFreeSnapshot")?,
            })
        }
    }
}

/// Returns a thread of the snapshot, with the name that the living thread has.
fn thread(entry: &PSS_THREAD_ENTRY) -> Thread {
    let named = threads::describe(entry.ThreadId, false, false);
    let mut thread = Thread {
        id: entry.ThreadId,
        name: named.name,
        letter: ' ',
        teb: entry.TebBaseAddress as u64,
        start_address: entry.Win32StartAddress as u64,
        began: WallTime::from_filetime(number(entry.CreateTime)),
        exit_code: entry.ExitStatus,
        affinity: entry.AffinityMask as u64,
        priority: entry.Priority,
        user_time: duration(entry.UserTime),
        kernel_time: duration(entry.KernelTime),
        ..Thread::default()
    };
    // SAFETY: if there is a record, it lives as long as the snapshot, and has room for what its own
    // flags say.
    if let Some(record) = unsafe { entry.ContextRecord.as_ref() } {
        // SAFETY: as above.
        let (registers, extended) = unsafe { context::of_record(record) };
        thread.registers = Some(registers);
        thread.extended = extended;
    }
    thread
}
