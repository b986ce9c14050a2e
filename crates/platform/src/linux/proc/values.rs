//! Values in texts of `/proc` and `/sys`, which have a name at the beginning of a line, parts of the form
//! `name=value`, or columns.

/// Returns the value for a key in the text of a file: a name as in `MemAvailable`, a name and a
/// part as in `some.avg10`, or the number of a column of the first line. Values in kB are returned
/// in bytes.
pub(crate) fn find(text: &str, key: &str) -> Option<f64> {
    if let Ok(column) = key.parse::<usize>() {
        // The name of a process in `stat` may contain blanks, so columns are counted from its end.
        let (skipped, rest) = match text.rfind(')') {
            Some(close) => (2, &text[close + 1..]),
            None => (0, text),
        };
        let at = column.checked_sub(skipped + 1)?;
        return rest.split_ascii_whitespace().nth(at)?.parse().ok();
    }
    let (name, part) = match key.split_once('.') {
        Some((name, part)) => (name, Some(part)),
        None => (key, None),
    };
    text.lines().find_map(|line| {
        let mut words = line.split([' ', '\t', ':']).filter(|word| !word.is_empty());
        if words.next()? != name {
            return None;
        }
        let rest: Vec<&str> = words.collect();
        match part {
            Some(part) => rest
                .iter()
                .find_map(|word| word.strip_prefix(part)?.strip_prefix('=')?.parse().ok()),
            None if rest.last() == Some(&"kB") => {
                first_number(rest.into_iter()).map(|n| n * 1024.0)
            }
            None => first_number(rest.into_iter()),
        }
    })
}

/// Parses the first word as a number.
pub(crate) fn first_number<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<f64> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn values_are_found_by_line_by_part_and_by_column() {
        let pressure = "some avg10=1.25 avg60=0.00 total=9\nfull avg10=0.50 avg60=0.00 total=3\n";
        assert_eq!(find(pressure, "full.avg10"), Some(0.5));
        assert_eq!(
            find("MemTotal: 10 kB\nMemAvailable:   4 kB\n", "MemAvailable"),
            Some(4096.0)
        );
        assert_eq!(
            find("usage_usec 77\nnr_throttled 3\n", "nr_throttled"),
            Some(3.0)
        );
        assert_eq!(find("1.50 0.70 0.30 1/99 123\n", "1"), Some(1.5));
        assert_eq!(find("9 (a b) c) S 1 2 3\n", "4"), Some(1.0));
        assert_eq!(find("x 1", "y"), None);
    }
}
