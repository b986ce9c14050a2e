use crate::{Detail, Registers, SparseBytes, WallTime};
use std::{collections::BTreeMap, time::Duration};

/// A thread at the instant of the snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thread {
    /// Thread id, as firstchance's own system names it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whether and how it stood still.
    pub state: ThreadState,
    /// State letter before it was stopped (`S`, `R`, `D` …), `' '` where there is none.
    pub letter: char,
    /// General registers; `None` where they could not be had.
    pub registers: Option<Registers>,
    /// Floating-point and extended registers. On x86 an XSAVE area in the standard layout of
    /// [`xsave`](crate::xsave), or only its first 512 bytes, which are what FXSAVE writes; on 64-bit
    /// ARM the kernel's `user_fpsimd_state`. Empty if they are not known.
    pub extended: SparseBytes,
    /// The segments of a 32-bit program's thread-local memory, as the kernel's `NT_386_TLS` has them: three `struct
    /// user_desc`. Empty for other programs.
    pub tls_segments: Vec<u8>,
    /// The signal it was about to get or stands on: the kernel's 128-byte `siginfo_t`.
    pub siginfo: Option<Vec<u8>>,
    /// The number of that signal; 0 for none.
    pub signal: i32,
    /// Signals pending for this thread, a bit each (bit 0 = signal 1).
    pub pending: u64,
    /// Signals blocked by this thread.
    pub blocked: u64,
    /// CPU time in user mode.
    pub user_time: Duration,
    /// CPU time in the kernel.
    pub kernel_time: Duration,
    /// Nice value or base priority.
    pub priority: i32,
    /// Address of the TEB on Windows, of the 32-bit one in a 32-bit process; 0 elsewhere.
    pub teb: u64,
    /// Start address on Windows, 0 elsewhere.
    pub start_address: u64,
    /// The time at which it began, on Windows; 0 elsewhere.
    pub began: WallTime,
    /// The time at which it ended, on Windows, if it has ended already; else 0.
    pub ended: WallTime,
    /// Its exit code on Windows: [`Thread::STILL_ACTIVE`] unless it has ended.
    pub exit_code: u32,
    /// The processors that it may run on, a bit each, on Windows; 0 if that is not known.
    pub affinity: u64,
    /// The system call it is blocked in, as `/proc/TID/syscall` says; `None` while it runs.
    pub syscall: Option<u64>,
    /// Whether the kernel of Linux says that it works in this thread for the process (io_uring).
    pub is_kernel_worker: bool,
}

/// The processor time that the threads of a process had used at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// When they were read.
    pub at: WallTime,
    /// The time that each has used, in user mode and in the kernel, by its id.
    pub used: BTreeMap<u32, Duration>,
}

/// Whether and how a thread stood still while it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThreadState {
    /// It was stopped for the dump.
    #[default]
    Stopped,
    /// It was stopped already (SIGSTOP, job control) and stays so.
    AlreadyStopped,
    /// It could not be stopped in time; its registers are the few that the kernel tells.
    Unstopped(String),
}

impl Thread {
    /// The exit code of a thread that has not ended (`STATUS_PENDING` of `winnt.h`).
    pub const STILL_ACTIVE: u32 = 0x103;

    /// The processor time that it has used.
    pub fn used_time(&self) -> Duration {
        self.user_time.saturating_add(self.kernel_time)
    }

    /// The extended registers that a dump with this detail tells. None of a limited one.
    ///
    /// Situation: the C library compares and copies strings with AVX-512, and in the registers of a
    /// thread that sleeps stood a whole argument of its program's command line.
    pub fn extended_for(&self, detail: Detail) -> SparseBytes {
        match detail {
            Detail::All => self.extended.clone(),
            Detail::Limited => SparseBytes::default(),
        }
    }
}
