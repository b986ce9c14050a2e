//! Lends the terminal to a program that we launched, and keeps Ctrl-C for ourselves.
//!
//! The program has a process group of its own, so that Ctrl-C ends our watch and not the program. But a process outside
//! of the terminal's foreground group that reads the terminal is stopped by SIGTTIN, as its whole group is (termios(3),
//! tcsetpgrp(3)). So a small process of ours is in that group: the keeper. It gets the same signal, makes the group the
//! foreground one, and lets it go on. From then on Ctrl-C would send SIGINT to the program: the keeper has the terminal
//! send SIGTSTP for it, which stops the group for a moment instead of ending it, and tells us. When our end of a pipe
//! closes, also because we were killed, it gives the terminal back and ends. If somebody kills the keeper, we take the
//! terminal back ourselves.

use super::lent_terminal::LentTerminal;
use std::{
    io::{self, PipeReader, PipeWriter},
    mem::{MaybeUninit, zeroed},
    os::fd::AsRawFd,
    sync::mpsc,
    time::Duration,
};

/// A running keeper. Dropping it ends it, and the terminal is ours again afterwards.
#[derive(Debug)]
pub(crate) struct TerminalKeeper {
    pid: i32,
    /// Closed to end it; `None` when it was.
    alive: Option<PipeWriter>,
    /// Closed when it has ended and the terminal is ours again.
    ended: mpsc::Receiver<()>,
}

/// How long a keeper may take to end: the program may have stopped it, as it is in its group.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

impl TerminalKeeper {
    /// Starts a keeper for the process group `group` of our session. Returns `None` if there is no terminal that is
    /// ours to lend.
    pub(crate) fn start(group: u32) -> Option<Self> {
        let terminal = LentTerminal::for_group(group as i32)?;
        let (end, alive) = io::pipe().ok()?;
        let keeper = Keeper {
            terminal: terminal.share()?,
            end,
            parent: std::process::id() as i32,
            is_wanted: false,
            has_lent: false,
        };
        let pid = keeper.fork().ok()?;
        // While the program has the terminal we write to it from the background, which `stty tostop` forbids.
        // SAFETY: SIG_IGN is a valid disposition.
        unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
        let (tell, ended) = mpsc::channel();
        std::thread::spawn(move || {
            block_all();
            wait_for(pid);
            terminal.take_back();
            drop(tell);
        });
        Some(Self {
            pid,
            alive: Some(alive),
            ended,
        })
    }

    fn has_ended(&self) -> bool {
        let ended = self.ended.recv_timeout(ENDS_WITHIN);
        ended == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Drop for TerminalKeeper {
    fn drop(&mut self) {
        self.alive = None;
        for signal in [libc::SIGCONT, libc::SIGKILL] {
            if self.ended.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                // SAFETY: a plain number. As long as the channel is open, nobody has waited for our child.
                unsafe { libc::kill(self.pid, signal) };
            }
            if self.has_ended() {
                return;
            }
        }
    }
}

/// What the keeper works with. All of it is made before the fork; after it, nothing is allocated, because another
/// thread of ours may have held the allocator's lock (fork(2), signal-safety(7)).
struct Keeper {
    terminal: LentTerminal,
    end: PipeReader,
    parent: i32,
    /// Whether the program waits for the terminal, which is not ours now: it may come to our foreground again.
    is_wanted: bool,
    /// Whether the keys have the meaning that the keeper has given them.
    has_lent: bool,
}

/// How long the program gets to go on reading before the watch ends and takes the terminal away, in nanoseconds. A
/// read that begins without the terminal fails.
const RESUMES_WITHIN: i64 = 20_000_000;
/// How often it is looked whose terminal it is, and what the keys mean, in milliseconds.
const LOOK_EVERY: i32 = 100;
/// The code of signals that the kernel sends, as for keys (sigaction(2), `SI_KERNEL`). Of others, somebody else thinks.
const BY_KERNEL: i32 = 0x80;

impl Keeper {
    /// Forks the keeper and returns its pid.
    fn fork(mut self) -> io::Result<i32> {
        let before = block_all();
        // SAFETY: the child only makes calls that are safe after the fork of a process with threads, and never
        // returns; the mask is the one that was set before.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                self.keep();
                libc::_exit(0);
            }
            let failed = io::Error::last_os_error();
            // Here, too: the program may read before the keeper runs for the first time.
            if pid > 0 {
                libc::setpgid(pid, self.terminal.group);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            if pid < 0 { Err(failed) } else { Ok(pid) }
        }
    }

