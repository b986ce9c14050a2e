//! ptrace(2), in the parts that let a target live: SEIZE, INTERRUPT, register sets, DETACH.
//! ATTACH and EXITKILL are absent on purpose: both can take the target with them.

use std::{io, ptr};

type Tid = i32;

/// What a tracee reported to `waitpid(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Stopped by INTERRUPT, or newly created under TRACECLONE.
    Interrupted,
    /// In a group stop (job control): this signal stopped it.
    GroupStop(i32),
    /// About to receive this signal.
    Signal(i32),
    /// Made a thread or process of this id.
    Cloned(Tid),
    /// About to end, with this exit code or minus the signal.
    Exiting(i32),
    /// Became another program; the value is the tid that called execve(2).
    Executed,
    /// Any other event stop.
    OtherStop,
    /// Gone: exit code, or minus the signal.
    Gone(i32),
}

/// Starts tracing without stopping; new threads are traced too, ends and execs are reported.
pub(crate) fn seize(tid: Tid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEEXIT | libc::PTRACE_O_TRACEEXEC;
    request(libc::PTRACE_SEIZE, tid, 0, options as usize)
}

/// Asks for a stop.
pub(crate) fn interrupt(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// Lets a stopped tracee run on, still traced, with this signal delivered (0: none).
pub(crate) fn resume(tid: Tid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as usize)
}

/// Leaves a tracee in its group stop, listening for what comes.
pub(crate) fn listen(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0, 0)
}

/// Ends tracing of a stopped tracee; a group stop stays one.
pub(crate) fn detach(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, 0)
}

/// Reads the register set `kind` (`NT_PRSTATUS`, `NT_X86_XSTATE` …) into `buffer`; the bytes read.
pub(crate) fn register_set(tid: Tid, kind: u32, buffer: &mut [u8]) -> io::Result<&[u8]> {
    let mut place = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    request(
        libc::PTRACE_GETREGSET,
        tid,
        kind as usize,
        &raw mut place as usize,
    )?;
    Ok(&buffer[..place.iov_len])
}

/// Sets the register set `kind`.
pub(crate) fn set_register_set(tid: Tid, kind: u32, bytes: &[u8]) -> io::Result<()> {
    let mut place = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    request(
        libc::PTRACE_SETREGSET,
        tid,
        kind as usize,
        &raw mut place as usize,
    )
}

/// The signals that a stopped tracee blocks, a bit each.
pub(crate) fn blocked_signals(tid: Tid) -> io::Result<u64> {
    const GETSIGMASK: libc::c_uint = 0x420a;
    let mut mask = 0u64;
    request(GETSIGMASK, tid, size_of::<u64>(), &raw mut mask as usize)?;
    Ok(mask)
}

/// The next report of any tracee of this very thread, if there is one now.
pub(crate) fn next_report() -> io::Result<Option<(Tid, Report)>> {
    wait(-1, libc::WNOHANG)
}

/// Waits for the next report of this tracee.
pub(crate) fn report_of(tid: Tid) -> io::Result<Option<(Tid, Report)>> {
    wait(tid, libc::WNOHANG)
}

fn wait(tid: Tid, flags: i32) -> io::Result<Option<(Tid, Report)>> {
    let mut status = 0;
    // SAFETY: waitpid writes one int through a pointer to a live local.
    let who = unsafe {
        libc::waitpid(
            tid,
            &raw mut status,
            flags | libc::__WALL | libc::__WNOTHREAD,
        )
    };
    match who {
        0 => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        who => Ok(Some((who, decode(who, status)))),
    }
}

fn decode(tid: Tid, status: i32) -> Report {
    if libc::WIFEXITED(status) {
        return Report::Gone(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Report::Gone(-libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    match (status >> 16, signal) {
        (0, signal) => Report::Signal(signal),
        (libc::PTRACE_EVENT_STOP, libc::SIGTRAP) => Report::Interrupted,
        (libc::PTRACE_EVENT_STOP, signal) => Report::GroupStop(signal),
        (libc::PTRACE_EVENT_CLONE, _) => Report::Cloned(event_message(tid).unwrap_or(0) as Tid),
        (libc::PTRACE_EVENT_EXIT, _) => {
            Report::Exiting(exit_status(event_message(tid).unwrap_or(0)))
        }
        (libc::PTRACE_EVENT_EXEC, _) => Report::Executed,
        _ => Report::OtherStop,
    }
}

/// A wait status as exit code or minus the signal.
fn exit_status(message: u64) -> i32 {
    let status = message as i32;
    match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => -signal,
    }
}

fn event_message(tid: Tid) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message as usize)?;
    Ok(message as u64)
}

fn request(what: libc::c_uint, tid: Tid, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: every request made here either takes plain numbers or a pointer, passed as `data` by
    // the functions above, to a live local (or slice) of the size that ptrace(2) demands.
    let result = unsafe {
        libc::ptrace(
            what as _,
            tid,
            ptr::without_provenance_mut::<()>(address),
            data as *mut (),
        )
    };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
