//! Opening files by paths that somebody else has chosen.
//!
//! To open a device for reading can have effects (a watchdog restarts the machine when it is closed again), and to open a
//! FIFO can wait for ever. So what a path leads to is looked at first, without opening it (`O_PATH` in open(2)).

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2},
    io::Errno,
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

/// The group of who belongs to none ("nogroup").
const NO_GROUP: u32 = 65534;

/// Opens a regular file for reading; `flags` are added where the path is followed.
///
/// # Errors
/// If it cannot be opened, or is anything else.
pub(super) fn open_regular(path: &Path, flags: OFlags) -> io::Result<(File, Stat)> {
    let found = open(path, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty())?;
    open_found(&found)
}

/// Opens a regular file below a folder, which is the root for all links on the way (openat2(2)).
///
/// # Errors
/// As [`open_regular`].
pub(super) fn open_regular_below(folder: &Path, path: &Path) -> io::Result<(File, Stat)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let folder = open(folder, flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&folder, path, flags, Mode::empty(), resolve)?;
    open_found(&found)
}

/// Opens a regular file that this user may read, as far as that does not depend on a group. Only root needs this.
///
/// # Errors
/// As [`open_regular`], or if the user may not read it.
pub(super) fn open_regular_as(path: &Path, user: u32) -> io::Result<(File, Stat)> {
    let path = path.to_owned();
    // Identities are those of a thread, which ends with them.
    let as_user = std::thread::spawn(move || {
        become_user(user)?;
        open_regular(&path, OFlags::empty())
    });
    let opened = as_user.join();
    opened.map_err(|_| io::Error::other("a thread failed"))?
}

/// See [`crate::open_log`]. What is there is looked at before it is opened, and what is not there is made, so that between
/// the two nobody can put a link in its place.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    let to_append = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = match open(path, look, Mode::empty()) {
        Err(Errno::NOENT) => {
            let flags = to_append | OFlags::CREATE | OFlags::EXCL;
            return Ok(open(path, flags, Mode::RUSR | Mode::WUSR)?.into());
        }
        found => found?,
    };
    expect_ours(&fstat(&found)?)?;
    reopen(&found, to_append)
}

/// Refuses what somebody else may have put there for us to write to: with more than one name, the file may be another one
/// that they cannot write to.
fn expect_ours(found: &Stat) -> io::Result<()> {
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let is_ours = found.st_uid == 0 || found.st_uid == geteuid().as_raw();
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => refuse("it is a link".to_owned()),
        FileType::RegularFile if !is_ours => refuse(format!("it belongs to user {}", found.st_uid)),
        FileType::RegularFile if found.st_nlink > 1 => {
            refuse("it has more than one name".to_owned())
        }
        FileType::RegularFile => Ok(()),
        _ => refuse("it is no regular file".to_owned()),
    }
}

/// Gives this thread the rights of a user who belongs to no group.
fn become_user(user: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(NO_GROUP));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    Ok(set_thread_res_uid(user, user, user)?)
}

/// Opens what was found, if it is a regular file.
fn open_found(found: &OwnedFd) -> io::Result<(File, Stat)> {
    let stat = fstat(found)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok((reopen(found, flags)?, stat))
}

/// Opens what was found by `O_PATH`, whatever has its name now.
fn reopen(found: &OwnedFd, flags: OFlags) -> io::Result<File> {
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok(open(link, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn n37_devices_and_fifos_are_not_opened() {
        for path in ["/dev/null", "/dev/zero", "/proc/self/fd"] {
            assert!(
                open_regular(Path::new(path), OFlags::empty()).is_err(),
                "{path}"
            );
        }
        assert!(open_regular(Path::new("/proc/self/exe"), OFlags::empty()).is_ok());
    }

    #[test]
    fn n37_no_link_leads_out_of_the_folder() {
        let (outside, folder) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        let (secret, folder) = (outside.path().join("secret"), folder.path());
        std::fs::write(&secret, "x").expect("a file");
        std::fs::create_dir(folder.join("lib")).expect("a folder");
        std::fs::write(folder.join("lib/here"), "y").expect("a file");
        for (name, to) in [("out", &*secret), ("absolute", Path::new("/lib/here"))] {
            std::os::unix::fs::symlink(to, folder.join(name)).expect("a link");
        }
        let opens = |path: &str| open_regular_below(folder, Path::new(path)).is_ok();
        assert!(opens("lib/here"));
        assert!(opens("absolute"), "it is absolute in the folder");
        assert!(!opens("out"));
        let climbs = format!("../../../../../../../..{}", secret.display());
        assert!(!opens(&climbs));
    }

    #[test]
    fn n37_what_a_user_may_not_read_is_not_opened_for_them() {
        if !rustix::process::geteuid().is_root() {
            // Whoever is not root has the rights of one user anyway.
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "x").expect("a file");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        };
        set(folder.path(), 0o755);
        for (folder_mode, mode, may) in [
            (0o755, 0o644, true),
            (0o755, 0o640, false),
            (0o700, 0o644, false),
        ] {
            set(&path, mode);
            set(folder.path(), folder_mode);
            assert_eq!(
                open_regular_as(&path, 1000).is_ok(),
                may,
                "{folder_mode:o} {mode:o}"
            );
        }
    }
}
