//! Unusual kinds of memory: huge pages, shared memory, memory with a name.

use super::Mode;
use super::mapping::{Mapping, PAGE, READ_WRITE, check};
use super::memory::pattern;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "kinds", args: "", about: "hugetlb, THP, shared, memfd, SysV and named memory", run: kinds },
];

const HUGE: usize = 2 << 20;

type Maker = fn() -> std::io::Result<Mapping>;

/// Makes a mapping of each kind and fills it with the [`pattern`] of its index in this list. What
/// this machine does not have is told as `no-NAME`.
fn kinds(harness: &Harness) -> Outcome {
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
                harness.address(name, memory.address());
            }
            Err(error) => harness.fact(&format!("no-{name}"), error),
        }
    }
    harness.serve(|_| {})
}

fn hugetlb() -> std::io::Result<Mapping> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB;
    Mapping::new(HUGE, READ_WRITE, flags, -1)
}

/// A mapping of 4 MiB contains an aligned huge page of 2 MiB, whatever its address.
fn thp() -> std::io::Result<Mapping> {
    let memory = Mapping::anonymous(2 * HUGE)?;
    memory.advise(libc::MADV_HUGEPAGE)?;
    Ok(memory)
}

fn shared() -> std::io::Result<Mapping> {
    Mapping::new(PAGE, READ_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
}

fn memfd() -> std::io::Result<Mapping> {
    // SAFETY: makes a descriptor; the name ends with a NUL.
    let fd = check(unsafe { libc::memfd_create(c"victim memory".as_ptr(), 0) })?;
    // SAFETY: our own descriptor.
    check(unsafe { libc::ftruncate(fd, PAGE as i64) })?;
    Mapping::new(PAGE, READ_WRITE, libc::MAP_SHARED, fd)
}

/// Maps a System V segment. It is marked for removal at once, and lives as long as the mapping
/// (shmctl(2), `IPC_RMID`).
fn sysv() -> std::io::Result<Mapping> {
    // SAFETY: makes a segment, maps it at an address that the kernel chooses, and marks it for
    // removal; no existing memory is touched.
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

/// Maps anonymous memory that `/proc/PID/maps` shows as `[anon:victim name]` (prctl(2),
/// `PR_SET_VMA_ANON_NAME`).
fn named() -> std::io::Result<Mapping> {
    const PR_SET_VMA: i32 = 0x5356_4d41;
    let memory = Mapping::anonymous(PAGE)?;
    let name = c"victim name";
    // SAFETY: our own mapping; the name ends with a NUL, and the kernel copies it.
    check(unsafe { libc::prctl(PR_SET_VMA, 0, memory.start, memory.bytes, name.as_ptr()) })?;
    Ok(memory)
}
