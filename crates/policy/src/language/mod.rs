//! The language of rules: from text to values, and back.

mod condition;
mod error;
mod lexer;
mod parser;
mod print;
mod rule;

pub use error::ParseError;
pub use print::print_when;

use crate::{Action, Condition, Rule, Target};
use parser::Parser;
use std::str::FromStr;

/// Reads a list of conditions, `CONDITION or CONDITION`.
///
/// # Errors
/// If the text is not such a list: what was expected, with a caret under the place.
pub fn parse_when(text: &str) -> Result<Vec<Condition>, ParseError> {
    Parser::whole(text, Parser::when)
}

impl FromStr for Condition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Parser::whole(text, Parser::condition)
    }
}

impl FromStr for Rule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Parser::whole(text, Parser::rule)
    }
}

impl FromStr for Action {
    type Err = ParseError;

    /// Reads `full dump`, `mini and full dump`, `custom dump 0x33`, `log stack`, `run PROGRAM` …;
    /// the program of `run` may go without quotes here, to the end of the text.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim().strip_prefix("run ").map(str::trim) {
            Some(program) if !program.starts_with('"') && !program.is_empty() => {
                Ok(Action::Run(program.to_owned()))
            }
            _ => Parser::whole(text, Parser::action),
        }
    }
}

impl FromStr for Target {
    type Err = ParseError;

    /// Reads a target as a user types it on the command line; a name may contain blanks.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        rule::target(text.trim()).ok_or_else(|| {
            let message = "expected a target: name, pid, service:NAME, user-service:NAME, \
                           pool:NAME, container:ID, cmdline:\"glob\", image:PATH (from the root on), group:PGID \
                           or launch:PROGRAM";
            ParseError::new(text, 0, message)
        })
    }
}

#[cfg(test)]
mod tests;
