//! What was found before, so that it is not looked up once more.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

/// Answers that are remembered.
const MOST: usize = 1 << 16;

pub(super) struct Remembered<K, V>(RefCell<HashMap<K, V>>);

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(super) fn new() -> Self {
        Self(RefCell::default())
    }

    /// The answer for a key: the known one, or else what `find` finds.
    pub(super) fn get(&self, key: K, find: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.borrow().get(&key) {
            return known.clone();
        }
        let found = find();
        let mut known = self.0.borrow_mut();
        if known.len() < MOST {
            known.insert(key, found.clone());
        }
        found
    }
}
