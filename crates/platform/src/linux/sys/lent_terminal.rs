//! The terminal of our session, lent to the process group of a program that we launched, and taken back.

use rustix::fs::{Mode, OFlags};
use std::{
    mem::zeroed,
    os::fd::{AsRawFd, OwnedFd},
};

/// Our terminal, as it was before it was lent. The functions that change it allocate nothing and can be called by a
/// process that was forked from one with threads. SIGTTOU must be blocked: who is not in the foreground gets it.
#[derive(Debug)]
pub(super) struct LentTerminal {
    terminal: OwnedFd,
    /// The group of the program, and ours.
    pub(super) group: i32,
    ours: i32,
    settings: libc::termios,
}

impl LentTerminal {
    /// Whether our session has a terminal.
    pub(super) fn is_there() -> bool {
        Self::open().is_some()
    }

    fn open() -> Option<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
        rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()
    }

    /// The terminal of our session, for this group. Returns `None` if we have none.
    pub(super) fn for_group(group: i32) -> Option<Self> {
        let terminal = Self::open()?;
        let settings = settings_of(terminal.as_raw_fd())?;
        let ours = rustix::process::getpgrp().as_raw_nonzero().get();
        Some(Self {
            terminal,
            group,
            ours,
            settings,
        })
    }

    /// The same terminal, for another process.
    pub(super) fn share(&self) -> Option<Self> {
        Some(Self {
            terminal: self.terminal.try_clone().ok()?,
            ..*self
        })
    }

    /// Its descriptor.
    pub(super) fn descriptor(&self) -> i32 {
        self.terminal.as_raw_fd()
    }

    /// Makes the program's group the foreground one if ours is, with Ctrl-C for us. Returns whether its group is the
    /// foreground one now. If another one is, nobody has the terminal to lend.
    pub(super) fn lend(&self) -> bool {
        if self.foreground() == self.ours {
            self.set(&without_interrupt(self.settings));
            self.give_to(self.group);
        }
        self.foreground() == self.group
    }

    /// Gives the keys our meaning again where the program has set them back, as `getpass` does with all settings. What
    /// takes the keys as letters keeps them.
    pub(super) fn keep_keys(&self) {
        let Some(now) = self.now().filter(|_| self.foreground() == self.group) else {
            return;
        };
        let is_set_back = now.c_cc[libc::VINTR] == self.settings.c_cc[libc::VINTR];
        if is_set_back && now.c_lflag & libc::ISIG != 0 {
            self.set(&without_interrupt(now));
        }
    }

    /// Whether somebody else has the terminal: a program that controls jobs has given it to one of them.
    pub(super) fn is_somebody_elses(&self) -> bool {
        ![self.ours, self.group].contains(&self.foreground())
    }

    /// Gives the keys back the meaning that they had.
    pub(super) fn restore_keys(&self) {
        let ours = self.settings.c_cc[libc::VINTR];
        if let Some(mut now) = self.now().filter(|now| now.c_cc[libc::VSUSP] == ours) {
            now.c_cc[libc::VINTR] = ours;
            now.c_cc[libc::VSUSP] = self.settings.c_cc[libc::VSUSP];
            self.set(&now);
        }
    }

    /// Takes the terminal back, as it was, unless somebody else has it by now (a shell, after our death).
    pub(super) fn take_back(&self) {
        if self.foreground() == self.group {
            self.set(&self.settings);
            self.give_to(self.ours);
        } else {
            self.restore_keys();
        }
    }

    fn now(&self) -> Option<libc::termios> {
        settings_of(self.descriptor())
    }

    fn foreground(&self) -> i32 {
        // SAFETY: tcgetpgrp(3) takes a descriptor.
        unsafe { libc::tcgetpgrp(self.descriptor()) }
    }

    fn give_to(&self, group: i32) {
        // SAFETY: tcsetpgrp(3) takes plain numbers.
        unsafe { libc::tcsetpgrp(self.descriptor(), group) };
    }

    fn set(&self, settings: &libc::termios) {
        // SAFETY: valid settings, which were read from this terminal.
        unsafe { libc::tcsetattr(self.descriptor(), libc::TCSANOW, settings) };
    }
}

/// Settings with which Ctrl-C stops the foreground group instead of ending it.
fn without_interrupt(mut settings: libc::termios) -> libc::termios {
    settings.c_cc[libc::VSUSP] = settings.c_cc[libc::VINTR];
    settings.c_cc[libc::VINTR] = libc::_POSIX_VDISABLE;
    settings
}

/// The settings of a terminal; `None` if it is gone.
fn settings_of(terminal: i32) -> Option<libc::termios> {
    // SAFETY: all zeros is a valid value; tcgetattr fills it, which is checked.
    unsafe {
        let mut settings: libc::termios = zeroed();
        (libc::tcgetattr(terminal, &raw mut settings) == 0).then_some(settings)
    }
}
