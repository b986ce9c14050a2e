//! What only Windows does for dumps.

pub(crate) use super::kernel_dump::kernel_dump;
