//! The project's own rules, which no lint checks; ARCHITECTURE.md gives their reasons.

mod circles;
mod code;
mod edges;
mod paths;
mod pure;
mod size;
mod source;
mod tokens;
mod unused;

use std::fmt;

use anyhow::{Result, bail};

use crate::shell::root;
use source::Source;

/// A violation of a rule.
#[derive(Debug, PartialEq)]
struct Problem {
    /// The file, relative to the workspace.
    file: String,
    /// The line, from 1; 0 for the whole file.
    line: usize,
    /// What is wrong.
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Checks the whole workspace and prints every violation, and the circles that are allowed.
///
/// # Errors
/// If there is a violation.
pub(crate) fn run() -> Result<()> {
    let sources = source::collect(root())?;
    let mut problems = edges::check(root())?;
    problems.extend(unused::check(&sources)?);
    for source in &sources {
        problems.extend(check(source));
    }
    let (circles, allowed) = circles::check(&sources);
    problems.extend(circles);
    for circle in &allowed {
        println!("circle that is allowed: {circle}");
    }
    problems.iter().for_each(|problem| println!("{problem}"));
    println!("tidy: {} files, {} problems", sources.len(), problems.len());
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("{} problems", problems.len())
    }
}

/// Checks the rules about single files.
fn check(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::from_iter(size::check(source));
    problems.extend(paths::check(source));
    if source.is_rust() {
        problems.extend(code::check(source));
        problems.extend(pure::check(source));
    }
    problems
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        super::run().unwrap();
    }
}
