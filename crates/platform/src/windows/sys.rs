//! What every call to Windows needs: handles that close themselves, texts in UTF-16, errors, and
//! functions that not every Windows has.

use std::{
    ffi::CStr,
    io,
    os::windows::{
        ffi::OsStrExt,
        io::{AsRawHandle, FromRawHandle, OwnedHandle},
    },
    path::Path,
    sync::OnceLock,
};
use windows_sys::{
    Wdk::System::SystemInformation::NtQuerySystemInformation,
    Win32::{
        Foundation::{
            HANDLE, INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError,
            STATUS_INFO_LENGTH_MISMATCH,
        },
        System::LibraryLoader::{
            GetProcAddress, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32,
            LoadLibraryExW,
        },
    },
    core::{BOOL, HRESULT},
};

/// The largest answer about the whole machine, in bytes: enough for 13 million handles.
const LARGEST_ANSWER: usize = 512 << 20;

/// Returns the raw value of a handle, for a call that only borrows it.
pub(crate) fn raw(handle: &OwnedHandle) -> HANDLE {
    handle.as_raw_handle()
}

/// Turns the TRUE or FALSE that a call returned into a result.
pub(crate) fn check(result: BOOL) -> io::Result<()> {
    if result == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Turns the `NTSTATUS` that a call returned into a result.
pub(crate) fn check_status(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: takes a plain number, and looks it up in a table.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code as i32))
}

/// Turns the `HRESULT` that a call returned into a result.
pub(crate) fn check_result(result: HRESULT) -> io::Result<()> {
    match result < 0 {
        true => Err(io::Error::from_raw_os_error(result)),
        false => Ok(()),
    }
}

/// Takes ownership of a handle that a call has just returned.
///
/// # Errors
/// The last error of this thread, if the handle is null or invalid.
///
/// # Safety
/// `handle` must be what the call returned, and nobody else may own it.
pub(crate) unsafe fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller vouches that nobody else owns it, and it is not null.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Returns a text in UTF-16 with a NUL at the end.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Decodes a text in UTF-16, up to its first NUL or its end.
pub(crate) fn narrow(units: &[u16]) -> String {
    let end = units.iter().position(|&u| u == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// Finds a function of a system library that not every Windows has; `None` if this one does not
/// have it.
///
/// # Safety
/// `F` must be the type of a pointer to that function.
pub(crate) unsafe fn function<F: Copy>(library: &str, name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    let library = wide(library);
    // SAFETY: both texts end with a NUL; the library stays loaded until the program ends.
    let address = unsafe {
        let module = LoadLibraryExW(
            library.as_ptr(),
            std::ptr::null_mut(),
            LOAD_LIBRARY_SEARCH_SYSTEM32,
        );
        if module.is_null() {
            return None;
        }
        GetProcAddress(module, name.as_ptr().cast())?
    };
    // SAFETY: both are pointers to functions, and the caller vouches for the type.
    Some(unsafe { std::mem::transmute_copy(&address) })
}

/// Loads the library at this full path, and finds a function of it; `None` if it does not have it. The libraries that it
/// needs are looked for beside it and in System32.
///
/// # Safety
/// `F` must be the type of a pointer to that function.
pub(crate) unsafe fn export_of<F: Copy>(path: &Path, name: &CStr) -> io::Result<Option<F>> {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let places = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: the path ends with a NUL; the library stays loaded until the program ends.
    let module = unsafe { LoadLibraryExW(path.as_ptr(), std::ptr::null_mut(), places) };
    if module.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: an open library, and a name that ends with a NUL.
    let address = unsafe { GetProcAddress(module, name.as_ptr().cast()) };
    // SAFETY: both are pointers to functions, and the caller vouches for the type.
    Ok(address.map(|address| unsafe { std::mem::transmute_copy(&address) }))
}

/// Returns what the system tells of one class, in words, so that it is aligned as the structures
/// are.
pub(crate) fn system_information(class: i32) -> io::Result<Vec<u64>> {
    let mut words = vec![0u64; (1 << 20) / 8];
    loop {
        let (size, mut needed) = ((words.len() * 8) as u32, 0);
        let at = words.as_mut_ptr().cast();
        // SAFETY: an aligned buffer with its size.
        let status = unsafe { NtQuerySystemInformation(class, at, size, &raw mut needed) };
        if status != STATUS_INFO_LENGTH_MISMATCH {
            return check_status(status).map(|()| words);
        }
        let larger = (needed as usize).max(words.len() * 8) + (1 << 20);
        if larger > LARGEST_ANSWER {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        words = vec![0; larger / 8];
    }
}

/// Returns Wine's version; `None` on Windows.
pub(crate) fn wine_version() -> Option<&'static str> {
    static VERSION: OnceLock<Option<String>> = OnceLock::new();
    let version = VERSION.get_or_init(|| {
        // SAFETY: Wine declares `const char *wine_get_version(void)`, whose text lives as long as
        // the program; Windows has no function of that name.
        unsafe {
            let ask: extern "C" fn() -> *const std::ffi::c_char =
                function("ntdll.dll", c"wine_get_version")?;
            Some(CStr::from_ptr(ask()).to_string_lossy().into_owned())
        }
    });
    version.as_deref()
}
