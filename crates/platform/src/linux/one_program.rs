//! Looking at a process that executes other programs meanwhile, until a look is of one program.

use super::sys::wake;
use std::{
    io,
    time::{Duration, Instant},
};

/// For how long it is looked again, and how often, at least. A chain of wrappers (`sh`, `env`, `nice`, then the server) takes
/// some milliseconds, and on a loaded machine one look alone may take longer. A process that does nothing else must not keep
/// us for ever.
const LOOKING: Duration = Duration::from_millis(300);
const LOOKS: u32 = 5;

/// How long to wait before it is looked again, once that was done so often: it has the processor to itself meanwhile.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks until a look returns something; `None` says that the process has executed another program meanwhile.
///
/// # Errors
/// If a look fails, or the process executes one program after the other.
pub(crate) fn look<T>(mut once: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let end = Instant::now() + LOOKING;
    for looks in 1.. {
        if let Some(seen) = once()? {
            return Ok(seen);
        }
        if looks >= LOOKS && Instant::now() >= end {
            break;
        }
        if looks >= LOOKS {
            wake::sleep(&[], Some(Instant::now() + PAUSE));
        }
    }
    Err(io::Error::other("it executes one program after the other"))
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
