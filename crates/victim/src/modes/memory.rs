//! Address spaces that are large, consist of many pieces, or cannot be read in part.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use victim::Slot;

use super::Mode;
use super::mapping::{Mapping, PAGE, READ_WRITE, check, check_long};
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "maps", args: "N", about: "N mappings of one page, read-only and writable in turn", run: maps },
    Mode { name: "guard", args: "[MIB]", about: "known content behind a guard page without a mapping of its own", run: guard },
    Mode { name: "reserve", args: "GIB", about: "address space without access", run: reserve },
    Mode { name: "sparse", args: "TIB", about: "a huge mapping with four touched pages", run: sparse },
    Mode { name: "scattered", args: "PAGES APART", about: "single pages of a huge mapping, each so many behind the one before", run: scattered },
    Mode { name: "zeros", args: "MIB", about: "memory that was written to, and has nothing but zeros", run: zeros },
    Mode { name: "prot-none-data", args: "", about: "content without the right to read it", run: prot_none_data },
    Mode { name: "truncated-map", args: "FOLDER", about: "a mapped file that has become shorter", run: truncated_map },
    Mode { name: "uffd", args: "", about: "a page that a userfaultfd never delivers", run: uffd },
    Mode { name: "secret", args: "", about: "memory of memfd_secret", run: secret },
    Mode { name: "remap", args: "[THREADS]", about: "mappings that come and go", run: remap },
    Mode { name: "advised", args: "", about: "MADV_DONTDUMP, DONTFORK and WIPEONFORK", run: advised },
];

/// The word that fills a page whose content a test wants to recognise: "VICTIM" and a number.
pub(super) const fn pattern(number: u16) -> u64 {
    u64::from_be_bytes(*b"VICTIM\0\0") | number as u64
}

/// Maps pages of which each is a mapping of its own: odd ones are writable and filled with the
/// [`pattern`] of their index, even ones are read-only and never touched.
fn maps(harness: &Harness) -> Outcome {
    let count: usize = harness.arg(0, 1000)?;
    let all = Mapping::anonymous(count * PAGE)?;
    all.advise(libc::MADV_NOHUGEPAGE)?;
    for index in 0..count {
        match index % 2 {
            0 => all.page(index).protect(libc::PROT_READ)?,
            _ => all.page(index).fill(pattern(index as u16)),
        }
    }
    harness.address("maps", all.address());
    harness.serve(|_| {})
}

fn guard(harness: &Harness) -> Outcome {
    const MADV_GUARD_INSTALL: i32 = 102;
    let all = Mapping::anonymous(harness.arg(0, 8_usize)? << 20)?;
    all.fill(pattern(1));
    if let Err(error) = all.page(0).advise(MADV_GUARD_INSTALL) {
        harness.fact("unavailable", error);
    }
    harness.address("guard", all.address());
    harness.fact("bytes", all.bytes);
    harness.serve(|_| {})
}

fn reserve(harness: &Harness) -> Outcome {
    let bytes = harness.arg(0, 8_usize)? << 30;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let all = Mapping::new(bytes, libc::PROT_NONE, flags, -1)?;
    harness.address("reserve", all.address());
    harness.serve(|_| {})
}

/// Maps a huge range and touches four pages of it: the first, the last, and two between. They are
/// told as `page-0` to `page-3`.
fn sparse(harness: &Harness) -> Outcome {
    let bytes = harness.arg(0, 64_usize)? << 40;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let all = Mapping::new(bytes, READ_WRITE, flags, -1)?;
    all.advise(libc::MADV_NOHUGEPAGE)?;
    let last = bytes / PAGE - 1;
    for (number, index) in [0, last / 3, last / 2, last].into_iter().enumerate() {
        all.page(index).fill(pattern(number as u16));
        harness.address(&format!("page-{number}"), all.page(index).address());
    }
    harness.serve(|_| {})
}

/// Maps a huge range and touches single pages of it, which are filled with the [`pattern`] of their number.
fn scattered(harness: &Harness) -> Outcome {
    let (pages, apart): (usize, usize) = (harness.arg(0, 1024)?, harness.arg(1, 16)?);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let all = Mapping::new(pages * apart * PAGE, READ_WRITE, flags, -1)?;
    all.advise(libc::MADV_NOHUGEPAGE)?;
    for number in 0..pages {
        all.page(number * apart).fill(pattern(number as u16));
    }
    harness.address("scattered", all.address());
    harness.serve(|_| {})
}

fn zeros(harness: &Harness) -> Outcome {
    let all = Mapping::anonymous(harness.arg(0, 64_usize)? << 20)?;
    all.advise(libc::MADV_NOHUGEPAGE)?;
    all.fill(0);
    harness.address("zeros", all.address());
    harness.serve(|_| {})
}

