//! Files stay short enough to be read at one sitting.

use super::Problem;
use super::source::Source;

/// The most lines a file has.
const LIMIT: usize = 600;

/// Tables, which nobody reads from end to end.
const TABLES: &[&str] = &[];

/// Kinds of files that the rule is about: code.
const CODE: &[&str] = &[
    ".rs", ".c", ".h", ".cpp", ".go", ".js", ".css", ".html", ".sh", ".py",
];

/// Counts the lines.
pub(super) fn check(source: &Source) -> Option<Problem> {
    let is_code = CODE.iter().any(|kind| source.path.ends_with(kind));
    let lines = source.text.lines().count();
    if !is_code || lines <= LIMIT || TABLES.contains(&source.path.as_str()) {
        return None;
    }
    let text = format!("{lines} lines; at most {LIMIT}, else it is two things");
    Some(Problem {
        file: source.path.clone(),
        line: lines,
        text,
    })
}
