//! Unusual kinds of memory, and names that are hard to parse.

use std::ffi::{CString, OsStr};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Mode;
use super::linux::{Mapping, PAGE, READ_WRITE, check};
use super::memory::pattern;
use crate::stage::{Outcome, Stage};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "kinds", args: "", about: "hugetlb, THP, shared, memfd, SysV and named memory", run: kinds },
    Mode { name: "names", args: "FOLDER", about: "thread names and file names that are hard to parse", run: names },
];

const HUGE: usize = 2 << 20;

type Maker = fn() -> std::io::Result<Mapping>;

/// Each kind in a mapping of its own, filled with `pattern` of its number in this list.
fn kinds(stage: &Stage) -> Outcome {
    let makers: [(&str, Maker); 6] = [
        ("hugetlb", hugetlb),
        ("thp", thp),
        ("shared", shared),
        ("memfd", memfd),
        ("sysv", sysv),
        ("named", named),
    ];
    for (number, (name, make)) in makers.into_iter().enumerate() {
        match make() {
            Ok(memory) => {
                memory.fill(pattern(number as u16));
                stage.address(name, memory.address());
            }
            Err(error) => stage.fact(&format!("no-{name}"), error),
        }
    }
    stage.serve(|_| {})
}

fn hugetlb() -> std::io::Result<Mapping> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB;
    Mapping::new(HUGE, READ_WRITE, flags, -1)
}

/// Four MiB hold one aligned huge page whatever the address.
fn thp() -> std::io::Result<Mapping> {
    let memory = Mapping::anonymous(2 * HUGE)?;
    memory.advise(libc::MADV_HUGEPAGE)?;
    Ok(memory)
}

fn shared() -> std::io::Result<Mapping> {
    Mapping::new(PAGE, READ_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
}

fn memfd() -> std::io::Result<Mapping> {
    // SAFETY: makes a descriptor; the name ends with a zero.
    let fd = check(unsafe { libc::memfd_create(c"victim memory".as_ptr(), 0) })?;
    // SAFETY: our own descriptor.
    check(unsafe { libc::ftruncate(fd, PAGE as i64) })?;
    Mapping::new(PAGE, READ_WRITE, libc::MAP_SHARED, fd)
}

/// The segment is removed at once: it then lives as long as the mapping.
fn sysv() -> std::io::Result<Mapping> {
    // SAFETY: makes a segment, maps it at a place the kernel chooses, and marks it for removal.
    let start = unsafe {
        let id = check(libc::shmget(libc::IPC_PRIVATE, PAGE, 0o600))?;
        let start = libc::shmat(id, std::ptr::null(), 0);
        check(libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()))?;
        start
    };
    match start as isize {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(Mapping {
            start: start.cast(),
            bytes: PAGE,
        }),
    }
}

/// Anonymous memory with a name of its own, `[anon:victim name]`.
fn named() -> std::io::Result<Mapping> {
    const PR_SET_VMA: i32 = 0x5356_4d41;
    let memory = Mapping::anonymous(PAGE)?;
    let name = c"victim name";
    // SAFETY: our own mapping; the name ends with a zero and is copied.
    check(unsafe { libc::prctl(PR_SET_VMA, 0, memory.start, memory.bytes, name.as_ptr()) })?;
    Ok(memory)
}

/// Thread names: at most 15 bytes, and any but zero.
const THREADS: &[&[u8]] = &[
    b"a b/../%p\nx",
    b") R 1 (x",
    b"\x1b[31mred",
    b"\xff\xfe",
    b" ",
    b"(deleted)",
];

/// File names, to be mapped.
const FILES: &[&[u8]] = &[
    b"with space",
    b"new\nline",
    b"ends (deleted)",
    b"back\\012slash",
    b"\xff\xfe not utf-8",
    b"tab\there",
    b"[heap]",
];

fn names(stage: &Stage) -> Outcome {
    let folder = Path::new(stage.text(0)?);
    for (number, name) in FILES.iter().enumerate() {
        let mapping = map_new_file(&folder.join(OsStr::from_bytes(name)))?;
        stage.address(&format!("file-{number}"), mapping.address());
    }
    stage.address("deep", map_deep_file(folder)?.address());
    for name in THREADS {
        named_thread(name)?;
    }
    stage.serve(|_| {})
}

fn map_new_file(path: &Path) -> std::io::Result<Mapping> {
    let content = pattern(7).to_ne_bytes().repeat(PAGE / size_of::<u64>());
    std::fs::write(path, content)?;
    let file = std::fs::File::open(path)?;
    let page = Mapping::new(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd())?;
    // What nobody has touched is not there to be dumped.
    // SAFETY: inside the mapping, which is as long as the file.
    let _ = unsafe { page.start.read_volatile() };
    Ok(page)
}

/// A file whose path is longer than any path that can be opened: the folders are entered one by one.
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
        // SAFETY: the name ends with a zero and is copied.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
        let _ = started.send(());
        crate::stage::rest()
    })?;
    let _ = is_started.recv();
    Ok(())
}