    /// The keeper's life. All signals are blocked.
    fn keep(&mut self) {
        self.close_others();
        // SAFETY: plain numbers, and a valid set.
        let signals = unsafe {
            libc::setpgid(0, self.terminal.group);
            let mut all = zeroed();
            libc::sigfillset(&raw mut all);
            libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        while self.wait(signals) {
            match next_signal(signals) {
                Some((signal, code)) => self.obey(signal, code == BY_KERNEL),
                None => self.look(),
            }
        }
        self.terminal.take_back();
    }

    fn obey(&mut self, signal: i32, is_of_terminal: bool) {
        match (signal, is_of_terminal) {
            // A shell sends it to itself until it is in the foreground.
            (libc::SIGTTIN | libc::SIGTTOU, _) => self.lend(),
            (libc::SIGTSTP, true) if self.has_lent => self.interrupt(),
            // The program has suspended itself, as an editor does: nobody else would resume it.
            (libc::SIGTSTP, false) if self.has_lent => resume_group(),
            (libc::SIGINT, true) => self.interrupt(),
            _ => {}
        }
    }

    /// Lends the terminal if it is ours. If it is not, as in the background of a shell, the group stays stopped for now.
    fn lend(&mut self) {
        self.is_wanted = !self.terminal.lend();
        if !self.is_wanted {
            self.has_lent = true;
            resume_group();
        }
    }

    /// Looks whose terminal it is now.
    fn look(&mut self) {
        if self.is_wanted {
            self.lend();
        } else if self.has_lent && self.terminal.is_somebody_elses() {
            // A shell controls its jobs by these keys.
            self.has_lent = false;
            self.terminal.restore_keys();
        } else if self.has_lent {
            self.terminal.keep_keys();
        }
    }

    /// Closes all descriptors but ours: they would keep probes and files open after our death.
    fn close_others(&self) {
        let (one, other) = (self.terminal.descriptor(), self.end.as_raw_fd());
        let (low, high) = (one.min(other), one.max(other));
        for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, i32::MAX)] {
            if first <= last {
                // SAFETY: the descriptors belong to this process alone, which uses no others.
                unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            }
        }
    }

    /// Waits for a signal, or for a moment. Returns whether our end of the pipe is still open.
    fn wait(&self, signals: i32) -> bool {
        let wait = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut both = [wait(signals), wait(self.end.as_raw_fd())];
        let time = match self.has_lent || self.is_wanted {
            true => LOOK_EVERY,
            false => -1,
        };
        // SAFETY: the array is live and as long as is said.
        unsafe { libc::poll(both.as_mut_ptr(), both.len() as u64, time) };
        both[1].revents == 0
    }

    /// Ctrl-C was pressed: the program goes on, and our watch ends.
    fn interrupt(&self) {
        resume_group();
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: RESUMES_WITHIN,
        };
        // SAFETY: plain numbers, and a valid time. The parent is checked: after its death another process has its id.
        unsafe {
            libc::nanosleep(&raw const pause, std::ptr::null_mut());
            if libc::getppid() == self.parent {
                libc::kill(self.parent, libc::SIGINT);
            }
        }
    }
}

/// Waits for the end of the keeper. It goes on where the program has stopped its whole group.
fn wait_for(keeper: i32) {
    let mut status = 0;
    // SAFETY: waits for our own child, with a live status; plain numbers.
    unsafe {
        while libc::waitpid(keeper, &raw mut status, libc::WUNTRACED) == keeper
            && libc::WIFSTOPPED(status)
        {
            libc::kill(keeper, libc::SIGCONT);
        }
    }
}

/// Lets the group of the keeper go on.
fn resume_group() {
    // SAFETY: plain numbers.
    unsafe { libc::kill(0, libc::SIGCONT) };
}

/// Blocks all signals in this thread. Returns the mask before.
fn block_all() -> libc::sigset_t {
    // SAFETY: the sets are initialised by sigfillset and pthread_sigmask.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

/// The next signal and its code; `None` if there is none.
fn next_signal(signals: i32) -> Option<(i32, i32)> {
    let mut told = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of_val(&told);
    // SAFETY: the buffer is live and as long as is said.
    let got = unsafe { libc::read(signals, told.as_mut_ptr().cast(), size) };
    // SAFETY: read(2) has filled the whole structure.
    let told = (got == size as isize).then(|| unsafe { told.assume_init() })?;
    Some((told.ssi_signo as i32, told.ssi_code))
}
