//! Fault points: places in the code at which a test can make something go wrong.
//!
//! The variable `FIRSTCHANCE_FAILPOINT` has the form `name:action[,name:action]`. The actions are
//! `kill9`, `panic`, `abort`, `sleep` (for 60 s, or until killed), `slow` (for 50 ms), `stop` (SIGSTOP to ourselves),
//! `enospc`, `eio` and `eintr`. They are compiled in by the feature `failpoints` only; in a
//! released program a fault point does nothing.

use std::io;

/// Does what `FIRSTCHANCE_FAILPOINT` says for the fault point `name`.
///
/// # Errors
/// The error that the action asks for, as if the system had returned it.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) -> io::Result<()> {
    let Ok(points) = std::env::var("FIRSTCHANCE_FAILPOINT") else {
        return Ok(());
    };
    let action = points.split(',').find_map(|point| {
        let (at, action) = point.split_once(':')?;
        (at == name).then_some(action)
    });
    action.map_or(Ok(()), act)
}

/// Does nothing: this is a released program.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_name: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
fn act(action: &str) -> io::Result<()> {
    match action {
        "kill9" => crate::os::kill_self(),
        "stop" => crate::os::stop_self(),
        "abort" => std::process::abort(),
        "panic" => panic!("failpoint"),
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(60)),
        "slow" => std::thread::sleep(std::time::Duration::from_millis(50)),
        "enospc" => return Err(io::ErrorKind::StorageFull.into()),
        "eio" => return Err(io::Error::other("I/O error (failpoint)")),
        "einval" => return Err(io::ErrorKind::InvalidInput.into()),
        "eintr" => return Err(io::ErrorKind::Interrupted.into()),
        other => panic!("FIRSTCHANCE_FAILPOINT: unknown action {other}"),
    }
    Ok(())
}
