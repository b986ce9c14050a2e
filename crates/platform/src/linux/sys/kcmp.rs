//! Comparing what two processes have, by kcmp(2).

/// Kinds of what is compared: `enum kcmp_type` in the kernel's include/uapi/linux/kcmp.h.
const KCMP_VM: libc::c_int = 1;

/// Returns whether two threads, by their numbers, are in one address space. False if we may not know, or the kernel was
/// built without this.
pub(crate) fn have_same_memory(one: i32, other: i32) -> bool {
    // SAFETY: kcmp(2) takes numbers only, and reads no memory of ours.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0 }
}
