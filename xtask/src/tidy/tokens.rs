//! The tokens of Rust code in one flat list, so that comments and strings are not taken for code.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A word, a sign, a literal, or a bracket.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Its line in the file, from 1.
    pub(super) line: usize,
}

/// The tokens of a file.
///
/// # Errors
/// If it is not Rust.
pub(super) fn lex(text: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = ends(group.delimiter());
                out.push(Token {
                    text: open.to_owned(),
                    line,
                });
                flatten(group.stream(), out);
                let line = group.span_close().end().line;
                out.push(Token {
                    text: close.to_owned(),
                    line,
                });
            }
            other => out.push(Token {
                text: other.to_string(),
                line,
            }),
        }
    }
}

fn ends(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// Whether the tokens from `at` on are these words.
pub(super) fn starts_with(tokens: &[Token], at: usize, words: &[&str]) -> bool {
    let rest = tokens.get(at..).unwrap_or(&[]);
    rest.len() >= words.len()
        && rest
            .iter()
            .zip(words)
            .all(|(token, word)| token.text == *word)
}

/// The index after the bracket that closes the one at `open`.
pub(super) fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The tokens without those of items under `#[cfg(test)]`.
pub(super) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match test_attribute(tokens, at) {
            Some(item) => at = after_item(tokens, item),
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// The names of modules in other files that are for tests only.
pub(super) fn test_modules(tokens: &[Token]) -> Vec<String> {
    let items = (0..tokens.len()).filter_map(|at| test_attribute(tokens, at));
    let names = items.filter_map(|item| {
        let item = skip_attributes(tokens, item);
        let item = item + usize::from(starts_with(tokens, item, &["pub"]));
        let is_outside = tokens.get(item + 2).is_some_and(|token| token.text == ";");
        (starts_with(tokens, item, &["mod"]) && is_outside).then(|| tokens[item + 1].text.clone())
    });
    names.collect()
}

/// The index after `#[cfg(test)]` or `#[cfg(all(test, …))]`, if that is at `at`.
fn test_attribute(tokens: &[Token], at: usize) -> Option<usize> {
    if !starts_with(tokens, at, &["#", "[", "cfg", "("]) {
        return None;
    }
    let end = after_group(tokens, at + 1);
    let inside = &tokens[at..end];
    let is_test =
        inside.iter().any(|t| t.text == "test") && !inside.iter().any(|t| t.text == "not");
    is_test.then_some(end)
}

fn skip_attributes(tokens: &[Token], mut at: usize) -> usize {
    while starts_with(tokens, at, &["#", "["]) {
        at = after_group(tokens, at + 1);
    }
    at
}

/// The index after the item at `at`: after its `;` or its block.
fn after_item(tokens: &[Token], at: usize) -> usize {
    let mut at = skip_attributes(tokens, at);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" | "," => return at + 1,
            "{" => return after_group(tokens, at),
            "(" | "[" => at = after_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let tokens = without_tests(&lex(text).unwrap());
        tokens
            .iter()
            .map(|t| t.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn items_for_tests_are_left_out() {
        assert_eq!(
            words("fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}"),
            "fn a ( ) { } fn c ( ) { }"
        );
        assert_eq!(
            words("#[cfg(test)] #[path = \"x\"] mod tests; struct A;"),
            "struct A ;"
        );
        assert_eq!(
            words("#[cfg(not(test))] struct A;"),
            "# [ cfg ( not ( test ) ) ] struct A ;"
        );
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(
            words("// unsafe {}\nconst A: &str = \"unsafe {}\";"),
            "const A : & str = \"unsafe {}\" ;"
        );
    }

    #[test]
    fn modules_for_tests_are_named() {
        let tokens =
            lex("#[cfg(test)]\nmod tests;\n#[cfg(test)] mod inline {}\nmod real;").unwrap();
        assert_eq!(test_modules(&tokens), ["tests"]);
    }
}
