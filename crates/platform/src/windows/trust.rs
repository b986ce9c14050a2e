//! Who may change a file or folder, by its access list, and reading of files that decide what we
//! do.

use super::{
    files::open_shared,
    security::sid_text,
    sys::{own, raw, wide},
};
use crate::Trusted;
use std::{
    io::{self, Read},
    os::windows::io::{AsRawHandle, OwnedHandle},
    path::Path,
};
use windows_sys::Win32::{
    Foundation::{GENERIC_ALL, GENERIC_WRITE, HANDLE, LocalFree},
    Security::{
        ACCESS_ALLOWED_ACE, ACL,
        Authorization::{GetSecurityInfo, SE_FILE_OBJECT},
        DACL_SECURITY_INFORMATION, GetAce, INHERIT_ONLY_ACE, OBJECT_INHERIT_ACE,
        OWNER_SECURITY_INFORMATION,
    },
    Storage::FileSystem::{
        CreateFileW, DELETE, FILE_APPEND_DATA, FILE_FLAG_BACKUP_SEMANTICS,
        FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
        FILE_WRITE_DATA, OPEN_EXISTING, READ_CONTROL, WRITE_DAC, WRITE_OWNER,
    },
};

/// The SIDs of SYSTEM, the administrators' group, and Windows' own installer.
const ADMINISTRATORS: [&str; 3] = [
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];
/// The SIDs of groups that include strangers: Everyone, Anonymous, Authenticated Users, Users,
/// Guests.
const EVERYBODY: [&str; 5] = [
    "S-1-1-0",
    "S-1-5-7",
    "S-1-5-11",
    "S-1-5-32-545",
    "S-1-5-32-546",
];
/// The rights by which a file, or the content of a folder, can be changed.
pub(crate) const CHANGES: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE
    | GENERIC_ALL;
/// The type of an entry that allows something (`ACCESS_ALLOWED_ACE_TYPE` of winnt.h).
const ALLOWED: u8 = 0;

/// The owner of a file or folder, and who is allowed what by its access list.
pub(crate) struct Protection {
    /// The SID of the owner.
    pub(crate) owner: String,
    allowed: Vec<Allowed>,
}

/// The rights of one account.
struct Allowed {
    sid: String,
    rights: u32,
    /// Whether they apply to the file or folder itself.
    here: bool,
    /// Whether they apply to files that are made in the folder.
    files: bool,
}

/// Reads a file that decides what we do. Returns it with whether everybody may write to it.
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
    /// Returns the SIDs that have any of these rights.
    pub(crate) fn who_may(&self, rights: u32) -> impl Iterator<Item = &str> {
        let here = self.allowed.iter().filter(|allowed| allowed.here);
        let may = here.filter(move |allowed| allowed.rights & rights != 0);
        may.map(|allowed| allowed.sid.as_str())
    }

    /// Returns the SIDs that have any of these rights to files that are made in the folder without
    /// a list of their own.
    pub(crate) fn who_may_with_files(&self, rights: u32) -> impl Iterator<Item = &str> {
        let files = self.allowed.iter().filter(|allowed| allowed.files);
        let may = files.filter(move |allowed| allowed.rights & rights != 0);
        may.map(|allowed| allowed.sid.as_str())
    }

    /// Returns whether only administrators can have written it.
    fn is_private(&self) -> bool {
        is_administrator(&self.owner) && self.who_may(CHANGES).all(is_administrator)
    }

    fn is_open(&self) -> bool {
        self.who_may(CHANGES).any(is_everybody)
    }
}

/// Returns whether the SID is the system's or the administrators'.
pub(crate) fn is_administrator(sid: &str) -> bool {
    ADMINISTRATORS.contains(&sid)
}

/// Returns whether the SID is that of a group that includes strangers.
pub(crate) fn is_everybody(sid: &str) -> bool {
    EVERYBODY.contains(&sid)
}

fn protection_of_folder(path: &Path) -> io::Result<Protection> {
    let path = std::path::absolute(path)?;
    let folder = path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
    protection(raw(&open_itself(folder, READ_CONTROL)?))
}

/// Opens a file or folder itself: of a link, the link.
pub(crate) fn open_itself(path: &Path, access: u32) -> io::Result<OwnedHandle> {
    let name = wide(path.to_str().ok_or(io::ErrorKind::InvalidFilename)?);
    // SAFETY: the name ends with a NUL, and the handle is new and ours.
    unsafe {
        own(CreateFileW(
            name.as_ptr(),
            access,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            std::ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT,
            std::ptr::null_mut(),
        ))
    }
}

/// Reads who may do what to an open file or folder.
pub(crate) fn protection(file: HANDLE) -> io::Result<Protection> {
    let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let (mut owner, mut list) = (std::ptr::null_mut(), std::ptr::null_mut());
    let mut descriptor = std::ptr::null_mut();
    let nowhere = std::ptr::null_mut();
    // SAFETY: an open file, and live locals for the answers. They point into the descriptor, which
    // is ours to free after their last use.
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
            allowed: allowed(list),
        };
        LocalFree(descriptor);
        Ok(protection)
    }
}

/// Returns who is allowed what by a list. Without a list everybody is allowed everything.
///
/// # Safety
/// `list` must be null or a valid ACL.
unsafe fn allowed(list: *const ACL) -> Vec<Allowed> {
    let mut allowed = Vec::new();
    // SAFETY: the caller vouches for the list. Its entries begin with the header that tells their
    // type, and those that allow something have their SID where this structure has it.
    unsafe {
        let Some(acl) = list.as_ref() else {
            return vec![Allowed {
                sid: EVERYBODY[0].to_owned(),
                rights: u32::MAX,
                here: true,
                files: true,
            }];
        };
        for n in 0..acl.AceCount {
            let mut at = std::ptr::null_mut();
            if GetAce(list, n.into(), &raw mut at) == 0 {
                continue;
            }
            let entry = &raw const *at.cast::<ACCESS_ALLOWED_ACE>();
            let header = (*entry).Header;
            let flags = u32::from(header.AceFlags);
            if header.AceType == ALLOWED {
                let sid = (&raw const (*entry).SidStart).cast_mut().cast();
                allowed.extend(sid_text(sid).map(|sid| Allowed {
                    sid,
                    rights: (*entry).Mask,
                    here: flags & INHERIT_ONLY_ACE == 0,
                    files: flags & OBJECT_INHERIT_ACE != 0,
                }));
            }
        }
    }
    allowed
}
