//! Types of the entries in the auxiliary vector, which Linux gives a program at its start
//! (getauxval(3), include/uapi/linux/auxvec.h). [`crate::Process::aux`] looks them up.

/// Address of the program's headers.
pub const AT_PHDR: u64 = 3;
/// Number of the program's headers.
pub const AT_PHNUM: u64 = 5;
/// Size of a page, in bytes.
pub const AT_PAGESZ: u64 = 6;
/// Address at which the dynamic loader was loaded.
pub const AT_BASE: u64 = 7;
/// Real user id.
pub const AT_UID: u64 = 11;
/// Effective user id.
pub const AT_EUID: u64 = 12;
/// Real group id.
pub const AT_GID: u64 = 13;
/// Effective group id.
pub const AT_EGID: u64 = 14;
/// 1 if the program was started with more rights than its user has (set-user-id and the like).
pub const AT_SECURE: u64 = 23;
/// Address of the path by which the program was started.
pub const AT_EXECFN: u64 = 31;
/// Address of the vdso, the kernel's page of code in the process.
pub const AT_SYSINFO_EHDR: u64 = 33;
