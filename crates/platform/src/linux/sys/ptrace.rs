//! ptrace(2), as far as it lets the target live: SEIZE, INTERRUPT, register sets, DETACH. ATTACH
//! is missing on purpose, because it can kill the target; EXITKILL, which can too, is for a clone of
//! the target alone.

use std::{cell::RefCell, collections::BTreeMap, io, ptr};

type Tid = i32;

/// What a traced thread reported to waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It was stopped by INTERRUPT, or is new and traced from its birth (TRACECLONE).
    Interrupted,
    /// It is in a group stop (job control), by this signal.
    GroupStop(i32),
    /// It is about to receive this signal.
    Signal(i32),
    /// It came to our hardware breakpoint of this place. The SIGTRAP was taken off already.
    AtBreakpoint(u32),
    /// It made a thread or process of this id.
    Cloned(Tid),
    /// It is about to end, with this exit code or minus the signal.
    Exiting(i32),
    /// The process executed another program, by the thread that had this id before.
    Executed(Tid),
    /// It is at the begin or the end of a system call, as [`to_next_call`] asked for.
    AtSystemCall,
    /// It stopped for another event.
    OtherStop,
    /// It has ended, with this exit code or minus the signal.
    Gone(i32),
}

/// Begins to trace a thread without stopping it. New threads are traced too; exits and execs are
/// reported.
pub(crate) fn seize(tid: Tid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEEXIT | libc::PTRACE_O_TRACEEXEC;
    request(libc::PTRACE_SEIZE, tid, 0, options as usize)
}

/// Asks a traced thread to stop.
pub(crate) fn interrupt(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// Lets a stopped thread run on, still traced, and delivers this signal (0: none).
pub(crate) fn resume(tid: Tid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as usize)
}

/// Leaves a thread in its group stop, while its reports are still received.
pub(crate) fn listen(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0, 0)
}

/// Ends the tracing of a stopped thread, and delivers this signal (0: none). A group stop
/// continues.
pub(crate) fn detach(tid: Tid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, signal as usize)
}

/// Reads the register set `kind` (`NT_PRSTATUS`, `NT_X86_XSTATE` …) of a stopped thread into
/// `buffer`, and returns the bytes that were read.
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

/// Writes the register set `kind` of a stopped thread. Only x86-64 needs it, to restart system
/// calls.
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

/// Returns the signals that a stopped thread blocks, a bit each.
pub(crate) fn blocked_signals(tid: Tid) -> io::Result<u64> {
    const GETSIGMASK: libc::c_uint = 0x420a;
    let mut mask = 0u64;
    request(GETSIGMASK, tid, size_of::<u64>(), &raw mut mask as usize)?;
    Ok(mask)
}

/// Sets which signals a stopped thread blocks, a bit each. Only x86-64 needs it, to make calls in a target.
#[cfg(target_arch = "x86_64")]
pub(crate) fn block_signals(tid: Tid, mask: u64) -> io::Result<()> {
    const SETSIGMASK: libc::c_uint = 0x420b;
    request(SETSIGMASK, tid, size_of::<u64>(), &raw const mask as usize)
}

/// Has system calls of a stopped thread reported as such.
pub(crate) fn tell_calls(tid: Tid) -> io::Result<()> {
    let usual = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEEXIT | libc::PTRACE_O_TRACEEXEC;
    let options = usual | libc::PTRACE_O_TRACESYSGOOD;
    request(libc::PTRACE_SETOPTIONS, tid, 0, options as usize)
}

/// Has a stopped clone of the target end when this OS thread does, and its system calls reported.
pub(crate) fn end_with_us(clone: Tid) -> io::Result<()> {
    let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
    request(libc::PTRACE_SETOPTIONS, clone, 0, options as usize)
}

/// Lets a stopped thread run to the begin, or from there to the end, of its next system call.
pub(crate) fn to_next_call(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, 0, 0)
}

/// Returns where the `struct rseq` of a stopped thread is (rseq(2)); `None` if it has none, or the kernel does not tell.
pub(crate) fn restartable_sequences(tid: Tid) -> Option<u64> {
    const GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;
    // struct ptrace_rseq_configuration: the address is the first of its words.
    let mut words = [0u64; 3];
    let place = words.as_mut_ptr() as usize;
    request(GET_RSEQ_CONFIGURATION, tid, size_of_val(&words), place).ok()?;
    Some(words[0]).filter(|at| *at != 0)
}

