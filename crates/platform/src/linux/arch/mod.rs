//! What differs by processor: register sets as ptrace(2) gives them, and constants of the kernel's
//! system call interface. The modules of all processors have the same functions.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
#[path = "aarch64_calls.rs"]
pub(crate) mod calls;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64_calls.rs"]
pub(crate) mod calls;
#[cfg(target_arch = "aarch64")]
#[path = "aarch64_interrupted.rs"]
mod interrupted;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64_interrupted.rs"]
mod interrupted;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use interrupted::restart_interrupted;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
