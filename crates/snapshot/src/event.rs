use crate::{Exception, WallTime};

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A process, by its pid and the name it had then.
    Process {
        /// Its pid.
        pid: u32,
        /// The name of its thread, which may be any text.
        name: String,
    },
    /// The kernel by itself, as a rule because memory is short.
    Kernel,
}

/// What an attached target did, as plain facts.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetEvent {
    /// An exception, before any handler (`first_chance`) or at the last moment.
    Exception(Exception),
    /// A signal that is no exception is about to be delivered to `thread`.
    Signal {
        /// Its number.
        number: i32,
        /// To which thread.
        thread: u32,
        /// Pid of the sender, where there is one.
        sender: Option<u32>,
    },
    /// An armed place was reached.
    Breakpoint {
        /// Which of the armed places.
        place: u32,
        /// By which thread.
        thread: u32,
        /// The pid of another process, which the thread is about to end there.
        ends: Option<u32>,
    },
    /// An image was mapped.
    ModuleLoad {
        /// Its path.
        path: String,
        /// Its base.
        base: u64,
    },
    /// An image was unmapped.
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
    /// It has become another program.
    Executed,
    /// The process is about to end; its memory still stands.
    Exiting {
        /// The exit code, or minus the signal's number.
        status: i32,
        /// Who sent that signal, where it is known.
        sender: Option<Sender>,
    },
    /// The process is gone.
    Exited {
        /// The exit code, or minus the signal's number.
        status: i32,
        /// When it was seen to be gone.
        at: WallTime,
    },
}
