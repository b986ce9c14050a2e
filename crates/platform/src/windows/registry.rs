//! The registry, in the view of 64-bit programs
//! (<https://learn.microsoft.com/windows/win32/winprog64/accessing-an-alternate-registry-view>).

use super::sys::{narrow, wide};
use crate::{Error, ErrorKind, RegistryValue, RegistryValues, Result};
use std::io;
use windows_sys::Win32::{
    Foundation::{
        ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS, WIN32_ERROR,
    },
    System::Registry::{
        HKEY, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, KEY_ALL_ACCESS, KEY_READ, KEY_WOW64_64KEY,
        REG_DWORD, REG_EXPAND_SZ, REG_OPTION_NON_VOLATILE, REG_SAM_FLAGS, REG_SZ, RegCloseKey,
        RegCreateKeyExW, RegDeleteTreeW, RegDeleteValueW, RegEnumKeyExW, RegEnumValueW,
        RegOpenKeyExW, RegSetValueExW,
    },
};

/// The length of the longest name of a value or key, in UTF-16 units with a NUL
/// (<https://learn.microsoft.com/windows/win32/sysinfo/registry-element-size-limits>).
const LONGEST_NAME: usize = 16_384;
/// The size of the buffer for a value's data, at first and at most, in bytes.
const FIRST_ROOM: usize = 4096;
const MOST_ROOM: usize = 16 << 20;

pub(crate) fn values(path: &str) -> Result<Option<RegistryValues>> {
    let read = || -> io::Result<Option<RegistryValues>> {
        let Some(key) = Key::open(path, KEY_READ)? else {
            return Ok(None);
        };
        let values = (0..).map_while(|at| key.value(at).transpose());
        Ok(Some(RegistryValues(values.collect::<io::Result<_>>()?)))
    };
    read().map_err(|e| refused("reading", path, &e))
}

pub(crate) fn keys(path: &str) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let Some(key) = Key::open(path, KEY_READ)? else {
            return Ok(Vec::new());
        };
        (0..).map_while(|at| key.name(at).transpose()).collect()
    };
    read().map_err(|e| refused("reading", path, &e))
}

pub(crate) fn make(path: &str) -> Result<()> {
    let made = Key::make(path).map(drop);
    made.map_err(|e| refused("making", path, &e))
}

pub(crate) fn set(path: &str, name: &str, value: &RegistryValue) -> Result<()> {
    let (kind, bytes) = to_bytes(value);
    let (text, size) = (wide(name), bytes.len() as u32);
    let set = Key::make(path).and_then(|key| {
        // SAFETY: an open key, a name that ends with a NUL, and bytes with their size.
        check(unsafe { RegSetValueExW(key.0, text.as_ptr(), 0, kind, bytes.as_ptr(), size) })
    });
    set.map_err(|e| refused("setting", &format!("{path}\\{name}"), &e))
}

pub(crate) fn unset(path: &str, name: &str) -> Result<()> {
    let text = wide(name);
    let unset = Key::open(path, KEY_ALL_ACCESS).and_then(|key| match key {
        // SAFETY: an open key, and a name that ends with a NUL.
        Some(key) => unless_missing(unsafe { RegDeleteValueW(key.0, text.as_ptr()) }),
        None => Ok(()),
    });
    unset.map_err(|e| refused("removing", &format!("{path}\\{name}"), &e))
}

pub(crate) fn remove(path: &str) -> Result<()> {
    let (above, name) = path.rsplit_once('\\').unwrap_or((path, ""));
    let text = wide(name);
    let removed = Key::open(above, KEY_ALL_ACCESS).and_then(|key| match key {
        Some(key) if !name.is_empty() => {
            // SAFETY: an open key, and a name that ends with a NUL. It is not empty, which would
            // mean the key itself.
            unless_missing(unsafe { RegDeleteTreeW(key.0, text.as_ptr()) })
        }
        _ => Ok(()),
    });
    removed.map_err(|e| refused("removing", path, &e))
}

/// An open key. It is closed when this is dropped.
struct Key(HKEY);

impl Key {
    /// Opens a key; `None` if it does not exist.
    fn open(path: &str, access: REG_SAM_FLAGS) -> io::Result<Option<Self>> {
        let (hive, path) = hive(path)?;
        let mut key = std::ptr::null_mut();
        let access = access | KEY_WOW64_64KEY;
        // SAFETY: the path ends with a NUL, and the key is written to a live local.
        match unsafe { RegOpenKeyExW(hive, path.as_ptr(), 0, access, &raw mut key) } {
            ERROR_FILE_NOT_FOUND => Ok(None),
            status => check(status).map(|()| Some(Self(key))),
        }
    }

    /// Opens a key, and makes it if it does not exist, with the protection of the key above it.
    fn make(path: &str) -> io::Result<Self> {
        let (hive, path) = hive(path)?;
        let mut key = std::ptr::null_mut();
        // SAFETY: the path ends with a NUL, and the key is written to a live local; nothing else is
        // asked for.
        check(unsafe {
            RegCreateKeyExW(
                hive,
                path.as_ptr(),
                0,
                std::ptr::null(),
                REG_OPTION_NON_VOLATILE,
                KEY_ALL_ACCESS | KEY_WOW64_64KEY,
                std::ptr::null(),
                &raw mut key,
                std::ptr::null_mut(),
            )
        })?;
        Ok(Self(key))
    }

