//! ProcDump's own exit codes (`--procdump-exit-codes`). They are documented nowhere: these are the ones that were seen.

use crate::{procdump::Dialect, ui::exit};
use platform::ErrorKind;
use std::process::ExitCode;

/// ProcDump for Windows, version 12, after its dumps were written: their number was seen to be 1.
const WRITTEN: u8 = 1;
/// The same, when a dump could not be written.
const NOT_WRITTEN: u8 = 2;
/// The same, when no process matched or for any other reason no dump was taken: -2, of which Linux keeps the last byte.
const NOTHING: u8 = 254;
/// ProcDump for Linux, when it did not understand its command line, or the folder that it names is none: -1.
const NOT_UNDERSTOOD: u8 = 255;

/// The exit code that ProcDump has where firstchance has `own`.
pub(super) fn of_procdump(own: ExitCode, dialect: Dialect) -> ExitCode {
    let is_usage = own == exit::code_of_usage();
    ExitCode::from(match dialect {
        Dialect::Windows if own == ExitCode::SUCCESS => WRITTEN,
        Dialect::Windows if own == exit::code(ErrorKind::Disk) => NOT_WRITTEN,
        Dialect::Windows => NOTHING,
        Dialect::Linux if is_usage => NOT_UNDERSTOOD,
        // It ends so also where there is no such process, or no dump could be written.
        Dialect::Linux => 0,
    })
}
