//! Texts in double quotes, as rules write them.

use std::fmt::{Formatter, Result, Write as _};

/// Prints a text in quotes, such that the lexer reads it again.
///
/// Control characters come out as `\u{…}`: a target's own strings end up in logs, where a line
/// break or an escape sequence would let it forge lines.
pub(crate) fn quote(text: &str, f: &mut Formatter<'_>) -> Result {
    f.write_char('"')?;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let behind = rest.as_str();
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' if is_escape(behind) => f.write_str("\\\\")?,
            c if c.is_control() => write!(f, "\\u{{{:x}}}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Whether a backslash before `behind` would mean something else than itself.
fn is_escape(behind: &str) -> bool {
    let next = behind.chars().next();
    next.is_none_or(|c| c == '\\' || c == '"' || c.is_control()) || behind.starts_with("u{")
}
