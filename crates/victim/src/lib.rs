//! What a victim and the test that watches it both know.
//!
//! A victim (`victim MODE ARGS`) says on its standard output what the test has to know:
//!
//! ```text
//! fact NAME VALUE         any number of them
//! ready PID               from here on it does what its mode says
//! pong                    the answer to each line of input, after `fact listens yes`
//! ```
//!
//! Beside that it counts in a page shared with the test by a file ([`State`]), so that a test sees
//! it live without asking it anything.

mod state;

pub use state::{Slot, State};
