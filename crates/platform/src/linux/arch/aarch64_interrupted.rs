//! System calls that a stop has interrupted.

use std::io;

/// Does nothing: no call that needs it is known on this processor. (The kernel changes the registers for a restart before it
/// stops for a tracer, arch/arm64/kernel/signal.c, so that it has to be done in another way than on x86-64.)
pub(crate) fn restart_interrupted(_tid: i32) -> io::Result<()> {
    Ok(())
}
