//! Calendar time in the time zone of this machine.

use snapshot::WallTime;

/// `2026-11-22T23:01:42.123+01:00`: RFC 3339, in milliseconds, with the offset of the time zone.
pub fn rfc3339(when: WallTime) -> String {
    format(when, "%Y-%m-%dT%H:%M:%S%.3f%:z")
}

/// A time in the form that `format` says, in the manner of strftime(3).
pub fn format(when: WallTime, format: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(when.0)).unwrap_or_default();
    let local = time.to_zoned(jiff::tz::TimeZone::system());
    local.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_offset() {
        let when = WallTime(1_795_000_000_123_456_789);
        let text = rfc3339(when);
        let again: jiff::Timestamp = text.parse().unwrap();
        assert_eq!(again.as_millisecond(), 1_795_000_000_123, "{text}");
        assert_eq!(format(when, "%H"), text[11..13], "{text}");
    }
}
