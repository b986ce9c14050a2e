//! The one loop and the one flow: run the rules, take the dump, keep the store.

mod collect;
mod run;
mod store;

pub use collect::{Collected, Destination, Names, Request, Step, Written, collect, output_folder};
pub use run::{Cancelled, Ended, Happening, Manner, Plan, identity, prepare, run};
pub use store::record::{Gap, Record};
