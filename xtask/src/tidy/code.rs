//! Rules about Rust code: what must not be in it, or only in certain crates.

use super::Problem;
use super::source::Source;
use super::tokens::{Token, after_group, starts_with};

/// The only crate that calls the system.
const PLATFORM: &str = "crates/platform";

/// Words of a `cfg` that distinguish operating systems.
const SYSTEM_WORDS: &[&str] = &[
    "target_os",
    "target_family",
    "target_env",
    "target_vendor",
    "unix",
    "windows",
];

/// Checks all rules of this file.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let mut found = Finds {
        source,
        problems: Vec::new(),
    };
    for at in 0..source.all_tokens.len() {
        found.everywhere(&source.all_tokens, at);
    }
    if !source.is_test {
        for at in 0..source.tokens.len() {
            found.outside_tests(&source.tokens, at);
        }
    }
    found.problems
}

/// The problems of one file, while they are collected.
struct Finds<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl Finds<'_> {
    fn add(&mut self, line: usize, text: &str) {
        let file = self.source.path.clone();
        self.problems.push(Problem {
            file,
            line,
            text: text.to_owned(),
        });
    }

    fn everywhere(&mut self, tokens: &[Token], at: usize) {
        let line = tokens[at].line;
        for name in ["todo", "unimplemented"] {
            if starts_with(tokens, at, &[name, "!"]) {
                self.add(line, &format!("{name}! is for drafts"));
            }
        }
        if starts_with(tokens, at, &["#", "[", "ignore"]) {
            self.add(line, "an ignored test proves nothing");
        }
        let is_unsafe = ["{", "impl"]
            .iter()
            .any(|next| starts_with(tokens, at, &["unsafe", next]));
        if is_unsafe && !has_safety_comment(&self.source.text, line) {
            self.add(
                line,
                "unsafe without a `// SAFETY:` comment right before it",
            );
        }
    }

    fn outside_tests(&mut self, tokens: &[Token], at: usize) {
        let line = tokens[at].line;
        if !self.source.is_in(PLATFORM) && !self.source.is_only_for_tests() {
            if tokens[at].text == "unsafe" {
                self.add(line, "unsafe belongs into crates/platform");
            }
            if names_a_system(tokens, at) {
                self.add(
                    line,
                    "code that distinguishes operating systems belongs into crates/platform",
                );
            }
        }
        let is_main = self.source.path.ends_with("src/main.rs") || self.source.is_only_for_tests();
        if starts_with(tokens, at, &["process", ":", ":", "exit"]) && !is_main {
            self.add(line, "only `main` ends the process");
        }
        if is_allow_without_reason(tokens, at) {
            self.add(line, "an `allow` or `expect` of a lint gives its reason");
        }
    }
}

fn names_a_system(tokens: &[Token], at: usize) -> bool {
    if starts_with(tokens, at, &["std", ":", ":", "os", ":", ":"]) {
        return true;
    }
    let open = match tokens[at].text.as_str() {
        "cfg" | "cfg_attr" => at + 1 + usize::from(starts_with(tokens, at + 1, &["!"])),
        _ => return false,
    };
    let is_cfg = starts_with(tokens, open, &["("]);
    let end = if is_cfg {
        after_group(tokens, open)
    } else {
        open
    };
    tokens[open..end]
        .iter()
        .any(|token| SYSTEM_WORDS.contains(&token.text.as_str()))
}

fn is_allow_without_reason(tokens: &[Token], at: usize) -> bool {
    if tokens[at].text != "#" {
        return false;
    }
    let open = at + 1 + usize::from(starts_with(tokens, at + 1, &["!"]));
    let is_lint = ["allow", "expect"]
        .iter()
        .any(|l| starts_with(tokens, open, &["[", l, "("]));
    is_lint
        && !tokens[open..after_group(tokens, open)]
            .iter()
            .any(|t| t.text == "reason")
}

/// Whether there is a comment `SAFETY:` directly above the statement that contains `line`.
fn has_safety_comment(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    for line in above.into_iter().rev() {
        if line.starts_with("//") {
            if line.contains("SAFETY:") {
                return true;
            }
        } else if line.is_empty() || line.ends_with([';', '{', '}']) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = Source::new(path, text).unwrap();
        check(&source).iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn unsafe_stands_in_platform_only_and_says_why() {
        let good = "fn f() {\n    // SAFETY: it is\n    // indeed.\n    let a =\n        unsafe { g() };\n}";
        assert_eq!(lines("crates/platform/src/a.rs", good), []);
        assert_eq!(lines("crates/policy/src/a.rs", good), [5]);
        assert_eq!(lines("crates/policy/tests/a.rs", good), []);
        let bad = "fn f() {\n    // SAFETY: old.\n    a();\n    unsafe { g() };\n}";
        assert_eq!(lines("crates/platform/src/a.rs", bad), [4]);
        assert_eq!(
            lines("crates/platform/src/a.rs", "unsafe impl Send for A {}"),
            [1]
        );
    }

    #[test]
    fn systems_are_distinguished_in_platform_only() {
        for text in [
            "#[cfg(target_os = \"linux\")] fn f() {}",
            "fn f() { if cfg!(windows) {} }",
            "#[cfg(all(unix, feature = \"x\"))] fn f() {}",
            "#[cfg_attr(windows, path = \"x\")] mod f;",
            "use std::os::fd::AsRawFd;",
        ] {
            assert_eq!(lines("crates/collector/src/a.rs", text), [1], "{text}");
            assert_eq!(lines("crates/platform/src/a.rs", text), [], "{text}");
            assert_eq!(lines("crates/victim/src/a.rs", text), [], "{text}");
        }
        assert_eq!(
            lines(
                "crates/policy/src/a.rs",
                "#[cfg(test)] mod tests { use std::os::fd; }"
            ),
            []
        );
        assert_eq!(
            lines(
                "crates/policy/src/a.rs",
                "#[cfg(feature = \"unix\")] fn f() {}"
            ),
            []
        );
    }

    #[test]
    fn drafts_ignored_tests_and_exits_are_found() {
        assert_eq!(
            lines(
                "crates/policy/tests/a.rs",
                "fn f() {\n todo!();\n unimplemented!()\n}"
            ),
            [2, 3]
        );
        assert_eq!(
            lines("crates/policy/tests/a.rs", "#[test]\n#[ignore]\nfn f() {}"),
            [2]
        );
        let exit = "fn f() { std::process::exit(1) }";
        assert_eq!(lines("crates/policy/src/a.rs", exit), [1]);
        assert_eq!(lines("crates/firstchance/src/main.rs", exit), []);
    }

    #[test]
    fn a_lint_is_silenced_with_a_reason() {
        assert_eq!(
            lines("crates/policy/src/a.rs", "#[allow(dead_code)] fn f() {}"),
            [1]
        );
        assert_eq!(lines("crates/policy/src/a.rs", "#![allow(dead_code)]"), [1]);
        assert_eq!(
            lines(
                "crates/policy/src/a.rs",
                "#[expect(dead_code, reason = \"x\")] fn f() {}"
            ),
            []
        );
    }
}
