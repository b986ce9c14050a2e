//! Access control lists of files (acl(5)), read and written as the kernel keeps them: in the
//! extended attribute `system.posix_acl_access` (`include/uapi/linux/posix_acl_xattr.h`), a version
//! followed by entries of tag, rights and id.
//!
//! They let the owner of a crashed process read its dump, which belongs to root.

use rustix::{
    fs::{Stat, XattrFlags, fgetxattr, fsetxattr, fstat},
    io::Errno,
};
use std::{io, os::fd::AsFd};

const NAME: &str = "system.posix_acl_access";
const VERSION: u32 = 2;
const USER_OBJ: u16 = 1;
const USER: u16 = 2;
const GROUP_OBJ: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 16;
const OTHER: u16 = 32;
const NO_ID: u32 = u32::MAX;
/// The largest size of an extended attribute in bytes (`XATTR_SIZE_MAX`).
const LARGEST: usize = 64 << 10;

/// The right to read a file.
pub(super) const READ: u16 = 4;
/// The right to pass through a folder, without listing what is in it.
pub(super) const ENTER: u16 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    tag: u16,
    id: u32,
    rights: u16,
}

/// Gives these rights to one more user of a file or folder. Nobody else gets or loses any.
///
/// # Errors
/// If the file system has no access control lists.
pub(super) fn allow(file: impl AsFd, uid: u32, rights: u16) -> io::Result<()> {
    let mut entries = match read(&file)? {
        Some(entries) => entries,
        None => plain(&fstat(&file)?),
    };
    add(&mut entries, uid, rights);
    Ok(fsetxattr(
        &file,
        NAME,
        &bytes(&entries),
        XattrFlags::empty(),
    )?)
}

/// Reads the list of a file; `None` if it has none.
fn read(file: impl AsFd) -> io::Result<Option<Vec<Entry>>> {
    let mut bytes = vec![0; LARGEST];
    match fgetxattr(file, NAME, &mut bytes[..]) {
        Ok(size) => Ok(parse(&bytes[..size])),
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the list that means the same as the file's mode.
fn plain(found: &Stat) -> Vec<Entry> {
    let rights = |shift: u32| (found.st_mode >> shift & 7) as u16;
    let entry = |tag, rights| Entry {
        tag,
        id: NO_ID,
        rights,
    };
    vec![
        entry(USER_OBJ, rights(6)),
        entry(GROUP_OBJ, rights(3)),
        entry(OTHER, rights(0)),
    ]
}

/// Adds rights for a user, and sets the mask, which limits the rights of users and groups, to all
/// rights that any of them has: nobody gets more than before.
fn add(entries: &mut Vec<Entry>, uid: u32, rights: u16) {
    let is_theirs = |entry: &Entry| entry.tag == USER && entry.id == uid;
    match entries.iter_mut().find(|entry| is_theirs(entry)) {
        Some(entry) => entry.rights |= rights,
        None => entries.push(Entry {
            tag: USER,
            id: uid,
            rights,
        }),
    }
    entries.retain(|entry| entry.tag != MASK);
    let shared = |entry: &&Entry| matches!(entry.tag, USER | GROUP | GROUP_OBJ);
    let all = entries.iter().filter(shared);
    let rights = all.fold(0, |all, entry| all | entry.rights);
    entries.push(Entry {
        tag: MASK,
        id: NO_ID,
        rights,
    });
    entries.sort();
}

fn bytes(entries: &[Entry]) -> Vec<u8> {
    let mut out = VERSION.to_le_bytes().to_vec();
    for entry in entries {
        out.extend(entry.tag.to_le_bytes());
        out.extend(entry.rights.to_le_bytes());
        out.extend(entry.id.to_le_bytes());
    }
    out
}

fn parse(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (version, entries) = bytes.split_first_chunk()?;
    let entry = |bytes: &[u8]| {
        Some(Entry {
            tag: u16::from_le_bytes(*bytes.first_chunk()?),
            rights: u16::from_le_bytes(*bytes.get(2..)?.first_chunk()?),
            id: u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?),
        })
    };
    let is_known = u32::from_le_bytes(*version) == VERSION;
    is_known.then(|| entries.chunks_exact(8).filter_map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u32, u16)]) -> Vec<Entry> {
        let entry = |&(tag, id, rights): &(u16, u32, u16)| Entry { tag, id, rights };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn one_user_more_and_nobody_else() {
        let mut entries = list(&[(1, NO_ID, 6), (4, NO_ID, 0), (32, NO_ID, 0)]);
        add(&mut entries, 1000, READ);
        add(&mut entries, 7, READ);
        add(&mut entries, 1000, READ);
        let wanted = [
            (1, NO_ID, 6),
            (2, 7, 4),
            (2, 1000, 4),
            (4, NO_ID, 0),
            (16, NO_ID, 4),
            (32, NO_ID, 0),
        ];
        assert_eq!(entries, list(&wanted), "in the order that the kernel wants");
        assert_eq!(parse(&bytes(&entries)), Some(entries));
    }

    #[test]
    fn an_unknown_version_is_no_list() {
        assert_eq!(parse(&[3, 0, 0, 0]), None);
        assert_eq!(parse(&[2, 0]), None);
    }
}
