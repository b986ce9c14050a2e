//! Parsing `/proc/PID/stat` (proc_pid_stat(5)).

/// The fields of `stat` that we use. Times are in clock ticks; `virtual_bytes` is in bytes,
/// `resident_pages` in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) comm: String,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) flags: u32,
    pub(crate) user_ticks: u64,
    pub(crate) kernel_ticks: u64,
    /// Of children that have ended and were waited for.
    pub(crate) children_user_ticks: u64,
    pub(crate) children_kernel_ticks: u64,
    pub(crate) nice: i32,
    pub(crate) threads: u32,
    pub(crate) start: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) resident_pages: u64,
    pub(crate) stack_start: u64,
    /// The signal that tells the parent of its end; 0 for none.
    pub(crate) exit_signal: Option<i32>,
    /// The wait status of a zombie; 0 to those who may not trace it.
    pub(crate) exit_code: Option<i32>,
}

impl Stat {
    /// Returns whether the thread has ended, or is about to: it has no memory any more, or will have none in a moment.
    pub(crate) fn is_ending(&self) -> bool {
        self.has_ended() || self.flags & EXITING != 0
    }

    /// Returns whether the thread has ended. The first thread of a process may have while others run.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Returns whether the kernel works in this thread for the process, as for io_uring(7): it never was in the program.
    /// (Older kernels have the second flag for other threads, too.)
    pub(crate) fn is_kernel_worker(&self) -> bool {
        self.flags & (IO_WORKER | USER_WORKER) != 0
    }
}

/// The flags of such threads (`PF_IO_WORKER` and `PF_USER_WORKER` of `linux/sched.h`).
const IO_WORKER: u32 = 0x10;
const USER_WORKER: u32 = 0x4000;

/// The flag of threads that a signal has killed (`PF_SIGNALED` of `linux/sched.h`). They keep it when they have ended.
pub(crate) const KILLED: u32 = 0x400;

/// The flag of threads that are on their way out (`PF_EXITING` of `linux/sched.h`).
const EXITING: u32 = 0x4;

/// The flag of threads of the kernel (`PF_KTHREAD` of `linux/sched.h`).
pub(crate) const KERNEL_THREAD: u32 = 0x0020_0000;

/// Parses the file; `None` if it is incomplete. The name may contain blanks, newlines and `)`, so
/// fields are counted from the last `)` (CVE-2021-25682: a parser that splits at blanks lets a
/// process fake its start time).
pub(crate) fn parse(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|&b| b == b'(')?;
    let close = text
        .iter()
        .rposition(|&b| b == b')')
        .filter(|&close| close > open)?;
    let rest = String::from_utf8_lossy(&text[close + 1..]).into_owned();
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Fields have the numbers of the manual page, where the state is number 3.
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |n: usize| field(n).and_then(|text| text.parse::<u64>().ok());
    Some(Stat {
        comm: String::from_utf8_lossy(&text[open + 1..close]).into_owned(),
        state: field(3)?.chars().next()?,
        parent: number(4)? as u32,
        group: number(5).unwrap_or(0) as u32,
        session: number(6).unwrap_or(0) as u32,
        flags: number(9).unwrap_or(0) as u32,
        user_ticks: number(14)?,
        kernel_ticks: number(15)?,
        children_user_ticks: number(16).unwrap_or(0),
        children_kernel_ticks: number(17).unwrap_or(0),
        nice: field(19).and_then(|text| text.parse().ok()).unwrap_or(0),
        threads: number(20)? as u32,
        start: number(22)?,
        virtual_bytes: number(23)?,
        resident_pages: number(24)?,
        stack_start: number(28).unwrap_or(0),
        exit_signal: field(38).and_then(|text| text.parse().ok()),
        exit_code: field(52).and_then(|text| text.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str =
        "S 1 2 3 0 -1 4194560 1 0 0 0 7 8 0 0 20 -5 4 0 999 4096 12 18446744073709551615 1 1 140 0";

    #[test]
    fn e1_a_hostile_name_cannot_shift_the_fields() {
        let line = format!("42 (a) R 9 9\n(b) {TAIL}");
        let stat = parse(line.as_bytes()).expect("parses");
        assert_eq!(stat.comm, "a) R 9 9\n(b");
        assert_eq!((stat.state, stat.parent, stat.start), ('S', 1, 999));
        assert_eq!((stat.user_ticks, stat.kernel_ticks, stat.nice), (7, 8, -5));
        assert_eq!((stat.threads, stat.stack_start), (4, 140));
    }

    #[test]
    fn n23_a_thread_on_its_way_out_is_ending() {
        let flags = |flags: u32, state: char| {
            let line =
                format!("42 (a) {state} 1 2 3 0 -1 {flags} 1 0 0 0 7 8 0 0 20 -5 4 0 999 4096 12");
            parse(line.as_bytes()).expect("parses").is_ending()
        };
        assert!(!flags(0x0040_0140, 'S'));
        assert!(flags(0x0040_0144, 'R') && flags(0x0040_000c, 'Z'));
    }

    #[test]
    fn cut_lines_are_refused() {
        assert_eq!(parse(b"42 (a) S 1"), None);
        assert_eq!(parse(b")("), None);
    }
}
