//! Reading files and asking about the disk they lie on.
//!
//! Files are opened so that nobody is kept waiting and no link is followed: a pipe, a device or a
//! reparse point under the name of a file is refused.

use super::sys::{check, own, raw, wide};
use crate::{FileBytes, Space};
use std::{
    fs::File,
    io,
    os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};
use windows_sys::Win32::{
    Storage::FileSystem::{
        FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_DELETE,
        FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TYPE_DISK, GetDiskFreeSpaceExW, GetFileType,
        GetVolumeInformationW, GetVolumePathNameW,
    },
    System::Memory::{
        CreateFileMappingW, FILE_MAP_READ, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
        PAGE_READONLY, UnmapViewOfFile,
    },
};

pub(super) fn is_plain(found: &std::fs::Metadata) -> bool {
    found.is_file() && found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0
}

/// Free space where `folder` lies.
pub(crate) fn space_at(folder: &Path) -> io::Result<Space> {
    let name = wide(folder.to_str().ok_or(io::ErrorKind::InvalidFilename)?);
    let mut space = Space::default();
    // SAFETY: a NUL-ended name, and two numbers to be filled.
    check(unsafe {
        GetDiskFreeSpaceExW(
            name.as_ptr(),
            &raw mut space.free,
            &raw mut space.total,
            std::ptr::null_mut(),
        )
    })?;
    Ok(space)
}

/// Whether the file system of `folder` keeps lists of who may.
pub(crate) fn has_permissions(folder: &Path) -> io::Result<bool> {
    /// `FILE_PERSISTENT_ACLS` (winnt.h).
    const LISTS: u32 = 8;
    let folder = std::path::absolute(folder)?;
    let name = wide(folder.to_str().ok_or(io::ErrorKind::InvalidFilename)?);
    let mut root = [0u16; 1024];
    let (mut flags, none, nowhere) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: NUL-ended names, room for the volume's, and a place for the flags.
    unsafe {
        check(GetVolumePathNameW(name.as_ptr(), root.as_mut_ptr(), 1024))?;
        check(GetVolumeInformationW(
            root.as_ptr(),
            none,
            0,
            nowhere,
            std::ptr::null_mut(),
            &raw mut flags,
            std::ptr::null_mut(),
            0,
        ))?;
    }
    Ok(flags & LISTS != 0)
}

/// Opens what may be a regular file, and no link; the caller sees.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let file = open_shared(path)?;
    let is_link = path.symlink_metadata()?.is_symlink();
    if is_link {
        return Err(io::Error::other("it is a link"));
    }
    Ok(file)
}

pub(crate) fn patch_file(path: &Path, patches: &[(u64, Vec<u8>)]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let options = options
        .write(true)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    let file = options.open(path)?;
    let found = file.metadata()?;
    if !is_plain(&found) {
        return Err(io::Error::other("it is no regular file"));
    }
    for (offset, bytes) in patches {
        let (mut at, mut left) = (*offset, &bytes[..]);
        while !left.is_empty() {
            let done = file.seek_write(left, at)?;
            at += done as u64;
            left = &left[done..];
        }
    }
    file.set_modified(found.modified()?)
}

/// Maps a regular file.
pub(crate) fn map_file(path: &Path) -> io::Result<FileBytes> {
    let file = open_shared(path)?;
    let size = file.metadata()?.len() as usize;
    if size == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    Ok(Arc::new(Mapping::new(&file, size)?))
}

/// Opens a file on a disk for reading; others may write, rename and delete it.
pub(crate) fn open_shared(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    options.share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE);
    let file = options.open(path)?;
    let handle = file.into();
    // SAFETY: an open handle.
    if unsafe { GetFileType(raw(&handle)) } != FILE_TYPE_DISK {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(handle.into())
}

/// A file mapped for reading. Windows lets nobody truncate it meanwhile.
struct Mapping {
    at: MEMORY_MAPPED_VIEW_ADDRESS,
    size: usize,
}

impl Mapping {
    fn new(file: &File, size: usize) -> io::Result<Self> {
        use std::os::windows::io::AsRawHandle;
        let none = std::ptr::null();
        // SAFETY: an open file; the view keeps the mapping when its handle is closed.
        unsafe {
            let handle = file.as_raw_handle();
            let mapping = own(CreateFileMappingW(
                handle,
                none,
                PAGE_READONLY,
                0,
                0,
                none.cast(),
            ))?;
            let at = MapViewOfFile(raw(&mapping), FILE_MAP_READ, 0, 0, size);
            if at.Value.is_null() {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { at, size })
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the view is that long and stays until `drop`; a file that is mapped cannot be
        // truncated. Bytes that others write meanwhile are only ever parsed, never trusted.
        unsafe { std::slice::from_raw_parts(self.at.Value.cast(), self.size) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own view, which nobody can borrow any more.
        unsafe { UnmapViewOfFile(self.at) };
    }
}

// SAFETY: plain memory that nobody writes through this value.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}
