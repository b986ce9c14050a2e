//! Reads the values of switches that are numbers.

use super::{
    UsageError,
    switches::{Id, get},
};
use std::ops::RangeInclusive;

type Result<T> = std::result::Result<T, UsageError>;

/// All numbers that the switches for counts take, and those without 0.
pub(super) const ANY: RangeInclusive<u32> = 0..=u32::MAX;
pub(super) const NOT_ZERO: RangeInclusive<u32> = 1..=u32::MAX;

/// Reads the value of a switch as a whole number. Fails with a sentence that says that it is not `what`, or which numbers
/// the switch takes.
pub(super) fn whole(id: Id, text: &str, range: RangeInclusive<u32>, what: &str) -> Result<u32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return parsed(id, text, what);
    }
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| outside(get(id).name, &range, text))
}

/// That a switch does not take this number.
pub(super) fn outside(switch: &str, range: &RangeInclusive<u32>, given: &str) -> UsageError {
    let (least, most) = (range.start(), range.end());
    UsageError(format!(
        "-{switch} takes a number from {least} to {most}, not {given}"
    ))
}

/// Reads the value of a switch as a number. Fails with a sentence that says that it is not `what`.
pub(super) fn parsed<T: std::str::FromStr>(id: Id, text: &str, what: &str) -> Result<T> {
    // `inf`, `1e9` and `+5` are refused, which Rust's own parser would accept.
    let plain = text.chars().all(|c| c.is_ascii_digit() || ".-".contains(c));
    let number = text.parse().ok().filter(|_| plain);
    number.ok_or_else(|| {
        let usage = get(id).usage();
        UsageError(format!("{usage}: `{text}` is not {what}"))
    })
}
