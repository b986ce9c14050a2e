//! Reading tokens one after the other, for the grammars of conditions and rules.

use super::{
    ParseError,
    lexer::{Token, TokenKind, lex},
};

/// Reads tokens one after the other. The grammars are in [`condition`](super::condition) and
/// [`rule`](super::rule).
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
}

pub(super) type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    /// Reads all of `text` with `read`.
    pub(super) fn whole<T>(text: &'a str, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let tokens = lex(text)?;
        let next = 0;
        let mut parser = Self { text, tokens, next };
        let value = read(&mut parser)?;
        match parser.peek() {
            TokenKind::End => Ok(value),
            _ => Err(parser.expected("the end")),
        }
    }

    /// The next token.
    pub(super) fn peek(&self) -> &TokenKind<'a> {
        &self.tokens[self.next].kind
    }

    /// The token behind the next one; the end if that is the last.
    pub(super) fn peek_second(&self) -> &TokenKind<'a> {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.next + 1).min(last)].kind
    }

    /// The next word, if the next token is one.
    pub(super) fn peek_word(&self) -> Option<&'a str> {
        match self.peek() {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether there is no blank between the last token that was read and the next one.
    pub(super) fn is_glued(&self) -> bool {
        self.next > 0 && self.tokens[self.next - 1].end == self.tokens[self.next].at
    }

    /// Steps over the next token.
    pub(super) fn advance(&mut self) {
        // The end is never left.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    /// Steps over `word` if it is the next token; returns whether it was.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let here = self
            .peek_word()
            .is_some_and(|w| w.eq_ignore_ascii_case(word));
        if here {
            self.advance();
        }
        here
    }

    /// Steps over `sign` if it is the next token; returns whether it was.
    pub(super) fn eat_sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.peek(), TokenKind::Sign(s) if *s == sign);
        if here {
            self.advance();
        }
        here
    }

    /// Steps over `word`; fails if another token is next.
    pub(super) fn expect(&mut self, word: &str) -> Parsed<()> {
        match self.eat(word) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{word}`"))),
        }
    }

    /// Steps over `sign`; fails if another token is next.
    pub(super) fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        match self.eat_sign(sign) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{sign}`"))),
        }
    }

    /// Reads a quoted text; `what` names it in the error.
    pub(super) fn quoted(&mut self, what: &str) -> Parsed<String> {
        let TokenKind::Text(text) = self.peek() else {
            return Err(self.expected(&format!("{what} in quotes")));
        };
        let text = text.clone();
        self.advance();
        Ok(text)
    }

    /// Reads a word or a quoted text; `what` names it in the error.
    pub(super) fn word_or_quoted(&mut self, what: &str) -> Parsed<String> {
        match self.peek_word() {
            Some(word) => {
                self.advance();
                Ok(word.to_owned())
            }
            None => match self.peek() {
                TokenKind::Text(_) => self.quoted(what),
                _ => Err(self.expected(what)),
            },
        }
    }

    /// Reads a word by `read`, whose error is a sentence; `what` names the value in the error if
    /// the next token is not a word.
    pub(super) fn value<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Parsed<T> {
        let word = self.peek_word().ok_or_else(|| self.expected(what))?;
        let value = read(word).map_err(|message| self.error(message))?;
        self.advance();
        Ok(value)
    }

    /// Reads a whole number.
    pub(super) fn number(&mut self, what: &str) -> Parsed<u32> {
        let wrong = |word: &str| format!("expected {what}, not `{word}`");
        self.value(what, |word| word.parse().map_err(|_| wrong(word)))
    }

    /// Reads a duration.
    pub(super) fn duration(&mut self) -> Parsed<std::time::Duration> {
        self.value("a duration, such as 10s", crate::parse_duration)
    }

    /// An error at the next token.
    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, self.tokens[self.next].at, message)
    }

    /// The error "expected `what`", with the token that is there instead.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        let found = match self.peek() {
            TokenKind::Word(word) => format!("not `{word}`"),
            TokenKind::Text(_) => "not a quoted text".to_owned(),
            TokenKind::Sign(sign) => format!("not `{sign}`"),
            TokenKind::End => "but the text ends here".to_owned(),
        };
        self.error(format!("expected {what}, {found}"))
    }
}
