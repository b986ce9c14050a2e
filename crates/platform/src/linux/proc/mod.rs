//! Files of `/proc` (proc(5)), one module for each file that is parsed.
//!
//! `/proc/PID` is opened once as a folder, and its files relative to that, so that a recycled pid
//! is never mistaken for the process.

pub(crate) mod bounds;
mod dir;
mod from_start;
mod kept_file;
pub(crate) mod large;
pub(crate) mod machine;
pub(crate) mod map_text;
pub(crate) mod mounts;
pub(crate) mod own_texts;
mod regions;
pub(crate) mod smaps;
pub(crate) mod stat;
pub(crate) mod statm;
pub(crate) mod status;
pub(crate) mod values;

pub(crate) use dir::{
    ProcDir, ProcDirParts, all_pids, all_pids_and_folders, link, numbers_in, open_dir, read_file,
    read_file_up_to, read_stat,
};
pub(crate) use from_start::FromStart;
pub(crate) use kept_file::KeptFile;
