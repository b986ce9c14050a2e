//! Files are short enough to be read in one go.

use super::Problem;
use super::source::Source;

/// The most lines of a file.
const LIMIT: usize = 600;

/// Files that may be longer because they are tables.
const TABLES: &[&str] = &[];

/// The extensions of files with code; others may have any length.
const CODE: &[&str] = &[
    ".rs", ".c", ".h", ".cpp", ".go", ".js", ".css", ".html", ".sh", ".py",
];

/// Checks the number of lines.
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
