//! Text for the terminal: lines, tables, figures with units, and dates.
//!
//! Text that comes from a target (a thread's name, a path, a command line) goes through [`plain`]
//! before it is shown, so that a terminal cannot obey control characters in it.

use collector::local_time;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use platform::ProcessEntry;
use snapshot::WallTime;
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Characters of a command line that are shown in a table, at most.
const LONGEST_COMMAND: usize = 100;

/// Prints text on standard output. A reader that has closed the pipe (`| head`) is no error.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let lines = text.lines().map(str::trim_end);
    // In one piece: standard output writes each line by itself.
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints JSON. It is read by programs, and looked at in terminals.
pub(crate) fn print_json(json: &str) -> std::io::Result<()> {
    print(&plain_json(json))
}

/// Escapes what a terminal would obey in the strings of JSON, where it means the same: serde_json escapes nothing but the
/// control characters of ASCII, and between strings there are line breaks alone.
pub(crate) fn plain_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter == '\n' || !snapshot::disturbs_text(letter) {
            text.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

/// Tells something on standard error. That nobody reads it any more (`2>&1 | head`) changes nothing.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A table without lines. The columns with these numbers, from 0, hold figures and are aligned to
/// the right.
pub(crate) fn table(headers: &[&str], figures: &[usize]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if figures.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// A word in the quotes of a shell where it needs them, without control characters: it may come from
/// a target.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-@/".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", plain(word).replace('\'', "'\\''")),
    }
}

/// Formats milliseconds: `0.4 ms`, `12 ms`, `1.3 s`.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        _ if ms >= 1000.0 => format!("{:.1} s", ms / 1000.0),
        _ if ms >= 10.0 => format!("{ms:.0} ms"),
        _ => format!("{ms:.1} ms"),
    }
}

/// Formats a number of bytes in decimal units, with two or three digits: `62 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 9.95 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Formats a duration: `12.3 s`, `7:12` (minutes), `3:07:12` (hours).
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
    }
}

/// Escapes the control characters of a text that comes from a target: the terminal would obey an
/// ESC in a thread's name.
pub(crate) fn plain(text: &str) -> String {
    let visible = |c: char| {
        if snapshot::disturbs_text(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(visible).collect()
}

/// The command line of a process, for a table; its name in brackets if it has none.
pub(crate) fn command(entry: &ProcessEntry) -> String {
    let text = if entry.command_line.is_empty() {
        format!("[{}]", entry.name)
    } else {
        entry.command_line.join(" ")
    };
    // Servers that write their state over their arguments leave blanks behind it.
    cut(&plain(text.trim_end()), LONGEST_COMMAND)
}

/// Cuts a text to at most so many characters; the last is then `…`.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// Formats a time as local date and time: `2026-11-22 23:01:42`.
pub(crate) fn date_time(when: WallTime) -> String {
    local_time::format(when, "%Y-%m-%d %H:%M:%S")
}

/// Formats a time as local time: `23:01:42`.
pub(crate) fn time(when: WallTime) -> String {
    local_time::format(when, "%H:%M:%S")
}

/// The time now, as [`local_time::rfc3339`] formats it.
pub(crate) fn now_rfc3339() -> String {
    local_time::rfc3339(now())
}

/// The calendar time now.
pub(crate) fn now() -> WallTime {
    WallTime(jiff::Timestamp::now().as_nanosecond() as i64)
}

/// The calendar time of a moment that has passed; now, where it is not known.
pub(crate) fn at(moment: Option<Instant>) -> WallTime {
    let ago = moment.map_or(Duration::ZERO, |moment| moment.elapsed());
    WallTime(now().0.saturating_sub(ago.as_nanos() as i64))
}

/// A calendar time as RFC 3339 has it, in local time.
pub(crate) fn rfc3339(time: WallTime) -> String {
    local_time::rfc3339(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n41_json_has_nothing_that_a_terminal_obeys_and_means_the_same() {
        let name = "a\u{9b}1m\u{202e}b\u{e0041}\n\u{1b}ü";
        let json = serde_json::to_string_pretty(&[name]).expect("JSON");
        let plain = plain_json(&json);
        let disturbs = |c: &char| *c != '\n' && snapshot::disturbs_text(*c);
        assert_eq!(plain.chars().filter(disturbs).count(), 0, "{plain}");
        assert_eq!(plain.lines().count(), 3, "{plain}");
        let read: Vec<String> = serde_json::from_str(&plain).expect("JSON");
        assert_eq!(read, [name]);
    }

    #[test]
    fn n43_a_moment_that_has_passed_has_its_own_time() {
        let moment = Instant::now().checked_sub(Duration::from_secs(5));
        let ago = now().0 - at(moment).0;
        assert!((5_000_000_000..6_000_000_000).contains(&ago), "{ago}");
        assert!(now().0 - at(None).0 < 1_000_000_000);
    }

    #[test]
    fn figures_are_short_and_have_units() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(62_400_000), "62 MB");
        assert_eq!(size(1_234_000_000), "1.2 GB");
        assert_eq!(size(999_600), "1.0 MB");
        assert_eq!(milliseconds(0.42), "0.4 ms");
        assert_eq!(duration(Duration::from_secs(3725)), "1:02:05");
    }

    #[test]
    fn a_title_padded_with_blanks_is_shown_without_them() {
        let entry = ProcessEntry {
            command_line: vec![format!("nginx: worker process{}", " ".repeat(200))],
            ..ProcessEntry::default()
        };
        assert_eq!(command(&entry), "nginx: worker process");
    }

    #[test]
    fn e1_control_characters_are_shown_not_obeyed() {
        assert_eq!(plain("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
    }
}
