//! The folders in which monitors can be reached: of root `/run/firstchance-0/monitors`, of another user
//! `firstchance/monitors` in the folder that the system keeps for his sockets (`/run/user/UID`, pam_systemd(8)), or where
//! there is none, in `/tmp/firstchance-UID`.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

const OF_USERS: &str = "/run/user";
const OF_OTHERS: &str = "/tmp";
const PREFIX: &str = "firstchance-";
const MONITORS: &str = "monitors";

/// Makes the folder of our user.
///
/// # Errors
/// If it cannot be made, or belongs to somebody else, or others can write to it.
pub(crate) fn make() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let parent = parent_of(user);
    let monitors = parent.join(MONITORS);
    for folder in [&parent, &monitors] {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !belongs_to(folder, user) {
            let what = format!("{} does not belong to us alone", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
    }
    Ok(monitors)
}

/// Returns the folders that there are, each with its user: of our own user, and for root those of all.
pub(crate) fn all() -> Vec<(PathBuf, u32)> {
    let own = rustix::process::geteuid().as_raw();
    let mut users = vec![own];
    if own == 0 {
        users.extend(users_in(OF_USERS, ""));
        users.extend(users_in(OF_OTHERS, PREFIX));
    }
    users.sort_unstable();
    users.dedup();
    let folders = users.into_iter().flat_map(|user| {
        let parents = [parent_of(user), fallback(user)];
        parents.map(|parent| (parent.join(MONITORS), user))
    });
    let mut folders: Vec<_> = folders
        .filter(|(folder, user)| belongs_to(folder, *user))
        .collect();
    folders.dedup();
    folders
}

fn parent_of(user: u32) -> PathBuf {
    let of_user = Path::new(OF_USERS).join(user.to_string());
    match user {
        0 => "/run/firstchance-0".into(),
        _ if belongs_to(&of_user, user) => of_user.join("firstchance"),
        _ => fallback(user),
    }
}

fn fallback(user: u32) -> PathBuf {
    Path::new(OF_OTHERS).join(format!("{PREFIX}{user}"))
}

fn users_in(folder: &str, prefix: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix(prefix)?.parse().ok()
    };
    entries.filter_map(number).collect()
}

/// Returns whether this is a folder, and no link to one, of this user, to which nobody else can write.
fn belongs_to(folder: &Path, user: u32) -> bool {
    let found = fs::symlink_metadata(folder);
    found.is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0)
}
