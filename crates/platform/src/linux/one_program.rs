//! Looking at a process that executes other programs meanwhile, until a look is of one program.

use std::{
    io,
    time::{Duration, Instant},
};

/// For how long it is looked again, at most. A chain of wrappers (`sh`, `env`, `nice`, then the server) takes some
/// milliseconds, more on a loaded machine. A process that does nothing else must not keep us for ever.
const LOOKING: Duration = Duration::from_millis(300);

/// Looks until a look returns something; `None` says that the process has executed another program meanwhile.
///
/// # Errors
/// If a look fails, or the process executes one program after the other.
pub(crate) fn look<T>(mut once: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let end = Instant::now() + LOOKING;
    loop {
        if let Some(seen) = once()? {
            return Ok(seen);
        }
        if Instant::now() >= end {
            return Err(io::Error::other("it executes one program after the other"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_until_a_look_is_of_one_program() {
        let mut looks = 0;
        let seen = look(|| {
            looks += 1;
            Ok((looks == 40).then_some("seen"))
        });
        assert_eq!((seen.ok(), looks), (Some("seen"), 40));
    }

    #[test]
    fn a_look_that_fails_and_a_process_that_never_rests_are_errors() {
        let gone = look(|| Err::<Option<()>, _>(io::ErrorKind::NotFound.into()));
        assert_eq!(gone.expect_err("gone").kind(), io::ErrorKind::NotFound);
        let restless = look(|| Ok(None::<()>)).expect_err("restless");
        assert!(restless.to_string().contains("one program after the other"));
    }
}
