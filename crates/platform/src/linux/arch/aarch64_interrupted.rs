//! System calls that a stop has interrupted: none is known on this processor. (The kernel changes the registers for a restart
//! before it stops for a tracer, arch/arm64/kernel/signal.c, so that it has to be done in another way than on x86-64.)

use super::Wait;
use std::io;

/// A call that a stopped thread would return from with EINTR. There is none.
pub(crate) enum Call {}

impl Call {
    /// Returns `None`.
    pub(crate) fn of(_tid: i32) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn wait(&self) -> Wait {
        match *self {}
    }

    pub(crate) fn argument(&self, _number: usize) -> u64 {
        match *self {}
    }

    pub(crate) fn restart(self) -> io::Result<()> {
        match self {}
    }

    pub(crate) fn time_out(self) -> io::Result<()> {
        match self {}
    }
}
