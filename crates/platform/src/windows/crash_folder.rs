//! Folders for LocalDumps: making them, and telling who may do what in them. Windows writes a dump
//! as the account of the program that crashed
//! (<https://learn.microsoft.com/windows/win32/wer/collecting-user-mode-dumps>).

use super::{
    guard, security,
    sys::{check, raw, wide},
    trust::{is_administrator, is_everybody, open_itself, protection},
};
use crate::{CrashFolder, Error, ErrorKind, Result};
use std::{
    io,
    os::windows::io::{AsRawHandle, OwnedHandle},
    path::Path,
};
use windows_sys::Win32::{
    Foundation::{ERROR_ALREADY_EXISTS, GENERIC_ALL, GENERIC_READ, GENERIC_WRITE, LocalFree},
    Security::{
        ACL,
        Authorization::{
            EXPLICIT_ACCESS_W, GRANT_ACCESS, GetSecurityInfo, NO_MULTIPLE_TRUSTEE, SE_FILE_OBJECT,
            SetEntriesInAclW, SetSecurityInfo, TRUSTEE_IS_NAME, TRUSTEE_IS_UNKNOWN, TRUSTEE_W,
        },
        CONTAINER_INHERIT_ACE, DACL_SECURITY_INFORMATION, OBJECT_INHERIT_ACE,
    },
    Storage::FileSystem::{
        CreateDirectoryW, DELETE, FILE_ADD_FILE, FILE_DELETE_CHILD, FILE_READ_ATTRIBUTES,
        FILE_READ_DATA, READ_CONTROL, WRITE_DAC,
    },
};

/// The rights that Explorer calls Modify: all but changing rights and owner.
const MODIFY: u32 = 0x0013_01bf;
/// The rights to list names and to add files: list, add file, read attributes and rights, traverse,
/// synchronize.
const ADD: u32 = 0x0012_00ab;

/// See [`crate::make_crash_folder`].
pub(crate) fn make(folder: &Path, accounts: &[String]) -> Result<()> {
    let sids = accounts.iter().map(|name| sid_of(name));
    let sids = sids.collect::<Result<Vec<String>>>()?;
    let failed = |e: io::Error| Error::of_file(&format!("making {}", folder.display()), &e);
    let folder = std::path::absolute(folder).map_err(failed)?;
    let missing = guard::missing(&folder);
    for part in &missing {
        let list = if *part == folder {
            granting(&sids)
        } else {
            PRIVATE.to_owned()
        };
        make_one(part, &list).map_err(failed)?;
    }
    if missing.is_empty() {
        accounts
            .iter()
            .try_for_each(|name| grant(&folder, name))
            .map_err(failed)?;
    }
    Ok(())
}

/// The access list (SDDL) that gives all rights to SYSTEM and administrators, also for what will be
/// in the folder, and inherits nothing from above.
const PRIVATE: &str = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";

/// Returns the access list of a folder in which these accounts may modify everything, or in which
/// everybody may add files if there are none.
fn granting(sids: &[String]) -> String {
    let modify = |sid: &String| format!("(A;OICI;{MODIFY:#x};;;{sid})");
    match sids {
        // `CREATOR OWNER` (CO): whoever adds a file may do anything with it.
        [] => format!("{PRIVATE}(A;;{ADD:#x};;;AU)(A;OIIO;{MODIFY:#x};;;CO)"),
        sids => PRIVATE.to_owned() + &sids.iter().map(modify).collect::<String>(),
    }
}

/// Returns the SID of an account.
fn sid_of(name: &str) -> Result<String> {
    security::sid_of(name).map_err(|e| {
        let what = format!("there is no account \"{name}\" on this machine: {e}");
        Error::new(ErrorKind::Other, what)
    })
}

/// Makes one folder. It is no error if it exists.
fn make_one(folder: &Path, list: &str) -> io::Result<()> {
    let name = wide(folder.to_str().ok_or(io::ErrorKind::InvalidFilename)?);
    let descriptor = security::descriptor(list)?;
    let attributes = descriptor.attributes();
    // SAFETY: the name ends with a NUL, and the descriptor lives during the call.
    match check(unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) }) {
        Err(e) if e.raw_os_error() == Some(ERROR_ALREADY_EXISTS as i32) => Ok(()),
        made => made,
    }
}