    /// Reads the value with this index; `None` behind the last one.
    fn value(&self, at: u32) -> io::Result<Option<(String, RegistryValue)>> {
        let mut room = FIRST_ROOM;
        loop {
            match self.value_within(at, room) {
                Err(error) if is(&error, ERROR_MORE_DATA) && room < MOST_ROOM => room *= 4,
                Err(error) if is(&error, ERROR_NO_MORE_ITEMS) => return Ok(None),
                value => return value.map(Some),
            }
        }
    }

    fn value_within(&self, at: u32, room: usize) -> io::Result<(String, RegistryValue)> {
        let (mut name, mut bytes) = (vec![0u16; LONGEST_NAME], vec![0u8; room]);
        let (mut length, mut size, mut kind) = (LONGEST_NAME as u32, room as u32, 0);
        // SAFETY: an open key, buffers for the name and the bytes with their sizes, and a live
        // local for the type.
        check(unsafe {
            RegEnumValueW(
                self.0,
                at,
                name.as_mut_ptr(),
                &raw mut length,
                std::ptr::null(),
                &raw mut kind,
                bytes.as_mut_ptr(),
                &raw mut size,
            )
        })?;
        let value = of_bytes(kind, &bytes[..size as usize]);
        Ok((narrow(&name[..length as usize]), value))
    }

    /// Reads the name of the key with this index; `None` behind the last one.
    fn name(&self, at: u32) -> io::Result<Option<String>> {
        let (mut name, mut length) = (vec![0u16; LONGEST_NAME], LONGEST_NAME as u32);
        let (none, nowhere) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: an open key, and a buffer for the name with its size; nothing else is asked for.
        let status = unsafe {
            let name = name.as_mut_ptr();
            let class = std::ptr::null_mut();
            RegEnumKeyExW(
                self.0,
                at,
                name,
                &raw mut length,
                none,
                class,
                nowhere,
                nowhere.cast(),
            )
        };
        match status {
            ERROR_NO_MORE_ITEMS => Ok(None),
            status => check(status).map(|()| Some(narrow(&name[..length as usize]))),
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: our own key, which nobody uses any more.
        unsafe { RegCloseKey(self.0) };
    }
}

fn hive(path: &str) -> io::Result<(HKEY, Vec<u16>)> {
    match path.split_once('\\') {
        Some(("HKLM", path)) => Ok((HKEY_LOCAL_MACHINE, wide(path))),
        Some(("HKCU", path)) => Ok((HKEY_CURRENT_USER, wide(path))),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Decodes the data of a value. A text ends at its first NUL, which some programs forget to write.
fn of_bytes(kind: u32, bytes: &[u8]) -> RegistryValue {
    let text = || {
        let units = bytes.as_chunks().0.iter();
        narrow(
            &units
                .map(|unit| u16::from_le_bytes(*unit))
                .collect::<Vec<_>>(),
        )
    };
    match (kind, bytes.first_chunk()) {
        (REG_SZ, _) => RegistryValue::Text(text()),
        (REG_EXPAND_SZ, _) => RegistryValue::Expand(text()),
        (REG_DWORD, Some(bytes)) => RegistryValue::Number(u32::from_le_bytes(*bytes)),
        _ => RegistryValue::Other(kind, bytes.to_vec()),
    }
}

fn to_bytes(value: &RegistryValue) -> (u32, Vec<u8>) {
    let units = |text: &str| wide(text).into_iter().flat_map(u16::to_le_bytes).collect();
    match value {
        RegistryValue::Text(text) => (REG_SZ, units(text)),
        RegistryValue::Expand(text) => (REG_EXPAND_SZ, units(text)),
        RegistryValue::Number(number) => (REG_DWORD, number.to_le_bytes().to_vec()),
        RegistryValue::Other(kind, bytes) => (*kind, bytes.clone()),
    }
}

/// Turns the status of a registry function into a result.
fn check(status: WIN32_ERROR) -> io::Result<()> {
    match status {
        ERROR_SUCCESS => Ok(()),
        status => Err(io::Error::from_raw_os_error(status as i32)),
    }
}

fn unless_missing(status: WIN32_ERROR) -> io::Result<()> {
    match status {
        ERROR_FILE_NOT_FOUND => Ok(()),
        status => check(status),
    }
}

fn is(error: &io::Error, code: WIN32_ERROR) -> bool {
    error.raw_os_error() == Some(code as i32)
}

fn refused(what: &str, path: &str, error: &io::Error) -> Error {
    let what = format!("{what} {path} in the registry failed: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::NotPermitted, what).advise("Start firstchance as administrator.")
        }
        _ => Error::new(ErrorKind::Other, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_they_are_read() {
        for value in [
            RegistryValue::Text("a b".to_owned()),
            RegistryValue::Expand("%TEMP%\\ü".to_owned()),
            RegistryValue::Number(0x121),
            RegistryValue::Other(3, vec![1, 2]),
        ] {
            let (kind, bytes) = to_bytes(&value);
            assert_eq!(of_bytes(kind, &bytes), value);
        }
        assert_eq!(
            of_bytes(REG_DWORD, &[1]),
            RegistryValue::Other(REG_DWORD, vec![1])
        );
    }
}
