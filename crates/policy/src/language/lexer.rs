use super::ParseError;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// Where it ends.
    pub(super) end: usize,
    pub(super) kind: Kind<'a>,
}

/// What a piece of text is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    /// A run of anything but blanks, quotes and signs: `cpu`, `85%`, `0xC0000005`, `ntdll!Zw`.
    Word(&'a str),
    /// A quoted text, unescaped.
    Text(String),
    /// `>=`, `>`, `<=`, `<`, `=`, `,` or `;`.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Longer signs before those that begin them.
const SIGNS: [&str; 7] = [">=", ">", "<=", "<", "=", ",", ";"];

/// Cuts a text into pieces; the last is [`Kind::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += blanks(&text[at..]);
        let (kind, length) = next(text, at)?;
        let done = kind == Kind::End;
        let end = at + length;
        tokens.push(Token { at, end, kind });
        if done {
            return Ok(tokens);
        }
        at = end;
    }
}

/// Whether `text` is one word to the lexer, so that it can be printed without quotes.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && word(text) == text.len() && !text.contains(char::is_control)
}

fn next(text: &str, at: usize) -> Result<(Kind<'_>, usize), ParseError> {
    let rest = &text[at..];
    if rest.is_empty() {
        return Ok((Kind::End, 0));
    }
    if rest.starts_with('"') {
        let (content, length) = quoted(text, at)?;
        return Ok((Kind::Text(content), length));
    }
    if let Some(sign) = SIGNS.iter().find(|&&sign| rest.starts_with(sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let length = word(rest);
    Ok((Kind::Word(&rest[..length]), length))
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn word(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "\"<>=,;".contains(c);
    text.find(ends).unwrap_or(text.len())
}

/// The content of the quoted text at `at`, and how long it is with its quotes.
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

/// What the backslash at the start of `text` means, and how long the escape is.
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
