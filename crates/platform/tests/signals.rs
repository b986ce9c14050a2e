//! The names of signals against those of the C library.
#![cfg(unix)]

/// Pairs of a constant's name and its value, for the constants of `libc`.
macro_rules! constants {
    ($($name:ident)*) => {
        [$((stringify!($name), libc::$name)),*]
    };
}

#[test]
fn signals_are_numbered_as_in_the_c_library() {
    let all = constants! {
        SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2
        SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG
        SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
    };
    assert_eq!(all.len(), 31);
    for (name, number) in all {
        assert_eq!(snapshot::signal_name(number), name);
        assert_eq!(snapshot::signal_number(name), Some(number));
    }
    assert_eq!(snapshot::signal_number("SIGPOLL"), Some(libc::SIGPOLL));
    assert_eq!(snapshot::signal_number("SIGRTMIN"), Some(libc::SIGRTMIN()));
    assert_eq!(snapshot::signal_number("SIGRTMAX"), Some(libc::SIGRTMAX()));
    assert_eq!(snapshot::signal_name(libc::SIGRTMIN() + 3), "SIGRTMIN+3");
}
