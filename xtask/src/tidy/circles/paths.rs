//! The paths that stand in a file: those of `use`, and those in the code that begin with `crate`,
//! `super` or `self`.

use super::super::tokens::{Token, starts_with};

/// A path as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    /// Its words: `crate`, `places`, `Register`; the last is `*` for everything in a module.
    pub(super) words: Vec<String>,
    /// The name under which a `use` brings it into the file; `None` for a path in the code.
    pub(super) name: Option<String>,
    /// The line in the file, from 1.
    pub(super) line: usize,
}

/// All paths of a file.
pub(super) fn paths(tokens: &[Token]) -> Vec<Path> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_start = ["crate", "super", "self"].contains(&tokens[at].text.as_str());
        if tokens[at].text == "use" {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if is_start && is_separator(tokens, at + 1) {
            at = in_code(tokens, at, &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    starts_with(tokens, at, &[":", ":"])
}

fn is_word(tokens: &[Token], at: usize) -> bool {
    let first = tokens.get(at).and_then(|token| token.text.chars().next());
    first.is_some_and(|c| c.is_alphabetic() || c == '_')
}

/// Reads a path in the code from its first word on; returns the place after it.
fn in_code(tokens: &[Token], start: usize, found: &mut Vec<Path>) -> usize {
    let mut at = start;
    let mut words = vec![tokens[at].text.clone()];
    while is_separator(tokens, at + 1) && is_word(tokens, at + 3) {
        at += 3;
        words.push(tokens[at].text.clone());
    }
    let line = tokens[start].line;
    found.push(Path {
        words,
        name: None,
        line,
    });
    at + 1
}

/// Reads one tree of a `use`, `prefix` being the words before it; returns the place after it.
fn use_tree(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let (mut at, mut words) = (start, prefix.to_vec());
    // `use ::name` is a library's path.
    at += 2 * usize::from(is_separator(tokens, at));
    while is_word(tokens, at) || starts_with(tokens, at, &["*"]) {
        words.push(tokens[at].text.clone());
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    if starts_with(tokens, at, &["{"]) {
        return use_group(tokens, at, &words, found);
    }
    let line = tokens.get(start).map_or(0, |token| token.line);
    if words.len() > prefix.len() && words.last().is_some_and(|word| word == "self") {
        words.pop();
    }
    let mut name = words.last().cloned();
    if starts_with(tokens, at, &["as"]) {
        name = tokens.get(at + 1).map(|token| token.text.clone());
        at += 2;
    }
    found.push(Path { words, name, line });
    at
}

/// Reads the trees between the braces that open at `open`; returns the place after them.
fn use_group(tokens: &[Token], open: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let mut at = open + 1;
    while at < tokens.len() && tokens[at].text != "}" {
        at = use_tree(tokens, at, prefix, found).max(at + 1);
        at += usize::from(starts_with(tokens, at, &[","]));
    }
    at + 1
}
