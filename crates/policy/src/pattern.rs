//! Text patterns with `*`, and filters made of them.

use snapshot::fold_case;
use std::fmt;

/// A text to look for. `*` stands for any text, and case is ignored.
///
/// `?` is an ordinary character, because C++ names on Windows begin with it (`E06D7363.?AVNotFound@@`).
/// The time that matching takes is linear in the lengths of text and pattern: each piece between two stars
/// is looked for once, from the end of the piece before.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    pieces: Vec<String>,
}

impl Pattern {
    /// Makes a pattern from the text that the user wrote.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let pieces = text.split('*').map(fold_case).collect();
        Self { text, pieces }
    }

    /// The text that the user wrote.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found anywhere in `text`. The empty pattern is never found: with it, a user
    /// asks to show everything and do nothing (ProcDump's `-f ""`).
    pub fn is_in(&self, text: &str) -> bool {
        !self.text.is_empty() && in_order(&self.pieces, &fold_case(text)).is_some()
    }

    /// Whether the pattern matches the whole of `text`, from start to end.
    pub fn is_all_of(&self, text: &str) -> bool {
        let text = fold_case(text);
        let [first, middle @ .., last] = &self.pieces[..] else {
            return self.pieces[0] == text;
        };
        let inner = text.strip_prefix(first.as_str());
        let inner = inner.and_then(|text| text.strip_suffix(last.as_str()));
        inner.is_some_and(|text| in_order(middle, text).is_some())
    }
}

/// The rest of `text` after all `pieces` were found in it, one after the other. Returns `None` if one was
/// not found.
fn in_order<'a>(pieces: &[String], text: &'a str) -> Option<&'a str> {
    pieces.iter().try_fold(text, |rest, piece| {
        let at = rest.find(piece.as_str())?;
        Some(&rest[at + piece.len()..])
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::quote::quote(&self.text, f)
    }
}

/// Selects texts: by patterns of which one must be found, and others of which none may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these must be found. If empty, any text is selected.
    pub include: Vec<Pattern>,
    /// None of these may be found, even if one of `include` is.
    pub exclude: Vec<Pattern>,
}

impl Filter {
    /// Whether the filter selects `text`.
    pub fn passes(&self, text: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|p| p.is_in(text));
        included && !self.exclude.iter().any(|p| p.is_in(text))
    }

    /// Whether the filter selects the file at `path`. A pattern without a separator is looked for only in
    /// the file's name: `*temp*` does not mean every module in `C:\Temp`.
    pub fn passes_path(&self, path: &str) -> bool {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let hit = |pattern: &Pattern| match pattern.text.contains(['/', '\\']) {
            true => pattern.is_in(path),
            false => pattern.is_in(name),
        };
        let included = self.include.is_empty() || self.include.iter().any(hit);
        included && !self.exclude.iter().any(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_pattern_is_contained_and_ignores_case() {
        for (pattern, text, is_in) in [
            ("notfound", "E06D7363.?AVNotFound@@", true),
            ("?AV", "E06D7363.?AVNotFound@@", true),
            ("?AV", "xAV", false),
            (
                "System.*Exception",
                "E0434352.System.NullReferenceException (\"x\")",
                true,
            ),
            ("Exception*System", "System.Exception", false),
            ("*", "", true),
            ("", "anything", false),
            ("406d1388", "406D1388.THREAD_NAME", true),
            ("ä*Ö", "xÄzö", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).is_in(text),
                is_in,
                "{pattern} in {text}"
            );
        }
    }

    #[test]
    fn a_pattern_can_be_the_whole_text() {
        for (pattern, text, all) in [
            (
                "java *-jar app.jar*",
                "java -Xmx2g -jar app.jar --port 1",
                true,
            ),
            ("java", "java -jar", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("", "", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).is_all_of(text),
                all,
                "{pattern} is {text}"
            );
        }
    }

    #[test]
    fn exclude_wins_and_a_path_is_judged_by_its_file_name() {
        let filter = |include: &[&str], exclude: &[&str]| Filter {
            include: include.iter().map(|&p| Pattern::new(p)).collect(),
            exclude: exclude.iter().map(|&p| Pattern::new(p)).collect(),
        };
        assert!(filter(&[], &[]).passes("anything"));
        assert!(filter(&["a", "b"], &[]).passes("xbx"));
        assert!(!filter(&["a"], &["b"]).passes("ab"));
        assert!(filter(&["*.dll"], &[]).passes_path(r"C:\Temp\x.dll"));
        assert!(!filter(&["temp"], &[]).passes_path(r"C:\Temp\x.dll"));
        assert!(filter(&["/temp/"], &[]).passes_path("/opt/temp/x.so"));
    }

    /// Row G3: a pattern that makes backtracking matchers run for ever.
    #[test]
    fn g3_hostile_patterns_stay_linear() {
        let started = Instant::now();
        let text = "a".repeat(100_000);
        for pattern in [
            "*".repeat(1000),
            "*a".repeat(1000) + "*b",
            "(a+)+$".to_owned(),
        ] {
            assert!(
                !Pattern::new(pattern.clone() + "b").is_in(&text),
                "{pattern}"
            );
            assert!(
                !Pattern::new(pattern.clone() + "b").is_all_of(&text),
                "{pattern}"
            );
        }
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
