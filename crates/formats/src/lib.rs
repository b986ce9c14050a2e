//! Bytes ↔ snapshot, nothing else: ELF cores, minidumps, the identity of images.
//!
//! No system call, no clock, no `cfg(target_os)`: a Linux core is read and written on Windows and
//! the other way round.
