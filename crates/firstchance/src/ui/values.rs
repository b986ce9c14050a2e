//! Parsers of option values, shared by the front ends. An error is a sentence for the user.

use platform::Existing;
use snapshot::DumpFormat;
use std::time::Duration;

/// What is done if there is a file of the name of a dump.
pub(crate) fn existing(replace: bool) -> Existing {
    match replace {
        true => Existing::Replace,
        false => Existing::NextName,
    }
}

/// Parses a duration: `500ms`, `10s`, `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    policy::parse_duration(text)
}

/// Parses a pid.
pub(crate) fn pid(text: &str) -> Result<u32, String> {
    let not_a_pid = |_| "a pid is a number: `firstchance ps` lists them".to_owned();
    text.parse().map_err(not_a_pid)
}

/// Parses a mask in hexadecimal, with or without `0x`.
pub(crate) fn mask(text: &str) -> Result<u64, String> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| "a mask is a hexadecimal number: 0x33".to_owned())
}

/// Parses a dump format: `core` or `minidump`.
pub(crate) fn format(text: &str) -> Result<DumpFormat, String> {
    match text {
        "core" => Ok(DumpFormat::Core),
        "minidump" => Ok(DumpFormat::Minidump),
        _ => Err("the format is core or minidump".to_owned()),
    }
}

/// Parses a size in bytes: `2GiB`, `500MB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    policy::parse_size(text)
}
