//! How many descriptors we may have: each process that is kept at its death takes a dozen.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::OnceLock;

/// As many as we ever need.
const ENOUGH: u64 = 1 << 16;

static INHERITED: OnceLock<Rlimit> = OnceLock::new();

/// Raises our limit as far as we may: the usual one, 1024, is that of programs that use select(2) (getrlimit(2)).
pub(crate) fn raise() {
    let inherited = *INHERITED.get_or_init(|| getrlimit(Resource::Nofile));
    let most = inherited.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let current = Some(inherited.current.map_or(most, |current| current.max(most)));
    // Without it, less is kept at once.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current,
            ..inherited
        },
    );
}

/// Puts the limit back as it was when we were started, in a child that is about to execute a program. It only makes a call
/// that is safe between fork and exec.
pub(super) fn restore() {
    if let Some(inherited) = INHERITED.get() {
        let _ = setrlimit(Resource::Nofile, *inherited);
    }
}
