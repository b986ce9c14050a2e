//! Signals and their `si_code`s as Linux numbers them (signal(7), sigaction(2),
//! `include/uapi/asm-generic/siginfo.h`); the numbers are those of x86 and 64-bit ARM.

use std::borrow::Cow;

const NAMES: [&str; 32] = [
    "SIG0",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// As glibc gives them to programs: the kernel's 32 and 33 belong to the threads library.
const FIRST_REAL_TIME: i32 = 34;
const LAST_REAL_TIME: i32 = 64;

/// The name of a signal: `SIGSEGV`, `SIGRTMIN+2`; `SIG99` for one that does not exist.
pub fn signal_name(number: i32) -> Cow<'static, str> {
    match number {
        0..32 => Cow::Borrowed(NAMES[number as usize]),
        FIRST_REAL_TIME => Cow::Borrowed("SIGRTMIN"),
        LAST_REAL_TIME => Cow::Borrowed("SIGRTMAX"),
        number if (FIRST_REAL_TIME..LAST_REAL_TIME).contains(&number) => {
            Cow::Owned(format!("SIGRTMIN+{}", number - FIRST_REAL_TIME))
        }
        _ => Cow::Owned(format!("SIG{number}")),
    }
}

/// Signal and reason: `SIGSEGV.SEGV_MAPERR`; a reason without a name by its number.
pub(super) fn name(signal: i32, code: i32) -> String {
    let name = signal_name(signal);
    match sent(code).or_else(|| raised(signal, code)) {
        Some(reason) => format!("{name}.{reason}"),
        None => format!("{name}.{code}"),
    }
}

/// Whether `si_addr` means something: the kernel raised the signal for an address.
pub(super) fn has_address(signal: i32, code: i32) -> bool {
    // ILL, TRAP, BUS, FPE, SEGV; SEGV_* of SI_KERNEL (a non-canonical address) tells none.
    matches!(signal, 4 | 5 | 7 | 8 | 11) && (1..128).contains(&code)
}

/// Codes that any signal may have: somebody sent it.
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

/// Codes of one signal: the kernel raised it.
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
