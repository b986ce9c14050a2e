//! A mutex for what threads that must react at once share with ordinary ones.
//!
//! An ordinary thread may lose its processor while it has a mutex: to a program that computes, or to a dying thread that is
//! held and keeps it. Who waits for the mutex would wait for that. Here, who has it runs with the priority of the first who
//! waits (`PTHREAD_PRIO_INHERIT`, pthread_mutexattr_setprotocol(3p)).

use std::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    sync::OnceLock,
};

/// The mutex and what it guards.
pub(crate) struct UrgentMutex<T> {
    /// Made when it is first needed, at a place where it stays.
    mutex: OnceLock<Box<UnsafeCell<libc::pthread_mutex_t>>>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by who has the mutex, one thread at a time; the mutex itself is made for threads.
unsafe impl<T: Send> Sync for UrgentMutex<T> {}
// SAFETY: both may be moved to another thread while nobody has the mutex: the system's mutex stays where it is.
unsafe impl<T: Send> Send for UrgentMutex<T> {}

impl<T> UrgentMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            mutex: OnceLock::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the mutex. A thread that has it must not ask again.
    pub(crate) fn lock(&self) -> UrgentGuard<'_, T> {
        // SAFETY: an initialised mutex that lives as long as `self`. It fails only for kinds of mutexes that this one is not.
        unsafe { libc::pthread_mutex_lock(self.mutex()) };
        UrgentGuard(self)
    }

    /// Takes the mutex if nobody has it.
    pub(crate) fn try_lock(&self) -> Option<UrgentGuard<'_, T>> {
        // SAFETY: as above.
        let taken = unsafe { libc::pthread_mutex_trylock(self.mutex()) };
        (taken == 0).then_some(UrgentGuard(self))
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.mutex.get_or_init(new_mutex).get()
    }
}

impl<T> Drop for UrgentMutex<T> {
    fn drop(&mut self) {
        if let Some(mutex) = self.mutex.get() {
            // SAFETY: nobody has it, as guards borrow `self`.
            unsafe { libc::pthread_mutex_destroy(mutex.get()) };
        }
    }
}

impl<T: Default> Default for UrgentMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// Who has the mutex, until this is dropped.
pub(crate) struct UrgentGuard<'m, T>(&'m UrgentMutex<T>);

impl<T> Deref for UrgentGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread has the mutex.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for UrgentGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread has the mutex, and the guard is borrowed mutably.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for UrgentGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this thread has the mutex.
        unsafe { libc::pthread_mutex_unlock(self.0.mutex()) };
    }
}

fn new_mutex() -> Box<UnsafeCell<libc::pthread_mutex_t>> {
    let mutex = Box::new(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: the attributes are initialised by the first call and destroyed by the last one. The mutex is in its place, and
    // nobody has used it yet. Where the system has no inheritance of priorities, it stays as it was initialised.
    unsafe {
        if libc::pthread_mutexattr_init(attributes.as_mut_ptr()) == 0 {
            libc::pthread_mutexattr_setprotocol(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PRIO_INHERIT,
            );
            libc::pthread_mutex_init(mutex.get(), attributes.as_ptr());
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
        }
    }
    mutex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::sys::priority;
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    /// The priority of a thread as the kernel has it now: below -1 for real-time priorities (proc_pid_stat(5), `priority`).
    fn priority_of(thread: i32) -> i64 {
        let stat =
            std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).expect("it lives");
        let fields = stat.rsplit(')').next().expect("fields");
        fields
            .split(' ')
            .nth(16)
            .and_then(|field| field.parse().ok())
            .expect("a number")
    }

    #[test]
    fn n23_who_has_the_mutex_runs_with_the_priority_of_who_waits_for_it() {
        static MUTEX: UrgentMutex<u32> = UrgentMutex::new(1);
        let held = MUTEX.lock();
        let (told, tells) = mpsc::channel();
        let urgent = std::thread::spawn(move || {
            priority::raise_priority();
            told.send(priority_of(priority::this_thread()) < -1)
                .expect("it waits");
            *MUTEX.lock() += 1;
        });
        // A control group may have no share of real-time priorities.
        if tells.recv().expect("its answer") {
            let end = Instant::now() + Duration::from_secs(60);
            while priority_of(priority::this_thread()) >= -1 {
                assert!(Instant::now() < end, "it is not raised");
                std::thread::yield_now();
            }
        }
        drop(held);
        urgent.join().expect("its end");
        assert_eq!(*MUTEX.lock(), 2);
        assert!(MUTEX.try_lock().is_some());
    }
}
