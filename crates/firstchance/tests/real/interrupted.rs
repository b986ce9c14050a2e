//! System calls that are interrupted by a stop: the program notices nothing.

use crate::support::{Child, Firstchance, Program, compile, folder, state_of, wait_until};
use std::process::Command;

const INTERRUPTED: Program = Program::c("interrupted.c");

/// Calls that the kernel does not make again by itself.
const CALLS: [&str; 19] = [
    "epoll_wait",
    "epoll_pwait2",
    "sigtimedwait",
    "semtimedop",
    "recv",
    "recvmsg",
    "recvmmsg",
    "read",
    "readv",
    "accept",
    "splice",
    "io_uring_enter",
    "connect",
    "send",
    "sendmsg",
    "sendmmsg",
    "write",
    "writev",
    "sendfile",
];
/// A time that no test lives to see, in milliseconds.
const FOR_EVER: &str = "3600000";

/// A process that waits in a call.
fn waiting_in(call: &str, milliseconds: &str) -> Child {
    let program = compile(&INTERRUPTED);
    let child = Child::start(Command::new(program).args([call, milliseconds]));
    assert_eq!(child.line(), "ready");
    wait_until("it waits", || {
        state_of(child.pid()) == 'S' && is_in_call(child.pid())
    });
    child
}

/// Whether a process waits in a call, and not for its output to be read.
fn is_in_call(pid: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    !text.starts_with("running") && !text.starts_with("1 0x1 ")
}

#[test]
fn b18_calls_that_the_kernel_does_not_make_again_go_on_and_a_signal_interrupts_them_still() {
    for call in CALLS {
        let folder = folder();
        let child = waiting_in(call, FOR_EVER);
        let pid = child.pid().to_string();
        for options in [&["--mini"][..], &["--full"], &["--full", "--clone"]] {
            let dump = Firstchance::new(&["dump", &pid]).args(options);
            dump.current_dir(folder.path()).run_well();
        }
        let killed = Firstchance::new(&["dump", "--mini", &pid]).failpoint("registers:stop");
        let mut killed = killed.current_dir(folder.path()).spawn();
        killed.wait_until_stopped();
        killed.signal(libc::SIGKILL);
        killed.finish();
        let watch = Firstchance::new(&["watch", &pid, "--when", "exit", "--when", "now"]);
        let watch = watch.args(&["--do", "mini dump", "-n", "1", "-o"]);
        watch.arg(folder.path()).run_well();
        child.signal(libc::SIGUSR2);
        let line = child.line();
        let interrupted = format!("{} ", -libc::EINTR);
        assert!(line.starts_with(&interrupted), "{call}: {line}");
        assert_eq!(child.last_lines(), [""; 0], "{call}");
    }
}

/// A service that is told to end while it is dumped ends.
#[test]
fn b18_a_signal_that_comes_while_the_process_stands_interrupts_its_call() {
    for (call, options) in CALLS.iter().zip([["--mini"], ["--clone"]].iter().cycle()) {
        let folder = folder();
        let child = waiting_in(call, FOR_EVER);
        let dump = Firstchance::new(&["dump", &child.pid().to_string()]).args(options);
        let dump = dump.failpoint("registers:stop").current_dir(folder.path());
        let mut running = dump.spawn();
        running.wait_until_stopped();
        assert_eq!(state_of(child.pid()), 't');
        child.signal(libc::SIGUSR2);
        running.signal(libc::SIGCONT);
        running.finish().assert_code(0);
        let line = child.line();
        let interrupted = format!("{} ", -libc::EINTR);
        assert!(line.starts_with(&interrupted), "{call}: {line}");
        assert_eq!(child.last_lines(), [""; 0], "{call}");
    }
}
