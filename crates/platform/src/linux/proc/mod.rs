//! `/proc/PID`: opened once, by directory, so that a recycled pid is never read for another.

mod dir;
pub(crate) mod machine;
pub(crate) mod smaps;
pub(crate) mod stat;
pub(crate) mod statm;
pub(crate) mod status;

pub(crate) use dir::{ProcDir, all_pids, link, numbers_in, open_dir, read_file, read_stat};
