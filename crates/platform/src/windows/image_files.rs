//! The files of a process's modules, for build-ids and symbols.

use super::{files, memory::LiveMemory, process::Process, sys::wide};
use crate::{FileBytes, FileIdentity};
use snapshot::{Memory, Module, ProcessKey};
use std::{path::PathBuf, sync::Arc};
use windows_sys::Win32::{
    Storage::FileSystem::GetDriveTypeW,
    System::{
        Threading::{PROCESS_QUERY_INFORMATION, PROCESS_VM_READ},
        WindowsProgramming::{DRIVE_FIXED, DRIVE_RAMDISK, DRIVE_REMOVABLE},
    },
};

/// Opens the files of modules that are what the process has loaded.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    process: Arc<Process>,
}

impl ImageFiles {
    /// Opens the process; `None` if it has ended or we may not read it.
    pub(crate) fn of(key: ProcessKey) -> Option<Self> {
        let process = Process::open(key, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ).ok()?;
        Some(Self {
            process: Arc::new(process),
        })
    }

    /// Returns nothing: see [`crate::ImageFiles::identity`].
    pub(crate) fn identity(&self, _module: &Module) -> Option<FileIdentity> {
        None
    }

    /// Returns the path of a module, if it is on a drive of this machine.
    pub(crate) fn path(&self, module: &Module) -> Option<PathBuf> {
        is_local(&module.path).then(|| PathBuf::from(&module.path))
    }

    /// Maps the file of a module, if it has the same link time, size and checksum as in memory.
    /// Only files on a drive of this machine are opened: the path is what the target says, and a
    /// network share of its choice would learn who we are, and might never answer.
    pub(crate) fn open(&self, module: &Module) -> Option<FileBytes> {
        if !is_local(&module.path) {
            return None;
        }
        let bytes = files::open_file(module.path.as_ref(), None).ok()?;
        let memory = LiveMemory::new(self.process.clone());
        let file = stamp((*bytes).as_ref())?;
        let mut head = [0; 4096];
        let got = memory.read(module.range.start, &mut head);
        (stamp(&head[..got])? == file).then_some(bytes)
    }
}

/// Returns whether a path is `X:\…` on a disk of this machine.
pub(crate) fn is_local(path: &str) -> bool {
    let [drive, b':', b'\\', ..] = path.as_bytes() else {
        return false;
    };
    let root = wide(&format!("{}:\\", char::from(*drive)));
    // SAFETY: the text ends with a NUL.
    let kind = unsafe { GetDriveTypeW(root.as_ptr()) };
    drive.is_ascii_alphabetic() && [DRIVE_FIXED, DRIVE_RAMDISK, DRIVE_REMOVABLE].contains(&kind)
}

/// Returns link time, size and checksum of an image (PE format: `e_lfanew` at 0x3c; from the
/// signature on, `TimeDateStamp` at 8, `SizeOfImage` at 0x50, `CheckSum` at 0x58).
fn stamp(image: &[u8]) -> Option<[u32; 3]> {
    let word = |at: usize| {
        let bytes = image.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let header = word(0x3c)? as usize;
    Some([
        word(header + 8)?,
        word(header + 0x50)?,
        word(header + 0x58)?,
    ])
}
