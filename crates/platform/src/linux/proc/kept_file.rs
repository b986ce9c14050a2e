//! A file of a process that can be read when the process is gone.

use super::from_start::FromStart;
use rustix::fs::{MemfdFlags, memfd_create};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::AsRawFd,
};

/// Up to how many bytes a text is kept in our own memory: a descriptor for each would be many for many processes.
const SHORT: usize = 64 << 10;

/// Such a file.
pub(crate) enum KeptFile {
    /// Opened while the process lived, or a copy of its text.
    File(File),
    Text(Vec<u8>),
}

impl KeptFile {
    /// Keeps a text.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(super) fn of_text(text: &[u8]) -> io::Result<Self> {
        match text.len() <= SHORT {
            true => Ok(Self::Text(text.to_vec())),
            false => copy(text).map(Self::File),
        }
    }

    /// Returns whether it may be longer than what is kept in our own memory.
    pub(super) fn is_long(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Returns its first `most` bytes.
    pub(super) fn read(&self, most: u64) -> io::Result<Vec<u8>> {
        let file = match self {
            Self::File(file) => file,
            Self::Text(text) => return Ok(text[..text.len().min(most as usize)].to_vec()),
        };
        // A copy tells its length, and the files of `/proc` tell 0.
        let length = file.metadata()?.len().min(most);
        let mut bytes = Vec::with_capacity(length as usize + 1);
        FromStart::of(file).take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens it, to be read from its start.
    pub(super) fn open(&self) -> io::Result<File> {
        match self {
            Self::File(file) => own_description(file),
            Self::Text(text) => copy(text).and_then(|mut copy| {
                copy.seek(SeekFrom::Start(0))?;
                Ok(copy)
            }),
        }
    }
}

/// Makes a file without a name.
fn copy(text: &[u8]) -> io::Result<File> {
    let mut copy: File = memfd_create("kept", MemfdFlags::CLOEXEC)?.into();
    copy.write_all(text)?;
    Ok(copy)
}

/// Opens a file once more, so that who reads it minds no other reader. A file of a process that is gone cannot be opened:
/// of those, one thread reads.
fn own_description(file: &File) -> io::Result<File> {
    let again = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
    again.or_else(|_| {
        let mut same = file.try_clone()?;
        same.seek(SeekFrom::Start(0))?;
        Ok(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_opened_as_they_were_however_long_they_are() {
        for len in [0, 10, SHORT, SHORT + 1] {
            let text = vec![b'x'; len];
            let kept = KeptFile::of_text(&text).expect("room");
            assert_eq!(kept.read(u64::MAX).expect("a text"), text);
            assert_eq!(kept.read(3).expect("a text").len(), len.min(3));
            let mut opened = Vec::new();
            let mut file = kept.open().expect("a file");
            file.read_to_end(&mut opened).expect("a text");
            assert_eq!(opened, text);
        }
    }
}
