//! What the allocator of the C library keeps, and what it does with memory that is free.

/// The size in bytes from which a buffer has a mapping of its own.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 << 10;

/// Has large buffers given back to the system as soon as they are free, from now on. Else glibc keeps all up to the size
/// of the largest that was ever freed (up to 32 MiB, mallopt(3)): a few that grew while a large process was looked at
/// stay with a watch for ever.
pub(crate) fn give_large_buffers_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers, and fails by returning 0, which is harmless.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Has the allocator keep some memory for this thread. To get it later would change our address space, which has to wait
/// for any other thread of ours that is just doing so.
pub(crate) fn warm_up() {
    // Less than the allocator gives back (M_TRIM_THRESHOLD of mallopt(3), 128 KiB).
    drop(std::hint::black_box(vec![1_u8; 100 << 10]));
}
