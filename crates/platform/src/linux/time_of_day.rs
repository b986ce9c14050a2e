//! The time of day.

use snapshot::WallTime;
use std::time::SystemTime;

/// Returns the time of day.
pub(crate) fn wall_now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
