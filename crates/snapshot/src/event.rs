use crate::{Exception, WallTime};

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
        /// The exit code, or minus the signal's number.
        status: i32,
        /// Who sent that signal, if that is known.
        sender: Option<Sender>,
    },
    /// The process is gone.
    Exited {
        /// The exit code, or minus the signal's number.
        status: i32,
        /// When that was noticed.
        at: WallTime,
    },
}
