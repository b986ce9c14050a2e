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
    /// Came to a breakpoint of ours, of this place; the signal is taken off already.
    AtBreakpoint(u32),
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

/// Ends tracing of a stopped tracee, with this signal delivered (0: none); a group stop stays one.
pub(crate) fn detach(tid: Tid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, signal as usize)
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

/// Sets the register set `kind`; only x86-64 has a call to begin anew.
#[cfg(target_arch = "x86_64")]
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
    wait(libc::P_ALL, 0)
}

/// Waits for the next report of this tracee.
pub(crate) fn report_of(tid: Tid) -> io::Result<Option<(Tid, Report)>> {
    wait(libc::P_PID, tid)
}

/// A signal that is about to be delivered is looked at, but not taken off: were it, and were we
/// killed before the tracee is resumed, the kernel would forget the signal, and a target that was
/// about to die of it would run on (`wait_task_stopped` clears it, kernel/exit.c). It is told again
/// until the tracee is resumed.
fn wait(which: libc::idtype_t, tid: Tid) -> io::Result<Option<(Tid, Report)>> {
    let flags = libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
    let what = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
    // SAFETY: all-zero bytes are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid writes one siginfo_t through a pointer to a live local.
    let done = unsafe { libc::waitid(which, tid as libc::id_t, &raw mut info, flags | what) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid has filled these in, or they are zero still.
    let (who, code, status) = unsafe { (info.si_pid(), info.si_code, info.si_status()) };
    match (who, code, status) {
        (0, ..) => Ok(None),
        (who, libc::CLD_TRAPPED, libc::SIGTRAP) if let Some(place) = trap(who) => {
            // Taken off at once: this one is to be forgotten.
            let _ = take(who, flags)?;
            Ok(Some((who, Report::AtBreakpoint(place))))
        }
        (who, libc::CLD_TRAPPED, signal) if signal >> 8 == 0 => {
            Ok(Some((who, Report::Signal(signal))))
        }
        (who, ..) => take(who, flags),
    }
}

/// In the upper half of what a SIGTRAP of our own breakpoints brings.
pub(crate) const COOKIE: u64 = 0xf1c5_7c4a << 32;

/// The place of a breakpoint of ours, if a SIGTRAP comes from one (`TRAP_PERF` of sigaction(2)).
fn trap(tid: Tid) -> Option<u32> {
    const TRAP_PERF: i32 = 6;
    let info = signal_info(tid).ok()?;
    let cookie = u64::from_ne_bytes(*info[24..].first_chunk()?);
    let is_ours = SignalInfo::read(&info).code == TRAP_PERF && cookie >> 32 == COOKIE >> 32;
    is_ours.then_some(cookie as u32)
}

fn take(tid: Tid, flags: i32) -> io::Result<Option<(Tid, Report)>> {
    let mut status = 0;
    // SAFETY: waitpid writes one int through a pointer to a live local.
    let who = unsafe { libc::waitpid(tid, &raw mut status, flags) };
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

/// Size of `siginfo_t`.
const SIGINFO: usize = 128;

/// The `siginfo_t` of the signal that a stopped tracee is to get.
pub(crate) fn signal_info(tid: Tid) -> io::Result<[u8; SIGINFO]> {
    let mut info = [0u8; SIGINFO];
    request(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr() as usize)?;
    Ok(info)
}

/// A signal (`siginfo_t`, sigaction(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignalInfo {
    pub(crate) number: i32,
    pub(crate) code: i32,
    /// The address of a fault.
    pub(crate) address: u64,
    /// Who sent it.
    pub(crate) sender: u32,
}

impl SignalInfo {
    /// Reads the beginning of a `siginfo_t`: number, errno, code, then address or sender.
    pub(crate) fn read(info: &[u8; SIGINFO]) -> Self {
        let word = |at: usize| i32::from_ne_bytes(info[at..at + 4].try_into().unwrap_or_default());
        let address = u64::from_ne_bytes(info[16..24].try_into().unwrap_or_default());
        let code = word(8);
        // A positive code other than SI_KERNEL means that the kernel raised it for an address.
        let raised = (1..128).contains(&code);
        Self {
            number: word(0),
            code,
            address: if raised { address } else { 0 },
            sender: if raised { 0 } else { word(16) as u32 },
        }
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
