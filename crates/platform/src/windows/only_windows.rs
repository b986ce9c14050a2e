//! What only Windows does for dumps.

pub(crate) use super::{
    activation::activate, error_report::queue_report, kernel_dump::kernel_dump,
};