/// Gives an account the right to modify what is in the folder, in addition to the rights that
/// others have. It works on the open folder, so that a link that takes its place meanwhile is not
/// followed.
fn grant(folder: &Path, account: &str) -> io::Result<()> {
    let folder = open_itself(folder, READ_CONTROL | WRITE_DAC | FILE_READ_ATTRIBUTES)?;
    if guard::is_link(&folder)? {
        return Err(io::Error::other("it is a link"));
    }
    let mut name = wide(account);
    let entry = EXPLICIT_ACCESS_W {
        grfAccessPermissions: MODIFY,
        grfAccessMode: GRANT_ACCESS,
        grfInheritance: OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE,
        Trustee: TRUSTEE_W {
            pMultipleTrustee: std::ptr::null_mut(),
            MultipleTrusteeOperation: NO_MULTIPLE_TRUSTEE,
            TrusteeForm: TRUSTEE_IS_NAME,
            TrusteeType: TRUSTEE_IS_UNKNOWN,
            ptstrName: name.as_mut_ptr(),
        },
    };
    add(&folder, &entry)
}

/// Adds an entry to the access list of a folder.
fn add(folder: &OwnedHandle, entry: &EXPLICIT_ACCESS_W) -> io::Result<()> {
    let (mut old, mut new) = (std::ptr::null_mut(), std::ptr::null_mut::<ACL>());
    let mut descriptor = std::ptr::null_mut();
    let (nobody, nowhere, none) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null());
    let (handle, kind, list) = (
        folder.as_raw_handle(),
        SE_FILE_OBJECT,
        DACL_SECURITY_INFORMATION,
    );
    let (at, all) = (&raw mut old, &raw mut descriptor);
    // SAFETY: an open folder, and live locals for the answers. The old list points into the
    // descriptor; descriptor and new list are ours to free, after their last use.
    unsafe {
        let got = GetSecurityInfo(
            handle,
            kind,
            list,
            nowhere,
            nowhere,
            at,
            nowhere.cast(),
            all,
        );
        status(got)?;
        let made = status(SetEntriesInAclW(1, entry, old, &raw mut new));
        let set = made.and_then(|()| {
            status(SetSecurityInfo(
                handle, kind, list, nobody, nobody, new, none,
            ))
        });
        LocalFree(new.cast());
        LocalFree(descriptor);
        set
    }
}

/// Turns the status of a function of the security API into a result.
fn status(code: u32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}

/// See [`crate::crash_folder()`].
pub(crate) fn inspect(folder: &Path) -> Result<Option<CrashFolder>> {
    match inspect_open(folder) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::of_file(
            &format!("looking at {}", folder.display()),
            &error,
        )),
    }
}

fn inspect_open(folder: &Path) -> io::Result<CrashFolder> {
    let handle = open_itself(folder, READ_CONTROL | FILE_READ_ATTRIBUTES)?;
    let found = protection(raw(&handle))?;
    let adding = found.who_may(FILE_ADD_FILE | GENERIC_WRITE | GENERIC_ALL);
    let changing = found.who_may(FILE_DELETE_CHILD | WRITE_DAC | GENERIC_ALL);
    let reading = found.who_may_with_files(FILE_READ_DATA | DELETE | GENERIC_READ | GENERIC_ALL);
    let mut open_to: Vec<&str> = changing.chain(reading).collect();
    open_to.retain(|sid| is_everybody(sid));
    open_to.sort_unstable();
    open_to.dedup();
    let names = |sids: Vec<&str>| sids.into_iter().map(security::name_of).collect();
    Ok(CrashFolder {
        is_link: guard::is_link(&handle)?,
        adders: names(adding.filter(|sid| !is_administrator(sid)).collect()),
        open_to: names(open_to),
    })
}
