//! Lends the terminal to a program that we launched, and keeps Ctrl-C for ourselves.
//!
//! The program has a process group of its own, so that Ctrl-C ends our watch and not the program. But a process outside
//! of the terminal's foreground group that reads the terminal is stopped by SIGTTIN, as its whole group is (termios(3),
//! tcsetpgrp(3)). So a small process of ours is in that group: the keeper. It gets the same signal, makes the group the
//! foreground one, and lets it go on. From then on Ctrl-C would send SIGINT to the program: the keeper has the terminal
//! send SIGTSTP for it, which stops the group for a moment instead of ending it, and tells us. When our end of a pipe
//! closes, also because we were killed, it gives the terminal back and ends.

use rustix::fs::{Mode, OFlags};
use std::{
    io::{self, PipeReader, PipeWriter},
    mem::{MaybeUninit, zeroed},
    os::fd::{AsRawFd, OwnedFd},
};

/// A running keeper. Dropping it ends it, and the terminal is ours again afterwards.
#[derive(Debug)]
pub(crate) struct TerminalKeeper {
    pid: i32,
    /// Closed to end it; `None` when it was.
    alive: Option<PipeWriter>,
}

impl TerminalKeeper {
    /// Starts a keeper for the process group `group` of our session. Returns `None` if we have no terminal, or are not
    /// in its foreground: then the terminal is not ours to lend.
    pub(crate) fn start(group: u32) -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
        let ours = rustix::process::getpgrp();
        (rustix::termios::tcgetpgrp(&terminal).ok()? == ours).then_some(())?;
        let (end, alive) = io::pipe().ok()?;
        let keeper = Keeper {
            terminal,
            end,
            group: group as i32,
            ours: ours.as_raw_nonzero().get(),
            parent: std::process::id() as i32,
            lent: None,
        };
        let pid = keeper.fork().ok()?;
        Some(Self {
            pid,
            alive: Some(alive),
        })
    }
}

