//! Rule files: reads and prints rules as TOML.
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
//! The caller checks beforehand whether a file can be trusted (who can write to it).

mod file;
mod print;

use policy::{Action, Rule};

/// Reads the rules from the text of a file.
///
/// # Errors
/// Unknown keys, wrong types, and texts that are no condition, action or target. The message has the
/// line, the column and a caret under the place.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, toml::de::Error> {
    let file: file::File = toml::from_str(text)?;
    Ok(file.rules.into_iter().map(Rule::from).collect())
}

/// Prints rules as the text of a file that [`parse`] reads again.
pub(crate) fn print(rules: &[Rule]) -> String {
    let rules: Vec<_> = rules.iter().map(print::rule).collect();
    rules.join("\n")
}

/// Whether a rule starts programs. Only a file that nobody but the administrator can write to may
/// contain such a rule.
pub(crate) fn runs_programs(rule: &Rule) -> bool {
    rule.actions()
        .any(|action| matches!(action, Action::Run(_)))
}

#[cfg(test)]
mod tests;