/// An instruction of a filter of system calls (`struct sock_filter`).
pub(crate) type FilterInstruction = [u8; 8];

/// Returns a filter of system calls of a stopped thread: the one that was set last is 0.
///
/// # Errors
/// `NotFound` if there are no more; others if we may not see them.
pub(crate) fn seccomp_filter(tid: Tid, number: usize) -> io::Result<Vec<FilterInstruction>> {
    const SECCOMP_GET_FILTER: libc::c_uint = 0x420c;
    // The kernel's BPF_MAXINSNS.
    let mut filter = vec![[0; 8]; 4096];
    let place = filter.as_mut_ptr() as usize;
    let count = answered(SECCOMP_GET_FILTER, tid, number, place)?;
    filter.truncate(count);
    Ok(filter)
}

thread_local! {
    /// Processes whose reports are kept for who asks by their pid, with what they reported last.
    static ASIDE: RefCell<BTreeMap<Tid, Option<Report>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Keeps the reports of a clone of a target for who asks by its pid: it is none of the target's threads.
pub(crate) fn set_aside(clone: Tid) {
    ASIDE.with_borrow_mut(|aside| aside.insert(clone, None));
}

/// Ends what [`set_aside`] began.
pub(crate) fn not_aside(clone: Tid) {
    ASIDE.with_borrow_mut(|aside| aside.remove(&clone));
}

/// Returns the next report of any thread that this OS thread traces, without waiting.
pub(crate) fn next_report() -> io::Result<Option<(Tid, Report)>> {
    loop {
        let Some((tid, report)) = wait(libc::P_ALL, 0)? else {
            return Ok(None);
        };
        if !ASIDE.with_borrow(|aside| aside.contains_key(&tid)) {
            return Ok(Some((tid, report)));
        }
        // Taken off, or it would be the next one again.
        if matches!(report, Report::Signal(_)) {
            take(tid, FLAGS)?;
        }
        ASIDE.with_borrow_mut(|aside| aside.insert(tid, Some(report)));
    }
}

/// Returns the next report of this thread, without waiting.
pub(crate) fn report_of(tid: Tid) -> io::Result<Option<(Tid, Report)>> {
    let aside = ASIDE.with_borrow_mut(|aside| aside.get_mut(&tid).and_then(Option::take));
    match aside {
        Some(report) => Ok(Some((tid, report))),
        None => wait(libc::P_PID, tid),
    }
}

/// How reports are waited for.
const FLAGS: i32 = libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;

/// Takes the next report, but leaves a signal that is about to be delivered (`WNOWAIT`), which is
/// then reported again until the thread is resumed. If we took it and were killed before the thread
/// is resumed, the kernel would forget the signal, and a process that was about to die of it would
/// run on (`wait_task_stopped` in kernel/exit.c clears it).
fn wait(which: libc::idtype_t, tid: Tid) -> io::Result<Option<(Tid, Report)>> {
    let flags = FLAGS;
    let what = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
    // SAFETY: all-zero bytes are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid(2) writes one siginfo_t to a live local.
    let done = unsafe { libc::waitid(which, tid as libc::id_t, &raw mut info, flags | what) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: for what waitid(2) returns, these fields are filled; if it returned nothing, they are
    // still zero.
    let (who, code, status) = unsafe { (info.si_pid(), info.si_code, info.si_status()) };
    match (who, code, status) {
        (0, ..) => Ok(None),
        (who, libc::CLD_TRAPPED, libc::SIGTRAP) if let Some(place) = trap(who) => {
            // This one is taken off: the process must never see the SIGTRAP.
            let _ = take(who, flags)?;
            Ok(Some((who, Report::AtBreakpoint(place))))
        }
        (who, libc::CLD_TRAPPED, signal) if signal >> 8 == 0 && signal != AT_CALL => {
            Ok(Some((who, Report::Signal(signal))))
        }
        (who, ..) => take(who, flags),
    }
}

/// The upper half of the cookie that a SIGTRAP of our own breakpoints contains.
pub(crate) const COOKIE: u64 = 0xf1c5_7c4a << 32;

/// Returns the number of the place if a SIGTRAP comes from a hardware breakpoint of ours
/// (`TRAP_PERF` of sigaction(2)).
fn trap(tid: Tid) -> Option<u32> {
    const TRAP_PERF: i32 = 6;
    let info = signal_info(tid).ok()?;
    let cookie = u64::from_ne_bytes(*info[24..].first_chunk()?);
    let is_ours = SignalInfo::read(&info).code == TRAP_PERF && cookie >> 32 == COOKIE >> 32;
    is_ours.then_some(cookie as u32)
}

/// Takes a report off, so that it does not come again.
fn take(tid: Tid, flags: i32) -> io::Result<Option<(Tid, Report)>> {
    let mut status = 0;
    // SAFETY: waitpid(2) writes one int to a live local.
    let who = unsafe { libc::waitpid(tid, &raw mut status, flags) };
    match who {
        0 => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        who => Ok(Some((who, decode(who, status)))),
    }
}

/// The signal that a stop at a system call has (`PTRACE_O_TRACESYSGOOD`).
const AT_CALL: i32 = libc::SIGTRAP | 0x80;

fn decode(tid: Tid, status: i32) -> Report {
    if libc::WIFEXITED(status) {
        return Report::Gone(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Report::Gone(-libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    match (status >> 16, signal) {
        (0, AT_CALL) => Report::AtSystemCall,
        (0, signal) => Report::Signal(signal),
        (libc::PTRACE_EVENT_STOP, libc::SIGTRAP) => Report::Interrupted,
        (libc::PTRACE_EVENT_STOP, signal) => Report::GroupStop(signal),
        (libc::PTRACE_EVENT_CLONE, _) => Report::Cloned(event_message(tid).unwrap_or(0) as Tid),
        (libc::PTRACE_EVENT_EXIT, _) => {
            Report::Exiting(exit_status(event_message(tid).unwrap_or(0)))
        }
        (libc::PTRACE_EVENT_EXEC, _) => Report::Executed(event_message(tid).unwrap_or(0) as Tid),
        _ => Report::OtherStop,
    }
}

/// The size of `siginfo_t` in bytes.
const SIGINFO: usize = 128;

/// Returns the `siginfo_t` of the signal that a stopped thread is to receive.
pub(crate) fn signal_info(tid: Tid) -> io::Result<[u8; SIGINFO]> {
    let mut info = [0u8; SIGINFO];
    request(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr() as usize)?;
    Ok(info)
}

/// Whether a stopped thread stands where [`interrupt`] has stopped it: before it goes back to its program, in no system
/// call, and with no signal that is being delivered (ptrace(2), "PTRACE_EVENT_STOP").
pub(crate) fn stands_interrupted(tid: Tid) -> bool {
    let info = signal_info(tid).map(|info| SignalInfo::read(&info));
    info.is_ok_and(|info| {
        info.number == libc::SIGTRAP && info.code == libc::PTRACE_EVENT_STOP << 8 | libc::SIGTRAP
    })
}

/// What we use of a `siginfo_t` (sigaction(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignalInfo {
    /// The number of the signal.
    pub(crate) number: i32,
    /// Why it was sent (`si_code`).
    pub(crate) code: i32,
    /// The address of a fault; 0 if the signal is no fault.
    pub(crate) address: u64,
    /// The pid of the sender; 0 if the signal is a fault.
    pub(crate) sender: u32,
}

impl SignalInfo {
    /// Decodes a `siginfo_t`: number, errno, code, then address or sender.
    pub(crate) fn read(info: &[u8; SIGINFO]) -> Self {
        let word = |at: usize| i32::from_ne_bytes(info[at..at + 4].try_into().unwrap_or_default());
        let address = u64::from_ne_bytes(info[16..24].try_into().unwrap_or_default());
        let code = word(8);
        // The kernel raised it for an address if the code is positive and not SI_KERNEL.
        let raised = (1..128).contains(&code);
        Self {
            number: word(0),
            code,
            address: if raised { address } else { 0 },
            sender: if raised { 0 } else { word(16) as u32 },
        }
    }
}

/// Decodes a wait status: the exit code, or minus the signal.
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
    answered(what, tid, address, data).map(|_| ())
}

/// Makes a request, and returns its answer.
fn answered(what: libc::c_uint, tid: Tid, address: usize, data: usize) -> io::Result<usize> {
    // SAFETY: every request that is made in this file either takes plain numbers, or as `data` the
    // address of a live local or slice of the size that ptrace(2) demands.
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
        Ok(result as usize)
    }
}
