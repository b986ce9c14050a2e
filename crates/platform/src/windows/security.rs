//! Accounts, privileges and access lists
//! (<https://learn.microsoft.com/windows/win32/secauthz/access-control>).

use super::sys::{check, narrow, own, raw, wide};
use std::{io, os::windows::io::OwnedHandle};
use windows_sys::Win32::{
    Foundation::{ERROR_NOT_ALL_ASSIGNED, GetLastError, HANDLE, LUID, LocalFree},
    Security::{
        AdjustTokenPrivileges,
        Authorization::{
            ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW,
            ConvertStringSidToSidW, SDDL_REVISION_1,
        },
        GetTokenInformation, LUID_AND_ATTRIBUTES, LookupAccountNameW, LookupAccountSidW,
        LookupPrivilegeValueW, PSID, SE_PRIVILEGE_ENABLED, SECURITY_ATTRIBUTES,
        TOKEN_ADJUST_PRIVILEGES, TOKEN_ELEVATION, TOKEN_PRIVILEGES, TOKEN_QUERY, TOKEN_USER,
        TokenElevation, TokenUser,
    },
    System::Threading::{GetCurrentProcess, OpenProcessToken},
};

/// An account: its SID as text, and its name as `DOMAIN\name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) name: String,
}

impl Account {
    /// Returns the last number of the SID.
    pub(crate) fn rid(&self) -> u32 {
        let last = self.sid.rsplit('-').next();
        last.and_then(|rid| rid.parse().ok()).unwrap_or(0)
    }
}

