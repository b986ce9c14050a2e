//! Names of threads and files that are hard to parse in `/proc`.

use std::ffi::{CString, OsStr};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Mode;
use super::mapping::{Mapping, PAGE};
use super::memory::pattern;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "names", args: "FOLDER", about: "thread names and file names that are hard to parse", run: names },
];

/// Thread names. They may have at most 15 bytes, of any value but zero.
const THREADS: &[&[u8]] = &[
    b"a b/../%p\nx",
    b") R 1 (x",
    b"\x1b[31mred",
    b"\xff\xfe",
    b" ",
    b"(deleted)",
];

/// Names of files that are mapped.
const FILES: &[&[u8]] = &[
    b"with space",
    b"new\nline",
    b"ends (deleted)",
    b"back\\012slash",
    b"\xff\xfe not utf-8",
    b"tab\there",
    b"[heap]",
];

fn names(harness: &Harness) -> Outcome {
    let folder = Path::new(harness.text(0)?);
    for (number, name) in FILES.iter().enumerate() {
        let mapping = map_new_file(&folder.join(OsStr::from_bytes(name)))?;
        harness.address(&format!("file-{number}"), mapping.address());
    }
    harness.address("deep", map_deep_file(folder)?.address());
    for name in THREADS {
        named_thread(name)?;
    }
    harness.serve(|_| {})
}

fn map_new_file(path: &Path) -> std::io::Result<Mapping> {
    let content = pattern(7).to_ne_bytes().repeat(PAGE / size_of::<u64>());
    std::fs::write(path, content)?;
    let file = std::fs::File::open(path)?;
    let page = Mapping::new(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd())?;
    // A page that nobody touched does not exist, and would not be in a dump.
    // SAFETY: the address lies inside the mapping, and the file is as long as the mapping.
    let _ = unsafe { page.start.read_volatile() };
    Ok(page)
}

/// Maps a file whose path is longer than PATH_MAX (4096 bytes), so that it cannot be opened by its
/// path. The folders are entered one by one.
fn map_deep_file(folder: &Path) -> std::io::Result<Mapping> {
    let start = std::env::current_dir()?;
    std::env::set_current_dir(folder)?;
    let step = PathBuf::from("d".repeat(250));
    for _ in 0..17 {
        std::fs::create_dir_all(&step)?;
        std::env::set_current_dir(&step)?;
    }
    let mapping = map_new_file(Path::new("deep"));
    std::env::set_current_dir(start)?;
    mapping
}

fn named_thread(name: &'static [u8]) -> std::io::Result<()> {
    let (started, is_started) = std::sync::mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        let name = CString::new(name).expect("no zero in a thread's name");
        // SAFETY: the name ends with a NUL, and the kernel copies it.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
        let _ = started.send(());
        crate::harness::rest()
    })?;
    let _ = is_started.recv();
    Ok(())
}
