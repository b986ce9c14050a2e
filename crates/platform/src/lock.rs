//! Taking what a mutex guards.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes what a mutex guards, also if a thread that had it has panicked: what it was about to change is whole or not begun.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