fn prot_none_data(harness: &Harness) -> Outcome {
    for (name, protection, number) in [
        ("none", libc::PROT_NONE, 1),
        ("write-only", libc::PROT_WRITE, 2),
    ] {
        let page = Mapping::anonymous(PAGE)?;
        page.fill(pattern(number));
        page.protect(protection)?;
        harness.address(name, page.address());
    }
    harness.serve(|_| {})
}

/// Maps two pages of a file, shared and private, and cuts the file to one page: the second page
/// cannot be read any more.
fn truncated_map(harness: &Harness) -> Outcome {
    for (name, sharing, number) in [
        ("shared", libc::MAP_SHARED, 1),
        ("private", libc::MAP_PRIVATE, 2),
    ] {
        let path = format!("{}/{name}", harness.text(0)?);
        let content = pattern(number)
            .to_ne_bytes()
            .repeat(2 * PAGE / size_of::<u64>());
        std::fs::write(&path, content)?;
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)?;
        let pages = Mapping::new(2 * PAGE, READ_WRITE, sharing, file.as_raw_fd())?;
        // It is read, not written: a private copy of the page would stay.
        // SAFETY: the address lies inside the mapping, and the file is still long enough.
        let _ = unsafe { pages.start.read_volatile() };
        file.set_len(PAGE as u64)?;
        harness.address(name, pages.address());
    }
    harness.serve(|_| {})
}

/// Maps three pages. The first and the last exist; whoever reads the one between waits for ever for
/// a userfaultfd to deliver it.
fn uffd(harness: &Harness) -> Outcome {
    let pages = Mapping::anonymous(3 * PAGE)?;
    pages.page(0).fill(pattern(0));
    pages.page(2).fill(pattern(2));
    match register_missing(pages.page(1)) {
        Ok(fd) => std::mem::forget(fd),
        Err(error) => harness.fact("unavailable", error),
    }
    harness.address("uffd", pages.address());
    harness.serve(|_| {})
}

/// Registers a userfaultfd for missing pages of that range (userfaultfd(2)). The structures are
/// those of linux/userfaultfd.h.
fn register_missing(range: Mapping) -> std::io::Result<OwnedFd> {
    const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
    const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
    // SAFETY: makes a descriptor.
    let fd = check_long(unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) })?;
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut api: [u64; 3] = [0xaa, 0, 0];
    let mut register: [u64; 4] = [range.address(), range.bytes as u64, 1, 0];
    // SAFETY: both structures are as large as the kernel's, and live during the calls.
    unsafe {
        check(libc::ioctl(fd.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()))?;
        check(libc::ioctl(
            fd.as_raw_fd(),
            UFFDIO_REGISTER,
            register.as_mut_ptr(),
        ))?;
    }
    Ok(fd)
}

fn secret(harness: &Harness) -> Outcome {
    // SAFETY: makes a descriptor.
    match check_long(unsafe { libc::syscall(libc::SYS_memfd_secret, 0) }) {
        Ok(fd) => {
            // SAFETY: our own descriptor.
            check(unsafe { libc::ftruncate(fd, 2 * PAGE as i64) })?;
            let page = Mapping::new(2 * PAGE, READ_WRITE, libc::MAP_SHARED, fd)?;
            page.fill(pattern(1));
            harness.address("secret", page.address());
        }
        Err(error) => harness.fact("unavailable", error),
    }
    harness.serve(|_| {})
}

fn advised(harness: &Harness) -> Outcome {
    let kinds = [
        ("dontdump", libc::MADV_DONTDUMP),
        ("dontfork", libc::MADV_DONTFORK),
        ("wipeonfork", libc::MADV_WIPEONFORK),
    ];
    for (number, (name, advice)) in kinds.into_iter().enumerate() {
        // Each is followed by a page without advice, so that each is a mapping of its own.
        let pages = Mapping::anonymous(2 * PAGE)?;
        pages.fill(pattern(number as u16));
        pages.page(0).advise(advice)?;
        harness.address(name, pages.address());
    }
    harness.serve(|_| {})
}

/// Starts threads that map, fill and unmap memory all the time.
fn remap(harness: &Harness) -> Outcome {
    let threads: usize = harness.arg(0, 2)?;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    remap_once();
                    harness.state.count(Slot::Counter);
                }
            });
        }
        harness.serve(|_| {})
    })
}

fn remap_once() {
    // The machine may be short of memory for a moment.
    let Ok(all) = Mapping::anonymous(16 * PAGE) else {
        return;
    };
    all.fill(pattern(3));
    let _ = all.part(4 * PAGE, 4 * PAGE).protect(libc::PROT_READ);
    all.unmap();
}
