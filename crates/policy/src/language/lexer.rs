//! Cuts the text of a rule into tokens.

use super::ParseError;

/// A token and its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    /// Where it begins, in bytes from the start of the text.
    pub(super) at: usize,
    /// Where it ends, likewise.
    pub(super) end: usize,
    pub(super) kind: TokenKind<'a>,
}

/// The kinds of tokens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind<'a> {
    /// A run of characters other than blanks, quotes and signs: `cpu`, `85%`, `0xC0000005`,
    /// `ntdll!Zw`.
    Word(&'a str),
    /// A text in quotes, its escapes replaced.
    Text(String),
    /// `>=`, `>`, `<=`, `<`, `=`, `,` or `;`.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// The signs; longer ones stand before those that they begin with.
const SIGNS: [&str; 7] = [">=", ">", "<=", "<", "=", ",", ";"];

/// The tokens of a text; the last is [`TokenKind::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += blanks(&text[at..]);
        let (kind, length) = next(text, at)?;
        let done = kind == TokenKind::End;
        let end = at + length;
        tokens.push(Token { at, end, kind });
        if done {
            return Ok(tokens);
        }
        at = end;
    }
}

/// Whether `text` is a single word, so that it can be printed without quotes.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && word(text) == text.len() && !text.contains(char::is_control)
}

/// The token at `at`, and its length in bytes.
fn next(text: &str, at: usize) -> Result<(TokenKind<'_>, usize), ParseError> {
    let rest = &text[at..];
    if rest.is_empty() {
        return Ok((TokenKind::End, 0));
    }
    if rest.starts_with('"') {
        let (content, length) = quoted(text, at)?;
        return Ok((TokenKind::Text(content), length));
    }
    if let Some(sign) = SIGNS.iter().find(|&&sign| rest.starts_with(sign)) {
        return Ok((TokenKind::Sign(sign), sign.len()));
    }
    let length = word(rest);
    Ok((TokenKind::Word(&rest[..length]), length))
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn word(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "\"<>=,;".contains(c);
    text.find(ends).unwrap_or(text.len())
}

/// The content of the quoted text at `at`, and its length with quotes, in bytes.
///
/// `\"` is a quote, `\\` a backslash, `\u{…}` a character by its number; any other backslash is
/// itself, so that `"\Process(app)\Handle Count"` can be written as Windows shows it.
fn quoted(text: &str, at: usize) -> Result<(String, usize), ParseError> {
    let mut content = String::new();
    let mut rest = &text[at + 1..];
    loop {
        let special = rest.find(['"', '\\']);
        let Some(end) = special else {
            return Err(ParseError::new(text, at, "this quote is never closed"));
        };
        content.push_str(&rest[..end]);
        rest = &rest[end..];
        if rest.starts_with('"') {
            return Ok((content, text.len() - rest.len() + 1 - at));
        }
        let (escaped, length) = escape(rest);
        content.push(escaped);
        rest = &rest[length..];
    }
}

/// The character that the escape at the start of `text` means, and the escape's length in bytes.
fn escape(text: &str) -> (char, usize) {
    match text.as_bytes().get(1) {
        Some(b'"') => ('"', 2),
        Some(b'\\') => ('\\', 2),
        Some(b'u') => by_number(text).unwrap_or(('\\', 1)),
        _ => ('\\', 1),
    }
}

fn by_number(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("\\u{")?;
    let digits = digits.split_once('}')?.0;
    let number = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(number)?, digits.len() + 4))
}
