use crate::{Exception, WallTime, signal_name};
use std::fmt::{Display, Formatter};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndStatus {
    /// It ended by itself, or on Windows was ended, with this exit code. Windows ends a process that
    /// crashes with the code of the exception.
    Code(u32),
    /// This signal ended it.
    Signal(i32),
}

impl EndStatus {
    /// Whether it ended by a crash: by any signal, or with an exit code that is an error of Windows
    /// (severity and customer bits 1100, [MS-ERREF] 2.3).
    pub fn is_crash(self) -> bool {
        match self {
            EndStatus::Code(code) => code >> 28 == 0xC,
            EndStatus::Signal(_) => true,
        }
    }

    /// The exit code, or minus the number of the signal.
    pub fn number(self) -> i64 {
        match self {
            EndStatus::Code(code) => code.into(),
            EndStatus::Signal(number) => -i64::from(number),
        }
    }
}

impl Display for EndStatus {
    /// `exit code 3`, `exit code 0xC0000005`, `by SIGTERM`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            EndStatus::Code(code @ 0..=255) => write!(f, "exit code {code}"),
            EndStatus::Code(code) => write!(f, "exit code 0x{code:X}"),
            EndStatus::Signal(number) => write!(f, "by {}", signal_name(*number)),
        }
    }
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A process.
    Process {
        /// Its pid.
        pid: u32,
        /// The name of the thread that sent the signal. The process chooses it: it may be any text.
        name: String,
    },
    /// The kernel, usually because memory ran out.
    Kernel,
}

/// An event in an attached process.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetEvent {
    /// An exception: first chance, before any handler (`first_chance`), or second chance.
    Exception(Exception),
    /// A signal that is not an exception is about to be delivered.
    Signal {
        /// Its number.
        number: i32,
        /// Id of the thread that will get it.
        thread: u32,
        /// Pid of the sender; `None` if the kernel sent it.
        sender: Option<u32>,
    },
    /// A thread reached a breakpoint or a probe.
    Breakpoint {
        /// The number that the place was given when it was armed.
        place: u32,
        /// Id of the thread.
        thread: u32,
        /// The pid of another process that the thread is about to end there, if it does.
        ends: Option<u32>,
    },
    /// An image was loaded.
    ModuleLoad {
        /// Its path.
        path: String,
        /// Its base.
        base: u64,
    },
    /// An image was unloaded.
    ModuleUnload {
        /// Its path.
        path: String,
        /// Its base.
        base: u64,
    },
    /// A thread began.
    ThreadStart {
        /// Its id.
        thread: u32,
    },
    /// A thread ended.
    ThreadExit {
        /// Its id.
        thread: u32,
    },
    /// The program wrote a debug string.
    DebugString {
        /// The text.
        text: String,
    },
    /// The process now executes another program (execve).
    Executed,
    /// The process is about to end; its memory is still there.
    Exiting {
        /// How it ends.
        status: EndStatus,
        /// Who sent that signal, if that is known.
        sender: Option<Sender>,
    },
    /// The process is gone.
    Exited {
        /// How it ended, if that is known.
        status: Option<EndStatus>,
        /// When that was noticed.
        at: WallTime,
    },
}

impl Display for TargetEvent {
    /// `signal SIGUSR1 in thread 12`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exception(exception) => write!(f, "exception {}", exception.name),
            Self::Signal { number, thread, .. } => {
                write!(f, "signal {} in thread {thread}", signal_name(*number))
            }
            Self::Breakpoint { place, thread, .. } => {
                write!(f, "thread {thread} is at place {place}")
            }
            Self::ModuleLoad { path, .. } => write!(f, "load of {path}"),
            Self::ModuleUnload { path, .. } => write!(f, "unload of {path}"),
            Self::ThreadStart { thread } => write!(f, "start of thread {thread}"),
            Self::ThreadExit { thread } => write!(f, "end of thread {thread}"),
            Self::DebugString { text } => write!(f, "debug string {text:?}"),
            Self::Executed => f.write_str("it executes another program"),
            Self::Exiting { status, .. } => write!(f, "about to end ({status})"),
            Self::Exited { status, .. } => match status {
                Some(status) => write!(f, "ended ({status})"),
                None => f.write_str("ended"),
            },
        }
    }
}
