//! Rule files: TOML to rules and back.
//!
//! ```toml
//! [[rule]]
//! name = "checkout crashes"
//! target = "service:checkout"
//! folder = "/var/lib/firstchance/checkout"
//! max-dumps = 10
//!
//!   [[rule.on]]
//!   when = "unhandled exception"
//!   do = "full dump"
//! ```
//!
//! Whether a file may be trusted (who can write it) is for its reader to see to, before this.

mod file;
mod print;

use policy::{Action, Rule};

/// Reads the rules of a file.
///
/// # Errors
/// A sentence with the line, the column and a caret under the place: unknown keys, wrong types,
/// and conditions, actions or targets that are none.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, toml::de::Error> {
    let file: file::File = toml::from_str(text)?;
    Ok(file.rules.into_iter().map(Rule::from).collect())
}

/// Prints rules as a file that [`parse`] reads again.
pub(crate) fn print(rules: &[Rule]) -> String {
    let rules: Vec<_> = rules.iter().map(print::rule).collect();
    rules.join("\n")
}

/// Whether a rule starts programs, which only a file that its administrator owns may ask for.
pub(crate) fn runs_programs(rule: &Rule) -> bool {
    let is_run = |action: &Action| matches!(action, Action::Run(_));
    rule.clauses.iter().any(|clause| {
        let last = clause.series.as_ref().and_then(|s| s.then.as_ref());
        is_run(&clause.action) || last.is_some_and(is_run)
    })
}

#[cfg(test)]
mod tests;
