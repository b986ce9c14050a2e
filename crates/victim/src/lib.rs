//! What a victim and the test that watches it share.
//!
//! A victim (`victim MODE ARGS`) writes what the test has to know to its standard output:
//!
//! ```text
//! fact NAME VALUE         any number of these
//! ready PID               from here on it does what its mode says
//! pong                    the answer to each line of input, after `fact listens yes`
//! ```
//!
//! Besides that it counts what it does in a file that both map into memory ([`State`]), so that a
//! test can watch it without asking.

mod state;

pub use state::{Slot, State};
