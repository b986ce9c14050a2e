use std::fmt;

/// Why a text is not a condition or rule. Shown as a sentence, the line, and a caret under the
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    text: String,
    at: usize,
    message: String,
}

/// How many characters of the line are shown before the place, and behind it.
const AROUND: usize = 60;

impl ParseError {
    /// `at` is a byte offset in `text`, on the boundary of a character.
    pub(crate) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            at,
            message: message.into(),
        }
    }

    /// The sentence without the line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place in the text, in bytes from its start.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The part of the line around the place, and how many of its characters are before the place.
    fn line(&self) -> (String, usize) {
        // With a tab or a line break the caret would not be under its place.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let (before, behind) = self.text.split_at(self.at);
        let skipped = before.chars().count().saturating_sub(AROUND);
        let mut line: String = before.chars().skip(skipped).map(plain).collect();
        let column = line.chars().count();
        line.extend(behind.chars().take(AROUND).map(plain));
        (line, column)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line();
        writeln!(f, "{}", self.message)?;
        writeln!(f, "    {}", line.trim_end())?;
        write!(f, "    {:column$}^", "")
    }
}

impl std::error::Error for ParseError {}
