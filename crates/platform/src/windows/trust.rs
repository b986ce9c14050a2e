//! Files that decide what we do.

use super::{
    files::open_shared,
    security::sid_text,
    sys::{own, wide},
};
use crate::Trusted;
use std::{
    io::{self, Read},
    os::windows::io::AsRawHandle,
    path::Path,
};
use windows_sys::Win32::{
    Foundation::{GENERIC_ALL, GENERIC_WRITE, HANDLE, LocalFree},
    Security::{
        ACCESS_ALLOWED_ACE, ACL,
        Authorization::{GetSecurityInfo, SE_FILE_OBJECT},
        DACL_SECURITY_INFORMATION, GetAce, INHERIT_ONLY_ACE, OWNER_SECURITY_INFORMATION,
    },
    Storage::FileSystem::{
        CreateFileW, DELETE, FILE_APPEND_DATA, FILE_FLAG_BACKUP_SEMANTICS, FILE_SHARE_DELETE,
        FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA, OPEN_EXISTING, READ_CONTROL, WRITE_DAC,
        WRITE_OWNER,
    },
};

/// SYSTEM, the administrators' group, and Windows' own installer.
const ADMINISTRATORS: [&str; 3] = [
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];
/// Everyone, Anonymous, Authenticated Users, Users, Guests.
const EVERYBODY: [&str; 5] = [
    "S-1-1-0",
    "S-1-5-7",
    "S-1-5-11",
    "S-1-5-32-545",
    "S-1-5-32-546",
];
const CHANGES: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE
    | GENERIC_ALL;
/// `ACCESS_ALLOWED_ACE_TYPE` (winnt.h).
const ALLOWED: u8 = 0;

/// Who owns a file, and who may change it.
struct Protection {
    owner: String,
    writers: Vec<String>,
}

/// Such a file, and whether everybody may write to it.
pub(crate) fn read_trusted(path: &Path) -> io::Result<(Trusted, bool)> {
    let file = open_shared(path)?;
    let of_file = protection(file.as_raw_handle())?;
    let of_folder = protection_of_folder(path);
    let mut bytes = Vec::new();
    file.take(crate::trust::LARGEST).read_to_end(&mut bytes)?;
    let administrator = of_file.is_private() && of_folder.is_ok_and(|folder| folder.is_private());
    let trusted = Trusted {
        bytes,
        administrator,
    };
    Ok((trusted, of_file.is_open()))
}

impl Protection {
    /// Only administrators can have written it.
    fn is_private(&self) -> bool {
        let of_administrator = |sid: &String| ADMINISTRATORS.contains(&&sid[..]);
        of_administrator(&self.owner) && self.writers.iter().all(of_administrator)
    }

    fn is_open(&self) -> bool {
        self.writers.iter().any(|sid| EVERYBODY.contains(&&sid[..]))
    }
}

fn protection_of_folder(path: &Path) -> io::Result<Protection> {
    let path = std::path::absolute(path)?;
    let folder = path.parent().and_then(Path::to_str);
    let name = wide(folder.ok_or(io::ErrorKind::InvalidFilename)?);
    // SAFETY: a NUL-ended name; the handle is ours.
    let folder = unsafe {
        own(CreateFileW(
            name.as_ptr(),
            READ_CONTROL,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            std::ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_BACKUP_SEMANTICS,
            std::ptr::null_mut(),
        ))?
    };
    protection(folder.as_raw_handle())
}

fn protection(file: HANDLE) -> io::Result<Protection> {
    let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let (mut owner, mut list) = (std::ptr::null_mut(), std::ptr::null_mut());
    let mut descriptor = std::ptr::null_mut();
    let nowhere = std::ptr::null_mut();
    // SAFETY: an open file and places for the answers, which point into the descriptor, which is
    // ours to free.
    unsafe {
        let status = GetSecurityInfo(
            file,
            SE_FILE_OBJECT,
            wanted,
            &raw mut owner,
            nowhere,
            &raw mut list,
            std::ptr::null_mut(),
            &raw mut descriptor,
        );
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status as i32));
        }
        let protection = Protection {
            owner: sid_text(owner).unwrap_or_default(),
            writers: writers(list),
        };
        LocalFree(descriptor);
        Ok(protection)
    }
}

/// Whom the list lets change the file; everybody where there is no list.
///
/// # Safety
/// `list` must be null or a valid ACL.
unsafe fn writers(list: *const ACL) -> Vec<String> {
    let mut writers = Vec::new();
    // SAFETY: the caller vouches for the list, whose entries begin with the header that tells
    // their type; those that allow have the SID where this structure has it.
    unsafe {
        let Some(acl) = list.as_ref() else {
            return vec![EVERYBODY[0].to_owned()];
        };
        for n in 0..acl.AceCount {
            let mut at = std::ptr::null_mut();
            if GetAce(list, n.into(), &raw mut at) == 0 {
                continue;
            }
            let entry = &raw const *at.cast::<ACCESS_ALLOWED_ACE>();
            let header = (*entry).Header;
            let counts = u32::from(header.AceFlags) & INHERIT_ONLY_ACE == 0;
            if header.AceType == ALLOWED && counts && (*entry).Mask & CHANGES != 0 {
                let sid = (&raw const (*entry).SidStart).cast_mut().cast();
                writers.extend(sid_text(sid));
            }
        }
    }
    writers
}
