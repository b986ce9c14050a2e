//! Finding a program by its name, as cmd.exe does: first in the current folder, unless the system
//! says that this is not wanted, then in the folders of `PATH`, with the endings of programs.

use super::sys::wide;
use std::{
    io,
    path::{Path, PathBuf},
};
use windows_sys::Win32::System::Environment::NeedCurrentDirectoryForExePathW;

/// The endings of programs that need no other program to run them.
const ENDINGS: [&str; 2] = ["com", "exe"];

/// Returns the path of a program. A name with a folder is looked for in that folder only.
///
/// # Errors
/// If there is no such file; the error says where it was looked for.
pub(crate) fn find(program: &Path) -> io::Result<PathBuf> {
    let folders = match is_bare(program) {
        true => folders(program),
        false => vec![PathBuf::new()],
    };
    let names = names(program);
    let paths = folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)));
    let mut there = paths.filter(|path| path.is_file());
    let found = there.next().map(std::path::absolute);
    found.unwrap_or_else(|| Err(missing(program, &names)))
}

/// Whether a program is named without a folder.
pub(crate) fn is_bare(program: &Path) -> bool {
    program.file_name() == Some(program.as_os_str())
}

/// Returns the folders in which a program without a folder is looked for.
fn folders(program: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if wants_current_folder(program) {
        folders.push(std::env::current_dir().unwrap_or_default());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders
}

/// Returns what cmd.exe asks, too: an administrator can forbid programs of the current folder by the
/// variable `NoDefaultCurrentDirectoryInExePath`.
fn wants_current_folder(program: &Path) -> bool {
    let name = wide(&program.to_string_lossy());
    // SAFETY: the name ends with a NUL.
    unsafe { NeedCurrentDirectoryForExePathW(name.as_ptr()) != 0 }
}

/// Returns the names that the file may have: the one given if it has an ending, and that with the
/// endings of programs.
fn names(program: &Path) -> Vec<PathBuf> {
    let whole = program.extension().map(|_| program.to_owned());
    let longer = ENDINGS.map(|ending| {
        let mut name = program.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    });
    whole.into_iter().chain(longer).collect()
}

fn missing(program: &Path, names: &[PathBuf]) -> io::Error {
    let names: Vec<_> = names
        .iter()
        .map(|name| name.display().to_string())
        .collect();
    let names = names.join(" or ");
    let place = match (is_bare(program), wants_current_folder(program)) {
        (false, _) => "",
        (true, true) => " in the current folder or a folder of PATH",
        (true, false) => " in a folder of PATH (the system forbids to look in the current folder)",
    };
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no {names}{place}"),
    )
}
