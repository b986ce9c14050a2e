//! ProcDump's command line.
//!
//! [`parse`] turns it into a [`Command`]: a rule, as every front end makes one, and plain options.
//! Nothing here touches the machine. All switches stand in one table ([`switches`]), from which
//! the parser, the help and `docs/procdump.md` are made.

mod arguments;
#[cfg(test)]
mod docs;
mod header;
mod help;
mod lower;
mod names;
mod options;
mod switches;
mod triggers;

pub(crate) use header::header;
pub(crate) use help::help;
pub(crate) use names::{is_name, template};
pub(crate) use options::{
    Command, Dialect, Install, Invocation, Launch, LogTo, Monitor, PostMortem, UsageError,
};
pub(crate) use switches::kind_switch;

use snapshot::OperatingSystem;

/// Reads a command line, without the program's own name.
///
/// `dialect` is what is meant where the two ProcDumps differ, unless `--linux` is among the
/// arguments; the caller takes it from `PROCDUMP_DIALECT`. `system` is what the program runs on.
///
/// # Errors
/// A sentence for the user: an unknown switch, a value that is missing or wrong, a trigger that
/// cannot be had on this system.
pub(crate) fn parse(
    arguments: &[String],
    dialect: Dialect,
    system: OperatingSystem,
) -> Result<Invocation, UsageError> {
    let is_linux = |a: &String| a.eq_ignore_ascii_case("--linux");
    let mine = arguments::before_launch(arguments);
    let dialect = match arguments[..mine].iter().any(is_linux) {
        true => Dialect::Linux,
        false => dialect,
    };
    let given = arguments::read(arguments, dialect)?;
    lower::lower(&given, dialect, system)
}

#[cfg(test)]
mod tests;
