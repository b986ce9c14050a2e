//! What the allocator of the C library keeps, and what it does with memory that is free.

/// The size in bytes from which a buffer has a mapping of its own.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 << 10;

/// How much free memory of a thread is kept, in bytes.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 512 << 10;

/// Has large buffers given back to the system as soon as they are free, from now on. Else glibc keeps all up to the size
/// of the largest that was ever freed (up to 32 MiB, mallopt(3)): a few that grew while a large process was looked at
/// stay with a watch for ever.
pub(crate) fn give_large_buffers_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers, and fails by returning 0, which is harmless.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Gives the memory back that is free between what is used: glibc by itself gives back what is free at the end of the memory
/// of each thread only, and a name that is kept may come after 65,000 that are not.
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the allocator keep some memory for this thread. To get it later would change our address space, which has to wait
/// for any other thread of ours that is just doing so.
pub(crate) fn warm_up() {
    // Each smaller than what has a mapping of its own, all together less than the allocator gives back.
    let some: [Vec<u8>; 4] = std::array::from_fn(|_| vec![1; 100 << 10]);
    drop(std::hint::black_box(some));
}
