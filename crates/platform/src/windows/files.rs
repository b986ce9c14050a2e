//! Reading files and asking about the disk they lie on.
//!
//! Files are opened so that nobody is kept waiting and no link is followed: a pipe, a device or a
//! reparse point under the name of a file is refused.

use super::sys::{check, own, raw, wide};
use crate::{FileBytes, FileIdentity, MakeContent, Space};
use snapshot::FileContent;
use std::{
    fs::File,
    io,
    os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Component, Path},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use windows_sys::Win32::{
    Storage::FileSystem::{
        FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TEMPORARY, FILE_FLAG_DELETE_ON_CLOSE,
        FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
        FILE_TYPE_DISK, GetDiskFreeSpaceExW, GetFileType, GetVolumeInformationW,
        GetVolumePathNameW,
    },
    System::Memory::{
        CreateFileMappingW, FILE_MAP_READ, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
        PAGE_READONLY, UnmapViewOfFile,
    },
};

/// Returns whether it is a regular file: no folder, no link, no other reparse point.
pub(super) fn is_plain(found: &std::fs::Metadata) -> bool {
    found.is_file() && found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0
}

/// Returns the space of the file system that `folder` is on.
pub(crate) fn space_at(folder: &Path) -> io::Result<Space> {
    let name = wide(folder.to_str().ok_or(io::ErrorKind::InvalidFilename)?);
    let mut space = Space::default();
    // SAFETY: the name ends with a NUL, and the call writes to two live locals.
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

/// Returns whether the file system of `folder` has access lists.
pub(crate) fn has_permissions(folder: &Path) -> io::Result<bool> {
    /// The flag of a volume with access lists (`FILE_PERSISTENT_ACLS` of winnt.h).
    const LISTS: u32 = 8;
    let folder = std::path::absolute(folder)?;
    let name = wide(folder.to_str().ok_or(io::ErrorKind::InvalidFilename)?);
    let mut root = [0u16; 1024];
    let (mut flags, none, nowhere) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the names end with a NUL, and the buffer for the volume's name and the flags are live
    // locals.
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

/// Opens a file that must not be a link. The caller checks that it is a regular file.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let file = open_shared(path)?;
    let is_link = path.symlink_metadata()?.is_symlink();
    if is_link {
        return Err(io::Error::other("it is a link"));
    }
    Ok(file)
}

/// No file is [identified](crate::OutFile::publish_and_identify).
pub(crate) fn open_unchanged(_: &Path, _: &FileIdentity) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No file is [identified](crate::OutFile::publish_and_identify).
pub(crate) fn is_unchanged(_: &File, _: &FileIdentity) -> bool {
    false
}

/// See [`crate::open_log`]. Who owns it is left to its access list.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    let options = options.append(true).create(true);
    let file = options
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    match is_plain(&file.metadata()?) {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        )),
    }
}

/// See [`crate::patch_file`].
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

/// See [`crate::is_own`].
pub(crate) fn is_own(_path: &Path) -> bool {
    true
}

/// See [`crate::owner_of`].
pub(crate) fn owner_of(_path: &Path) -> Option<u32> {
    None
}

/// The bytes that a file takes on the disk: as many as it has, as we make no holes.
pub(crate) fn on_disk(file: &std::fs::Metadata) -> u64 {
    file.len()
}

/// Opens a regular file for reading: maps it.
pub(crate) fn open_file(path: &Path, _user: Option<u32>) -> io::Result<FileBytes> {
    let file = open_shared(path)?;
    let size = file.metadata()?.len() as usize;
    if size == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    Ok(Arc::new(Mapping::new(&file, size)?))
}

/// See [`crate::open_file_below`]. Links are not followed as below the folder here, so only plain paths are taken.
pub(crate) fn open_file_below(folder: &Path, path: &Path) -> io::Result<FileBytes> {
    let is_plain = |part: Component| matches!(part, Component::Normal(_));
    match path.components().all(is_plain) {
        true => open_file(&folder.join(path), None),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// See [`crate::made_content`].
pub(crate) fn made_content(_len: u64, _make: MakeContent) -> io::Result<FileBytes> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What was written to a file of ours.
pub(crate) fn content_of(file: File, len: u64) -> io::Result<FileBytes> {
    match len as usize {
        0 => Ok(Arc::new(Vec::new())),
        size => Ok(Arc::new(Mapping::new(&file, size)?)),
    }
}

/// The folder for temporary files.
pub(crate) fn scratch_folder() -> std::path::PathBuf {
    std::env::temp_dir()
}

/// Makes a file that vanishes when it is closed, and that nobody else can open. Also returns its folder.
pub(crate) fn unnamed_file() -> io::Result<(File, std::path::PathBuf)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = scratch_folder();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("firstchance-{}-{number}.tmp", std::process::id());
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .share_mode(0)
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
        .attributes(FILE_ATTRIBUTE_TEMPORARY)
        .open(folder.join(name))?;
    Ok((file, folder))
}

/// Opens a file on a disk for reading, while others may write, rename and delete it.
///
/// # Errors
/// If it cannot be opened, or is a pipe or a device.
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

/// A file that is mapped for reading. Windows lets nobody cut it meanwhile.
struct Mapping {
    at: MEMORY_MAPPED_VIEW_ADDRESS,
    size: usize,
}

impl Mapping {
    fn new(file: &File, size: usize) -> io::Result<Self> {
        use std::os::windows::io::AsRawHandle;
        let none = std::ptr::null();
        // SAFETY: an open file. The view keeps the mapping alive when the handle of that is closed.
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
        // SAFETY: the view has that length and stays until `drop`; a mapped file cannot be cut.
        // What this cannot rule out is that others write to the file meanwhile: bytes are then
        // parsed as they come, and never trusted.
        unsafe { std::slice::from_raw_parts(self.at.Value.cast(), self.size) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own view, unmapped once; nobody has a reference into it.
        unsafe { UnmapViewOfFile(self.at) };
    }
}

impl FileContent for Mapping {}

// SAFETY: the view belongs to the process, not to a thread, and nobody writes through this value.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}
