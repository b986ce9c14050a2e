//! Files, made so that nobody else can get at them and nothing is followed.

use super::{
    security,
    sys::{check, own, raw, wide},
};
use crate::{FileBytes, Space};
use std::{
    fs::File,
    io,
    os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use windows_sys::Win32::{
    Foundation::{ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED, GENERIC_READ, GENERIC_WRITE},
    Storage::FileSystem::{
        CREATE_NEW, CreateFileW, DELETE, FILE_ALLOCATION_INFO, FILE_ATTRIBUTE_NORMAL,
        FILE_ATTRIBUTE_REPARSE_POINT, FILE_DISPOSITION_INFO, FILE_FLAG_OPEN_REPARSE_POINT,
        FILE_RENAME_INFO, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TYPE_DISK,
        FileAllocationInfo, FileDispositionInfo, FileRenameInfo, GetDiskFreeSpaceExW, GetFileType,
        GetVolumeInformationW, GetVolumePathNameW, READ_CONTROL, SetFileInformationByHandle,
    },
    System::Memory::{
        CreateFileMappingW, FILE_MAP_READ, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
        PAGE_READONLY, UnmapViewOfFile,
    },
};

/// A file being written, and the folder it lies in.
#[derive(Debug)]
pub(crate) struct RawOutput {
    folder: PathBuf,
    file: File,
}

/// Makes `name.partial` in `folder`, exclusively, for SYSTEM, administrators and its owner alone.
/// `AlreadyExists` where `name` or its partial is taken.
pub(crate) fn create_output(folder: &Path, name: &str, overwrite: bool) -> io::Result<RawOutput> {
    refuse_odd_name(name)?;
    let folder = std::path::absolute(folder)?;
    match folder.join(name).symlink_metadata() {
        Ok(found) if is_plain(&found) && overwrite => {}
        Ok(_) if overwrite => return Err(io::Error::other("it exists and is no regular file")),
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let partial = folder.join(format!("{name}.partial"));
    if overwrite {
        remove_stale(&partial);
    }
    let file = create_private(&partial)?;
    Ok(RawOutput { folder, file })
}

/// Removes a file that nobody writes any more, if its content is `left_over`. Who writes one holds
/// it open, so that it cannot be had alone.
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
        _ => map_file(path)?,
    };
    if !left_over(content) {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}

impl RawOutput {
    pub(crate) fn is_private(&self) -> bool {
        has_permissions(&self.folder).unwrap_or(false)
    }

    /// Users of numbers are those of Linux.
    pub(crate) fn allow_reader(&self, _uid: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn reserve(&self, bytes: u64) -> io::Result<()> {
        if space_at(&self.folder)?.free < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let wanted = FILE_ALLOCATION_INFO {
            AllocationSize: bytes as i64,
        };
        match set(&self.file, FileAllocationInfo, &wanted) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
            // File systems that cannot: the room was looked at, above.
            _ => Ok(()),
        }
    }

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

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Renames to `name`; `AlreadyExists` where that is taken and may not be replaced.
    pub(crate) fn publish(&self, name: &str, replace: bool) -> io::Result<()> {
        refuse_odd_name(name)?;
        let to = self.folder.join(name);
        let to = to.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let info = RenameInfo::new(to, replace);
        let size = info.words.len() * 8;
        set_bytes(&self.file, FileRenameInfo, info.words.as_ptr().cast(), size)
    }

    pub(crate) fn remove(&self) {
        let _ = set(
            &self.file,
            FileDispositionInfo,
            &FILE_DISPOSITION_INFO { DeleteFile: true },
        );
    }
}

/// `FILE_RENAME_INFO` with its name behind it, aligned as the structure is.
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

fn set<T>(file: &File, class: i32, value: &T) -> io::Result<()> {
    set_bytes(file, class, (&raw const *value).cast(), size_of::<T>())
}

fn set_bytes(file: &File, class: i32, value: *const u8, size: usize) -> io::Result<()> {
    use std::os::windows::io::AsRawHandle;
    let handle = file.as_raw_handle();
    // SAFETY: an open file, and the structure of that class with its size.
    check(unsafe { SetFileInformationByHandle(handle, class, value.cast(), size as u32) })
}

/// Names that Windows takes for a device, a stream, another folder, or another name.
fn refuse_odd_name(name: &str) -> io::Result<()> {
    let stem = name.split('.').next().unwrap_or("").trim_end();
    let stem = stem.to_ascii_uppercase();
    let numbered = ["COM", "LPT"].iter().any(|start| {
        let rest = stem.strip_prefix(start).unwrap_or("");
        rest.chars().count() == 1 && rest.starts_with(|c| "0123456789¹²³".contains(c))
    });
    let device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&&stem[..]);
    let odd = name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']);
    if device || numbered || odd || name.is_empty() || name.ends_with(['.', ' ']) {
        let what = format!("\"{name}\" is no name for a file on Windows");
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, what));
    }
    Ok(())
}

fn is_plain(found: &std::fs::Metadata) -> bool {
    found.is_file() && found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0
}

/// What a run that was killed left behind; only a regular file goes.
fn remove_stale(partial: &Path) {
    if partial
        .symlink_metadata()
        .is_ok_and(|found| is_plain(&found))
    {
        let _ = std::fs::remove_file(partial);
    }
}

/// A new file with a protected list of who may; without one where the file system has none.
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

fn refuses_descriptor(error: &io::Error) -> bool {
    let code = error.raw_os_error().unwrap_or(0) as u32;
    code == ERROR_NOT_SUPPORTED || code == ERROR_INVALID_PARAMETER
}

fn create(
    name: &str,
    attributes: *const windows_sys::Win32::Security::SECURITY_ATTRIBUTES,
) -> io::Result<File> {
    let name = wide(name);
    let access = GENERIC_READ | GENERIC_WRITE | DELETE | READ_CONTROL;
    // SAFETY: a NUL-ended name; the attributes, where there are any, live for the call.
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

#[cfg(test)]
mod tests {
    use super::refuse_odd_name;

    #[test]
    fn devices_streams_and_other_names_are_refused() {
        for name in [
            "nul", "CON.dmp", "com1.dmp", "a:b", "a.", "a ", "..\\x", "", "LPT9",
        ] {
            assert!(refuse_odd_name(name).is_err(), "{name:?}");
        }
        for name in [
            "x.dmp",
            "console.dmp",
            "com.dmp",
            "w3wp.exe_1.dmp",
            "компания.dmp",
        ] {
            assert!(refuse_odd_name(name).is_ok(), "{name:?}");
        }
    }
}
