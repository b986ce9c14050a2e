//! The file that a dump is written to.
//!
//! It is made under a temporary name (`.NAME.partial`), exclusively, and with an access list that lets
//! only SYSTEM, administrators and its owner read it. It takes its own name by a rename of the open
//! file (`FileRenameInfo`, see
//! <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-setfileinformationbyhandle>), so
//! that nobody can put another file in its place meanwhile.

use super::{
    file_names::refuse_odd_name,
    files::{has_permissions, is_plain, open_file, space_at},
    security,
    sys::{check, own, wide},
};
use crate::{FileBytes, FileIdentity};
use std::{
    fs::File,
    io,
    os::windows::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use windows_sys::Win32::{
    Foundation::{ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED, GENERIC_READ, GENERIC_WRITE},
    Storage::FileSystem::{
        CREATE_NEW, CreateFileW, DELETE, FILE_ALLOCATION_INFO, FILE_ATTRIBUTE_NORMAL,
        FILE_DISPOSITION_INFO, FILE_FLAG_OPEN_REPARSE_POINT, FILE_RENAME_INFO, FILE_SHARE_DELETE,
        FILE_SHARE_READ, FileAllocationInfo, FileDispositionInfo, FileRenameInfo, READ_CONTROL,
        SetFileInformationByHandle,
    },
};

/// A file that is being written, and the folder that it is in.
#[derive(Debug)]
pub(crate) struct RawOutput {
    folder: PathBuf,
    partial: PathBuf,
    file: File,
}

/// Makes the file that is to be called `name` in `folder`, under the temporary name `partial`. Only SYSTEM, administrators and its owner can read it.
///
/// # Errors
/// `AlreadyExists` if `name` exists and may not be overwritten, or `partial` does; where `name` may be, only if somebody
/// writes to `partial`, or it is no regular file.
pub(crate) fn create_output(
    folder: &Path,
    name: &str,
    partial: String,
    overwrite: bool,
) -> io::Result<RawOutput> {
    refuse_odd_name(name)?;
    let folder = std::path::absolute(folder)?;
    match folder.join(name).symlink_metadata() {
        Ok(found) if is_plain(&found) && overwrite => {}
        Ok(_) if overwrite => return Err(io::Error::other("it exists and is no regular file")),
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let partial = folder.join(partial);
    if overwrite {
        // Failures are ignored: the name is taken then.
        let _ = remove_part(&partial);
    }
    let file = create_private(&partial)?;
    Ok(RawOutput {
        folder,
        partial,
        file,
    })
}

/// Removes a file that nobody writes any more, if `left_over` says so of its content. Returns
/// whether it was removed. A writer keeps the file open, so that we cannot open it exclusively.
pub(crate) fn remove_left_over(
    path: &Path,
    left_over: &dyn Fn(FileBytes) -> bool,
) -> io::Result<bool> {
    let found = path.symlink_metadata()?;
    let alone = || {
        File::options()
            .read(true)
            .write(true)
            .share_mode(0)
            .open(path)
    };
    if !is_plain(&found) || alone().is_err() {
        return Ok(false);
    }
    let content: FileBytes = match found.len() {
        0 => Arc::new(Vec::<u8>::new()),
        _ => open_file(path, None)?,
    };
    if !left_over(content) {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}

/// Whether a writer holds a file, or that cannot be told.
pub(crate) fn is_held(path: &Path) -> bool {
    open_unwritten(path).is_err()
}

/// Removes a file, unless a writer holds it. Returns whether it was removed.
pub(crate) fn remove_part(path: &Path) -> io::Result<bool> {
    if !is_plain(&path.symlink_metadata()?) {
        return Ok(false);
    }
    let Ok(file) = open_unwritten(path) else {
        return Ok(false);
    };
    delete(&file).map(|()| true)
}

/// Opens a file that nobody writes: whoever does has it open for that, which we do not allow.
fn open_unwritten(path: &Path) -> io::Result<File> {
    File::options()
        .access_mode(DELETE)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_DELETE)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Deletes an open file.
fn delete(file: &File) -> io::Result<()> {
    let gone = FILE_DISPOSITION_INFO { DeleteFile: true };
    set(file, FileDispositionInfo, &gone)
}

impl RawOutput {
    /// See [`OutFile::is_private`](crate::OutFile::is_private).
    pub(crate) fn is_private(&self) -> bool {
        has_permissions(&self.folder).unwrap_or(false)
    }

    /// Fails: users that are numbers exist on Linux only.
    pub(crate) fn allow_reader(&self, _uid: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// See [`OutFile::reserve`](crate::OutFile::reserve).
    pub(crate) fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.expect_room(bytes)?;
        let wanted = FILE_ALLOCATION_INFO {
            AllocationSize: (offset + bytes) as i64,
        };
        match set(&self.file, FileAllocationInfo, &wanted) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
            // Some file systems cannot do it; the free space was checked above.
            _ => Ok(()),
        }
    }

    /// Blocks of ReFS are not shared yet.
    pub(crate) fn may_share(&self) -> bool {
        false
    }

    /// See [`Self::may_share`].
    pub(crate) fn share(&self, _: u64, _: &File, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nothing is asked of a file that shares nothing.
    pub(crate) fn identity(&self) -> io::Result<FileIdentity> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads up to as many bytes as `buffer` has.
    pub(crate) fn read_some(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.seek_read(buffer, offset)
    }

    /// Fails if the file system has less than `bytes` free.
    pub(crate) fn expect_room(&self, bytes: u64) -> io::Result<()> {
        match space_at(&self.folder)?.free < bytes {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    /// See [`OutFile::write_parts`](crate::OutFile::write_parts).
    pub(crate) fn write_parts(
        &self,
        offset: u64,
        bytes: &[u8],
        parts: &[std::ops::Range<usize>],
    ) -> io::Result<()> {
        let mut parts = parts.iter();
        parts.try_for_each(|part| self.write_at(offset + part.start as u64, &bytes[part.clone()]))
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.seek_write(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// See [`OutFile::give_back`](crate::OutFile::give_back). The file is not a sparse one: it has no holes.
    pub(crate) fn give_back(&self, _offset: u64, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Renames the file to `name`.
    ///
    /// # Errors
    /// `AlreadyExists` if `name` exists and may not be replaced.
    pub(crate) fn publish(&self, name: &str, replace: bool) -> io::Result<()> {
        refuse_odd_name(name)?;
        let to = self.folder.join(name);
        let to = to.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let info = RenameInfo::new(to, replace);
        let size = info.words.len() * 8;
        set_bytes(&self.file, FileRenameInfo, info.words.as_ptr().cast(), size)
    }

    /// Whether the file still has its temporary name.
    pub(crate) fn is_there(&self) -> bool {
        self.partial.symlink_metadata().is_ok()
    }

    /// Removes the partial file. Failures are ignored.
    pub(crate) fn remove(&self) {
        let _ = delete(&self.file);
    }
}

/// A `FILE_RENAME_INFO` with its name behind it, in words, so that it is aligned as the structure
/// is.
struct RenameInfo {
    words: Vec<u64>,
}

impl RenameInfo {
    fn new(to: &str, replace: bool) -> Self {
        let name = wide(to);
        let at = std::mem::offset_of!(FILE_RENAME_INFO, FileName);
        let size = (at + name.len() * 2).max(size_of::<FILE_RENAME_INFO>());
        let mut bytes = vec![0u8; size.next_multiple_of(8)];
        bytes[0] = replace.into();
        let length = std::mem::offset_of!(FILE_RENAME_INFO, FileNameLength);
        let name_bytes = (name.len() as u32 - 1) * 2;
        bytes[length..length + 4].copy_from_slice(&name_bytes.to_le_bytes());
        let units = name.iter().flat_map(|unit| unit.to_le_bytes());
        bytes[at..].iter_mut().zip(units).for_each(|(b, u)| *b = u);
        let words = bytes.as_chunks().0.iter().copied();
        Self {
            words: words.map(u64::from_le_bytes).collect(),
        }
    }
}

/// Sets information of a file, of the class whose structure is `T`.
fn set<T>(file: &File, class: i32, value: &T) -> io::Result<()> {
    set_bytes(file, class, (&raw const *value).cast(), size_of::<T>())
}

fn set_bytes(file: &File, class: i32, value: *const u8, size: usize) -> io::Result<()> {
    use std::os::windows::io::AsRawHandle;
    let handle = file.as_raw_handle();
    // SAFETY: an open file. The callers pass the structure of that class, with its size.
    check(unsafe { SetFileInformationByHandle(handle, class, value.cast(), size as u32) })
}

/// Makes a file with a protected access list, or without one if the file system has none.
fn create_private(path: &Path) -> io::Result<File> {
    let descriptor = security::private_descriptor();
    let attributes = descriptor.as_ref().map(security::Descriptor::attributes);
    let attributes = attributes
        .as_ref()
        .map_or(std::ptr::null(), |attributes| &raw const *attributes);
    let name = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    match create(name, attributes) {
        Err(error) if refuses_descriptor(&error) => create(name, std::ptr::null()),
        result => result,
    }
}

/// Returns whether the file system has no access lists.
fn refuses_descriptor(error: &io::Error) -> bool {
    let code = error.raw_os_error().unwrap_or(0) as u32;
    code == ERROR_NOT_SUPPORTED || code == ERROR_INVALID_PARAMETER
}

/// Makes a file that did not exist before.
fn create(
    name: &str,
    attributes: *const windows_sys::Win32::Security::SECURITY_ATTRIBUTES,
) -> io::Result<File> {
    let name = wide(name);
    let access = GENERIC_READ | GENERIC_WRITE | DELETE | READ_CONTROL;
    // SAFETY: the name ends with a NUL, the attributes are null or live during the call, and the
    // handle is new and ours.
    let handle = unsafe {
        own(CreateFileW(
            name.as_ptr(),
            access,
            FILE_SHARE_READ | FILE_SHARE_DELETE,
            attributes,
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT,
            std::ptr::null_mut(),
        ))
    };
    Ok(handle?.into())
}