/// Returns the account that a process runs as.
pub(crate) fn account_of(process: HANDLE) -> io::Result<Account> {
    let user = information(&token(process, TOKEN_QUERY)?, TokenUser)?;
    // SAFETY: for this class the buffer, which is aligned as words are, begins with a TOKEN_USER
    // whose SID is in the same buffer.
    let sid = unsafe { (*user.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    let text = sid_text(sid)?;
    let name = account_name(sid).unwrap_or_else(|| text.clone());
    Ok(Account { sid: text, name })
}

/// Returns whether this process has an administrator's full token.
pub(crate) fn is_elevated() -> bool {
    // SAFETY: the pseudo handle of this process.
    let own = unsafe { GetCurrentProcess() };
    let token = token(own, TOKEN_QUERY);
    let elevation = token.and_then(|token| information(&token, TokenElevation));
    // SAFETY: for this class the buffer begins with a TOKEN_ELEVATION.
    elevation.is_ok_and(|e| unsafe { (*e.as_ptr().cast::<TOKEN_ELEVATION>()).TokenIsElevated } != 0)
}

/// Enables `SeDebugPrivilege` if our token has it. Returns whether it is enabled now.
pub(crate) fn enable_debug_privilege() -> bool {
    enable("SeDebugPrivilege").unwrap_or(false)
}

fn enable(privilege: &str) -> io::Result<bool> {
    let name = wide(privilege);
    let mut luid = LUID::default();
    // SAFETY: the name ends with a NUL, and the structures live during the calls.
    unsafe {
        let token = token(GetCurrentProcess(), TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES)?;
        check(LookupPrivilegeValueW(
            std::ptr::null(),
            name.as_ptr(),
            &raw mut luid,
        ))?;
        let wanted = TOKEN_PRIVILEGES {
            PrivilegeCount: 1,
            Privileges: [LUID_AND_ATTRIBUTES {
                Luid: luid,
                Attributes: SE_PRIVILEGE_ENABLED,
            }],
        };
        let (none, nowhere) = (std::ptr::null_mut(), std::ptr::null_mut());
        check(AdjustTokenPrivileges(
            raw(&token),
            0,
            &raw const wanted,
            0,
            none,
            nowhere,
        ))?;
        // The call also succeeds if it did nothing.
        Ok(GetLastError() != ERROR_NOT_ALL_ASSIGNED)
    }
}

fn token(process: HANDLE, access: u32) -> io::Result<OwnedHandle> {
    let mut token = std::ptr::null_mut();
    // SAFETY: an open process, and a live local for the token, which is new and ours.
    unsafe {
        check(OpenProcessToken(process, access, &raw mut token))?;
        own(token)
    }
}

/// Returns what a token tells of one class, in words, so that it is aligned as the structures are.
fn information(token: &OwnedHandle, class: i32) -> io::Result<Vec<u64>> {
    let mut words = vec![0u64; 64];
    let mut size = 0;
    let room = (words.len() * 8) as u32;
    // SAFETY: a buffer with its size.
    check(unsafe {
        GetTokenInformation(
            raw(token),
            class,
            words.as_mut_ptr().cast(),
            room,
            &raw mut size,
        )
    })?;
    Ok(words)
}

/// Returns the text of a SID, as in `S-1-5-18`.
pub(crate) fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: a valid SID. The text ends with a NUL, and is ours to free.
    unsafe {
        check(ConvertSidToStringSidW(sid, &raw mut text))?;
        let length = (0..256).take_while(|&n| *text.add(n) != 0).count();
        let copy = narrow(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(copy)
    }
}

fn account_name(sid: PSID) -> Option<String> {
    let (mut name, mut domain) = ([0u16; 256], [0u16; 256]);
    let (mut name_size, mut domain_size) = (256, 256);
    let mut kind = 0;
    // SAFETY: a valid SID, and two buffers with their sizes.
    check(unsafe {
        LookupAccountSidW(
            std::ptr::null(),
            sid,
            name.as_mut_ptr(),
            &raw mut name_size,
            domain.as_mut_ptr(),
            &raw mut domain_size,
            &raw mut kind,
        )
    })
    .ok()?;
    match (narrow(&domain), narrow(&name)) {
        (domain, name) if domain.is_empty() => Some(name),
        (domain, name) => Some(format!("{domain}\\{name}")),
    }
}

/// A security descriptor. It is freed when this is dropped.
pub(crate) struct Descriptor(*mut core::ffi::c_void);

impl Descriptor {
    /// Returns the attributes for a call that makes something. They are valid while the descriptor
    /// lives.
    pub(crate) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: our own descriptor, from a call whose result has to be freed so.
        unsafe { LocalFree(self.0) };
    }
}

/// Makes the descriptor that gives all rights to SYSTEM, administrators and our own account, none
/// to others, and inherits nothing.
pub(crate) fn private_descriptor() -> Option<Descriptor> {
    let owner = own_account().ok()?.sid;
    descriptor(&format!("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{owner})")).ok()
}

/// Returns the account that this process runs as.
pub(crate) fn own_account() -> io::Result<Account> {
    // SAFETY: the pseudo handle of this process.
    account_of(unsafe { GetCurrentProcess() })
}

/// Makes the descriptor that a text describes
/// (<https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-definition-language>).
pub(crate) fn descriptor(text: &str) -> io::Result<Descriptor> {
    let text = wide(text);
    let mut descriptor = std::ptr::null_mut();
    // SAFETY: the text ends with a NUL, and the descriptor is written to a live local.
    let made = check(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            std::ptr::null_mut(),
        )
    });
    made.map(|()| Descriptor(descriptor))
}

/// Returns the SID of an account or group, named as `IIS_IUSRS` or `DOMAIN\name`.
pub(crate) fn sid_of(name: &str) -> io::Result<String> {
    let name = wide(name);
    let (mut sid, mut domain) = ([0u64; 16], [0u16; 256]);
    let (mut size, mut domain_size) = (size_of_val(&sid) as u32, 256);
    let mut kind = 0;
    // SAFETY: the name ends with a NUL. There are buffers for the longest SID (68 bytes) and for
    // the domain, with their sizes, and a live local for the kind.
    unsafe {
        check(LookupAccountNameW(
            std::ptr::null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &raw mut size,
            domain.as_mut_ptr(),
            &raw mut domain_size,
            &raw mut kind,
        ))?;
        sid_text(sid.as_mut_ptr().cast())
    }
}

/// Returns the name of the account with this SID, or the SID if there is none.
pub(crate) fn name_of(sid: &str) -> String {
    let text = wide(sid);
    let mut at = std::ptr::null_mut();
    // SAFETY: the text ends with a NUL, and the SID is written to a live local and ours to free.
    let name = unsafe {
        if ConvertStringSidToSidW(text.as_ptr(), &raw mut at) == 0 {
            return sid.to_owned();
        }
        let name = account_name(at);
        LocalFree(at);
        name
    };
    name.unwrap_or_else(|| sid.to_owned())
}
