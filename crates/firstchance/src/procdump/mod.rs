//! Understands ProcDump's command line.
//!
//! [`parse`] turns it into a [`Command`]: a rule, as every front end makes one, and plain options. Nothing here
//! touches the machine. All switches are in one table ([`switches`]), from which the parser, the help and
//! `docs/procdump.md` are made.

mod arguments;
#[cfg(test)]
mod docs;
mod header;
mod help;
mod install;
mod invocation;
mod lower;
mod monitor;
mod names;
mod numbers;
mod switches;
mod triggers;
mod windows;

pub(crate) use header::{header, is_of_several};
pub(crate) use help::help;
pub(crate) use invocation::{
    Command, Dialect, Install, Invocation, Launch, LogTo, Monitor, PostMortem, UsageError,
    WindowsSwitches,
};
pub(crate) use names::{is_name, template};
pub(crate) use switches::kind_switch;

use snapshot::OperatingSystem;

/// Reads a command line, without the program's own name.
///
/// `dialect` says which ProcDump is meant where the two differ, unless `--linux` is among the arguments; the
/// caller takes it from `PROCDUMP_DIALECT`. `system` is the system that firstchance runs on.
///
/// # Errors
/// Fails with a sentence for the user if a switch is unknown, if a value is missing or wrong, or if a trigger
/// is not possible on this system.
pub(crate) fn parse(
    arguments: &[String],
    dialect: Dialect,
    system: OperatingSystem,
) -> Result<Invocation, UsageError> {
    let dialect = dialect_of(arguments, dialect);
    let arguments = arguments::read(arguments, dialect)?;
    lower::lower(&arguments, dialect, system)
}

/// Whether a command line asks for ProcDump's own exit codes, also one that cannot be read.
pub(crate) fn wants_own_exit_codes(arguments: &[String]) -> bool {
    has_word(arguments, "--procdump-exit-codes")
}

/// Whether a command line says nothing, or only how it is to be understood: ProcDump shows its help then.
pub(crate) fn asks_for_nothing(arguments: &[String]) -> bool {
    let about_itself = ["--linux", "--procdump-exit-codes"];
    let is_about_itself = |word: &str| about_itself.iter().any(|w| w.eq_ignore_ascii_case(word));
    arguments.iter().all(|word| is_about_itself(word))
}

/// The dialect of a command line, also of one that cannot be read: that of `--linux`, or this one.
pub(crate) fn dialect_of(arguments: &[String], otherwise: Dialect) -> Dialect {
    match has_word(arguments, "--linux") {
        true => Dialect::Linux,
        false => otherwise,
    }
}

/// Whether a word is among ProcDump's own arguments, not those of a program that it starts.
fn has_word(arguments: &[String], word: &str) -> bool {
    let own = arguments::before_launch(arguments);
    arguments[..own]
        .iter()
        .any(|a| a.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