impl Drop for TerminalKeeper {
    fn drop(&mut self) {
        self.alive = None;
        // SAFETY: waits for our own child; no status is asked for.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

/// What the keeper works with. All of it is made before the fork; after it, nothing is allocated, because another
/// thread of ours may have held the allocator's lock (fork(2), signal-safety(7)).
struct Keeper {
    terminal: OwnedFd,
    end: PipeReader,
    /// The group of the program, and ours.
    group: i32,
    ours: i32,
    parent: i32,
    /// The settings of the terminal before it was lent.
    lent: Option<libc::termios>,
}

/// How long the program gets to go on reading before the watch ends and takes the terminal away, in nanoseconds. A
/// read that begins without the terminal fails.
const RESUMES_WITHIN: i64 = 20_000_000;

impl Keeper {
    /// Forks the keeper and returns its pid.
    fn fork(mut self) -> io::Result<i32> {
        // SAFETY: the sets are initialised by sigfillset and pthread_sigmask. The child only makes calls that are safe
        // after the fork of a process with threads, and never returns.
        unsafe {
            let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let pid = libc::fork();
            if pid == 0 {
                self.keep(&all);
                libc::_exit(0);
            }
            let failed = io::Error::last_os_error();
            // Here, too: the program may read before the keeper runs for the first time.
            if pid > 0 {
                libc::setpgid(pid, self.group);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            if pid < 0 { Err(failed) } else { Ok(pid) }
        }
    }

    /// The keeper's life. All signals are blocked.
    fn keep(&mut self, all: &libc::sigset_t) {
        self.close_others();
        // SAFETY: plain numbers, and a valid set.
        let signals = unsafe {
            libc::setpgid(0, self.group);
            libc::signalfd(-1, all, libc::SFD_CLOEXEC)
        };
        while let Some(signal) = self.next_signal(signals) {
            match signal as i32 {
                libc::SIGTTIN | libc::SIGTTOU => self.lend(),
                libc::SIGTSTP if self.lent.is_some() => self.interrupt(),
                libc::SIGINT => self.interrupt(),
                _ => {}
            }
        }
        self.take_back();
    }

    /// Closes all descriptors but ours: they would keep probes and files open after our death.
    fn close_others(&self) {
        let (one, other) = (self.terminal.as_raw_fd(), self.end.as_raw_fd());
        let (low, high) = (one.min(other), one.max(other));
        for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, i32::MAX)] {
            if first <= last {
                // SAFETY: the descriptors belong to this process alone, which uses no others.
                unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            }
        }
    }

    /// The next signal; `None` when our end of the pipe is closed.
    fn next_signal(&self, signals: i32) -> Option<u32> {
        let wait = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut both = [wait(signals), wait(self.end.as_raw_fd())];
        let mut told = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of_val(&told);
        // SAFETY: the array and the buffer are live and as long as is said.
        let got = unsafe {
            libc::poll(both.as_mut_ptr(), both.len() as u64, -1);
            match both[1].revents {
                0 => libc::read(signals, told.as_mut_ptr().cast(), size),
                _ => 0,
            }
        };
        // SAFETY: read(2) has filled the whole structure.
        (got == size as isize).then(|| unsafe { told.assume_init() }.ssi_signo)
    }

    /// Makes the program's group the foreground one if ours is, and lets it go on. If another one is, nobody has the
    /// terminal to lend, and the group stays stopped, as in any shell.
    fn lend(&mut self) {
        let terminal = self.terminal.as_raw_fd();
        // SAFETY: the structure is initialised by tcgetattr, which is checked; all else are plain numbers.
        unsafe {
            let foreground = libc::tcgetpgrp(terminal);
            if foreground == self.ours && self.lent.is_none() {
                let mut settings = zeroed();
                if libc::tcgetattr(terminal, &raw mut settings) == 0 {
                    self.lent = Some(settings);
                    libc::tcsetattr(terminal, libc::TCSANOW, &without_interrupt(settings));
                }
            }
            if foreground == self.ours {
                libc::tcsetpgrp(terminal, self.group);
            }
            if [self.ours, self.group].contains(&foreground) {
                libc::kill(0, libc::SIGCONT);
            }
        }
    }

    /// Ctrl-C was pressed: the program goes on, and our watch ends.
    fn interrupt(&self) {
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: RESUMES_WITHIN,
        };
        // SAFETY: plain numbers, and a valid time. The parent is checked: after its death another process has its id.
        unsafe {
            libc::kill(0, libc::SIGCONT);
            libc::nanosleep(&raw const pause, std::ptr::null_mut());
            if libc::getppid() == self.parent {
                libc::kill(self.parent, libc::SIGINT);
            }
        }
    }

    /// Gives the terminal back, unless somebody else has it by now (a shell, after our death).
    fn take_back(&self) {
        let terminal = self.terminal.as_raw_fd();
        let Some(settings) = &self.lent else {
            return;
        };
        // SAFETY: valid settings of this terminal; plain numbers.
        unsafe {
            let is_lent = libc::tcgetpgrp(terminal) == self.group;
            let mut now: libc::termios = zeroed();
            libc::tcgetattr(terminal, &raw mut now);
            if is_lent || now.c_cc[libc::VSUSP] == settings.c_cc[libc::VINTR] {
                libc::tcsetattr(terminal, libc::TCSANOW, settings);
            }
            if is_lent {
                libc::tcsetpgrp(terminal, self.ours);
            }
        }
    }
}

/// Settings with which Ctrl-C stops the foreground group instead of ending it.
fn without_interrupt(mut settings: libc::termios) -> libc::termios {
    settings.c_cc[libc::VSUSP] = settings.c_cc[libc::VINTR];
    settings.c_cc[libc::VINTR] = libc::_POSIX_VDISABLE;
    settings
}
