//! Signals of the BSDs, whose numbers are not those of Linux (sys/signal.h of NetBSD, FreeBSD and OpenBSD); up to 15 they
//! are also those of Solaris.

use snapshot::Exception;

/// The signals from 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "EMT", "FPE", "KILL", "BUS", "SEGV", "SYS",
    "PIPE", "ALRM", "TERM", "URG", "STOP", "TSTP", "CONT", "CHLD", "TTIN", "TTOU", "IO", "XCPU",
    "XFSZ", "VTALRM", "PROF", "WINCH", "INFO", "USR1", "USR2",
];

/// The name of a signal.
pub(super) fn name(exception: &Exception) -> String {
    let at = (exception.code as usize).wrapping_sub(1);
    match NAMES.get(at) {
        Some(name) => format!("SIG{name}"),
        None => format!("SIG{}", exception.code),
    }
}
