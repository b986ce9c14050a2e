//! The crates that use nothing outside of them: no files, no network, no processes, no clock.

use super::Problem;
use super::source::Source;
use super::tokens::{Token, after_group, starts_with};

const PURE: &[&str] = &[
    "crates/snapshot",
    "crates/formats",
    "crates/policy",
    "crates/analysis",
    "crates/pages",
];

/// Modules of `std` that they must not use.
const MODULES: &[&str] = &["fs", "net", "process", "thread", "env"];

/// Types of `std` that read a clock.
const CLOCKS: &[&str] = &["SystemTime", "Instant"];

/// Finds uses of these outside of tests.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let is_pure = PURE
        .iter()
        .any(|folder| source.is_in(&format!("{folder}/src")));
    if !is_pure || source.is_test {
        return Vec::new();
    }
    let tokens = &source.tokens;
    let found = (0..tokens.len()).flat_map(|at| impure(tokens, at));
    let problem = |token: &Token| Problem {
        file: source.path.clone(),
        line: token.line,
        text: format!("this crate must not use `{}`", token.text),
    };
    found.map(problem).collect()
}

/// The tokens from `at` on that name one of these.
fn impure(tokens: &[Token], at: usize) -> Vec<&Token> {
    let is = |token: &Token, names: &[&str]| names.contains(&token.text.as_str());
    if is(&tokens[at], CLOCKS) {
        return vec![&tokens[at]];
    }
    if !starts_with(tokens, at, &["std", ":", ":"]) {
        return Vec::new();
    }
    let next = at + 3;
    let end = match starts_with(tokens, next, &["{"]) {
        true => after_group(tokens, next),
        false => (next + 1).min(tokens.len()),
    };
    tokens[next..end]
        .iter()
        .filter(|token| is(token, MODULES))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Source::new(path, text).unwrap()).len()
    }

    #[test]
    fn files_and_clocks_are_found() {
        for text in [
            "use std::fs;",
            "use std::fs::File;",
            "use std::{fmt, net};",
            "fn f() { let _ = std::time::Instant::now(); }",
            "use std::time::SystemTime;",
        ] {
            assert_eq!(count("crates/formats/src/a.rs", text), 1, "{text}");
            assert_eq!(count("crates/collector/src/a.rs", text), 0, "{text}");
            assert_eq!(count("crates/formats/tests/a.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn the_rest_of_std_is_free() {
        assert_eq!(
            count(
                "crates/policy/src/a.rs",
                "use std::{fmt, time::Duration}; struct Process;"
            ),
            0
        );
    }
}
