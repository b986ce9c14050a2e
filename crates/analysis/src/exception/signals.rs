//! Why Linux sent a signal: the names of `si_code`, with the numbers of x86 and 64-bit ARM
//! (sigaction(2), `include/uapi/asm-generic/siginfo.h`).

use snapshot::signal_name;

/// The name of a signal and of its reason: `SIGSEGV.SEGV_MAPERR`. A reason without a name is
/// written as its number.
pub(super) fn name(signal: i32, code: i32) -> String {
    let name = signal_name(signal);
    match sent(code).or_else(|| raised(signal, code)) {
        Some(reason) => format!("{name}.{reason}"),
        None => format!("{name}.{code}"),
    }
}

/// Whether `si_addr` is an address that caused the signal.
pub(super) fn has_address(signal: i32, code: i32) -> bool {
    // A SIGSEGV with SI_KERNEL (128, a non-canonical address) has none.
    may_have_address(signal) && (1..128).contains(&code)
}

/// Whether `si_addr` is an address if the signal was raised by a fault: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV.
pub(super) fn may_have_address(signal: i32) -> bool {
    matches!(signal, 4 | 5 | 7 | 8 | 11)
}

/// The codes that every signal may have: a program or the kernel sent it. `None` for others.
fn sent(code: i32) -> Option<&'static str> {
    Some(match code {
        0 => "SI_USER",
        128 => "SI_KERNEL",
        -1 => "SI_QUEUE",
        -2 => "SI_TIMER",
        -3 => "SI_MESGQ",
        -4 => "SI_ASYNCIO",
        -5 => "SI_SIGIO",
        -6 => "SI_TKILL",
        -7 => "SI_DETHREAD",
        -60 => "SI_ASYNCNL",
        _ => return None,
    })
}

/// The codes that only this signal has: the kernel raised it. `None` for others.
fn raised(signal: i32, code: i32) -> Option<&'static str> {
    let names: &[&str] = match signal {
        4 => &[
            "ILL_ILLOPC",
            "ILL_ILLOPN",
            "ILL_ILLADR",
            "ILL_ILLTRP",
            "ILL_PRVOPC",
            "ILL_PRVREG",
            "ILL_COPROC",
            "ILL_BADSTK",
            "ILL_BADIADDR",
        ],
        5 => &[
            "TRAP_BRKPT",
            "TRAP_TRACE",
            "TRAP_BRANCH",
            "TRAP_HWBKPT",
            "TRAP_UNK",
            "TRAP_PERF",
        ],
        7 => &[
            "BUS_ADRALN",
            "BUS_ADRERR",
            "BUS_OBJERR",
            "BUS_MCEERR_AR",
            "BUS_MCEERR_AO",
        ],
        8 => &[
            "FPE_INTDIV",
            "FPE_INTOVF",
            "FPE_FLTDIV",
            "FPE_FLTOVF",
            "FPE_FLTUND",
            "FPE_FLTRES",
            "FPE_FLTINV",
            "FPE_FLTSUB",
        ],
        11 => &[
            "SEGV_MAPERR",
            "SEGV_ACCERR",
            "SEGV_BNDERR",
            "SEGV_PKUERR",
            "SEGV_ACCADI",
            "SEGV_ADIDERR",
            "SEGV_ADIPERR",
            "SEGV_MTEAERR",
            "SEGV_MTESERR",
            "SEGV_CPERR",
        ],
        17 => &[
            "CLD_EXITED",
            "CLD_KILLED",
            "CLD_DUMPED",
            "CLD_TRAPPED",
            "CLD_STOPPED",
            "CLD_CONTINUED",
        ],
        29 => &[
            "POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP",
        ],
        31 => &["SYS_SECCOMP", "SYS_USER_DISPATCH"],
        _ => &[],
    };
    usize::try_from(code)
        .ok()?
        .checked_sub(1)
        .and_then(|at| names.get(at))
        .copied()
}
