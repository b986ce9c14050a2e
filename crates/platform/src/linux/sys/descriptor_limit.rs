//! How many descriptors we may have: each process that is followed takes twenty, and each that is kept at its death a dozen.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::OnceLock;

/// As many as we ever need.
const ENOUGH: u64 = 1 << 16;

static INHERITED: OnceLock<Rlimit> = OnceLock::new();

/// Raises our limit as far as we may: the usual one, 1024, is that of programs that use select(2) (getrlimit(2)). Who has
/// CAP_SYS_RESOURCE may raise the hard limit too: `ulimit -n 1024` in the shell that starts a watch is about other programs.
pub(crate) fn raise() {
    INHERITED.get_or_init(|| {
        let inherited = getrlimit(Resource::Nofile);
        if raise_to(inherited, ENOUGH).is_err() {
            // Without it, less is kept at once.
            let _ = raise_to(inherited, inherited.maximum.unwrap_or(ENOUGH).min(ENOUGH));
        }
        inherited
    });
}

fn raise_to(inherited: Rlimit, most: u64) -> rustix::io::Result<()> {
    let raised = |limit: Option<u64>| limit.map(|limit| limit.max(most));
    let limits = Rlimit {
        current: Some(raised(inherited.current).unwrap_or(most)),
        maximum: raised(inherited.maximum),
    };
    setrlimit(Resource::Nofile, limits)
}

/// Puts the limit back as it was when we were started, in a child that is about to execute a program. It only makes a call
/// that is safe between fork and exec.
pub(super) fn restore() {
    if let Some(inherited) = INHERITED.get() {
        let _ = setrlimit(Resource::Nofile, *inherited);
    }
}
