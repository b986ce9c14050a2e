//! Prints texts in double quotes, as rules write them.

use std::fmt::{Formatter, Result, Write as _};

/// Prints a text in quotes, so that the lexer reads the same text again.
///
/// Control characters are printed as `\u{…}`. A target's own strings get into logs, where a line break or
/// an escape sequence would let the target forge lines.
pub(crate) fn quote(text: &str, f: &mut Formatter<'_>) -> Result {
    f.write_char('"')?;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' if is_escape(after) => f.write_str("\\\\")?,
            c if c.is_control() => write!(f, "\\u{{{:x}}}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Whether a backslash before `after` would be read as the beginning of an escape.
fn is_escape(after: &str) -> bool {
    let next = after.chars().next();
    next.is_none_or(|c| c == '\\' || c == '"' || c.is_control()) || after.starts_with("u{")
}
