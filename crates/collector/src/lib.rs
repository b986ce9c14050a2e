//! The one loop and the one flow: run the rules, take the dump, keep the store.

mod store;

pub use store::record::{Gap, Record};
