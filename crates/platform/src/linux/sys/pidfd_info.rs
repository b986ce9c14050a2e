//! How a process has ended, as its pidfd tells (`PIDFD_GET_INFO` of `linux/pidfd.h`, Linux 6.15): after its parent has
//! waited for it, nothing else does.

use rustix::fd::{AsRawFd, OwnedFd};

/// `struct pidfd_info` as far as the exit code, its first published size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const GET_INFO: libc::c_ulong = 0xC040_FF0B;
/// `PIDFD_INFO_EXIT`.
const EXIT: u64 = 1 << 3;

/// Returns the wait status of a process that has ended; `None` if it is not known.
pub(crate) fn wait_status(pidfd: &OwnedFd) -> Option<i32> {
    let mut info = Info {
        mask: EXIT,
        ..Info::default()
    };
    // SAFETY: the structure has the kernel's layout and the size that the request says, and lives during the call.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (done == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}
