//! The name of a process that is only mentioned.

/// `None`: Windows does not tell who has done something to a process.
pub(crate) fn process_name(_pid: u32) -> Option<String> {
    None
}
