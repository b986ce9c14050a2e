//! Durations and sizes as text: `10s`, `2GiB`.

use std::time::Duration;

/// The units of time, largest first: name and length in nanoseconds.
const TIMES: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// The units of size, in the order in which they are tried for printing: name and number of bytes.
const SIZES: [(&str, u64); 13] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    // Never printed, as those above come first.
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("B", 1),
];

/// Reads a duration: `500ms`, `10s`, `5m`, `1h`, `2d`, or several of them together: `1m30s`.
///
/// # Errors
/// Fails with a sentence for the user if the text is no such duration, or too large.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration, such as 500ms, 10s, 5m or 1h");
    let mut nanoseconds = 0u128;
    let mut rest = text;
    loop {
        let (number, after) = split_number(rest);
        let amount: u128 = number.parse().map_err(|_| wrong())?;
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let factor = factor(&TIMES, &after[..end]).ok_or_else(wrong)?;
        let part = amount.checked_mul(factor).ok_or_else(wrong)?;
        nanoseconds = nanoseconds.checked_add(part).ok_or_else(wrong)?;
        rest = &after[end..];
        if rest.is_empty() {
            break;
        }
    }
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).map_err(|_| wrong())?;
    Ok(Duration::new(seconds, (nanoseconds % 1_000_000_000) as u32))
}

/// Prints a duration in the largest unit that divides it: `90s`, `2m`, `1500ms`.
pub fn print_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let unit = TIMES
        .iter()
        .find(|(_, size)| nanoseconds.is_multiple_of(*size));
    let (name, size) = unit.unwrap_or(&("ns", 1));
    format!("{}{name}", nanoseconds / size)
}

/// Reads a size: `2GiB`, `500MB`, `1.5GiB`, `64KiB`, `4096B`, `2G`. Returns bytes. A number needs a unit; one letter is the
/// binary unit, as systemd, Docker and the JVM take it.
///
/// # Errors
/// Fails with a sentence for the user if the text is no such size.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size, such as 100MiB, 2GiB or 500MB");
    let (number, unit) = split_number(text);
    let factor = factor(&SIZES, unit).ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    // Beyond 2^53 a float no longer holds every byte.
    let countable = bytes.is_finite() && bytes < 9e15;
    countable.then_some(bytes as u64).ok_or_else(wrong)
}

/// Prints a size in the largest unit that divides it, binary units first: `2GiB`, `500MB`, `77B`.
pub fn print_size(bytes: u64) -> String {
    let unit = SIZES
        .iter()
        .find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size));
    let (name, size) = unit.unwrap_or(&("B", 1));
    format!("{}{name}", bytes / size)
}

/// A number and a thing, in the plural unless the number is 1: `1 dump`, `2 dumps`.
pub fn print_count(count: u64, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{ending}")
}

/// Splits `text` behind the digits and points that it begins with.
pub(crate) fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

fn factor<T: Copy>(units: &[(&str, T)], name: &str) -> Option<T> {
    let unit = units.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    unit.map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_and_printed_in_the_largest_exact_unit() {
        for (text, printed) in [
            ("500ms", "500ms"),
            ("10s", "10s"),
            ("120s", "2m"),
            ("1m30s", "90s"),
            ("1h", "1h"),
            ("0s", "0s"),
            ("1d12h", "36h"),
        ] {
            assert_eq!(print_duration(parse_duration(text).unwrap()), printed);
        }
        for wrong in [
            "",
            "10",
            "s",
            "10 s",
            "1.5s",
            "-1s",
            "10x",
            "99999999999999999999d",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_and_printed_in_the_largest_exact_unit() {
        for (text, bytes, printed) in [
            ("2GiB", 2 << 30, "2GiB"),
            ("1.5GiB", 3 << 29, "1536MiB"),
            ("500MB", 500_000_000, "500MB"),
            ("1000mib", 1000 << 20, "1000MiB"),
            ("2G", 2 << 30, "2GiB"),
            ("64k", 64 << 10, "64KiB"),
            ("77B", 77, "77B"),
            ("0B", 0, "0B"),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes);
            assert_eq!(print_size(bytes), printed);
        }
        for wrong in [
            "",
            "10",
            "GiB",
            "-1GiB",
            "1..5GiB",
            "1e3GiB",
            "99999999999TiB",
        ] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(bytes: u64, time: Duration) {
            prop_assert_eq!(parse_size(&print_size(bytes)), Ok(bytes));
            prop_assert_eq!(parse_duration(&print_duration(time)), Ok(time));
        }
    }
}
