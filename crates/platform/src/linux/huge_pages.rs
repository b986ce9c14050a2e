//! Huge pages of a target. Those to which it writes while it shares them with a clone are split, and stay so: its memory is
//! slower from then on.

use super::{
    pages,
    proc::ProcDir,
    sys::memory::{collapse, page},
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use snapshot::{Range, Region};
use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// How large one is.
const SIZE: u64 = 2 << 20;
/// How long mending may take. (2 GiB took 1.6 s, and no call longer than 11 ms.)
const MEND_WITHIN: Duration = Duration::from_secs(5);

/// The huge pages that a process had before it was cloned.
#[derive(Default)]
pub(super) struct HugePages(Vec<Range>);

impl HugePages {
    /// Finds those of its own memory. None are known before Linux 6.7.
    pub(super) fn of(proc: &ProcDir, regions: &[Region]) -> Self {
        let own = regions
            .iter()
            .filter(|region| !region.shared && region.inode == 0 && !region.hugetlb);
        let own: Vec<_> = own.map(|region| region.range).collect();
        let Ok(pagemap) = proc.open_living("pagemap") else {
            return Self(Vec::new());
        };
        let runs = pages::runs(&pagemap, &own, page::HUGE);
        let huge = runs.iter().filter(|run| run.categories & page::HUGE != 0);
        let huge = huge.map(|run| Range::new(run.start, run.end));
        Self(snapshot::coalesce(huge.collect(), 0))
    }

    /// Puts those together again that have been split. (One that has not takes no time.) Without the right to that
    /// (CAP_SYS_NICE) they stay as they are.
    pub(super) fn mend(&self, proc: &ProcDir) {
        let process = Pid::from_raw(proc.key.pid as i32)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let Some(process) = process.filter(|_| proc.stat().is_ok()) else {
            return;
        };
        let end = Instant::now() + MEND_WITHIN;
        for piece in self.0.iter().flat_map(pieces) {
            let has_right = match collapse(process.as_fd(), piece) {
                Err(error) => !matches!(error.raw_os_error(), Some(libc::EPERM | libc::ESRCH)),
                Ok(()) => true,
            };
            if !has_right || Instant::now() > end {
                return;
            }
        }
    }
}

fn pieces(range: &Range) -> impl Iterator<Item = Range> + use<> {
    let (first, end) = (range.start.next_multiple_of(SIZE), range.end);
    let starts = (first..end).step_by(SIZE as usize);
    starts
        .map(|start| Range::new(start, start + SIZE))
        .filter(move |piece| piece.end <= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_huge_pages() {
        let of = |start, end| pieces(&Range::new(start, end)).collect::<Vec<_>>();
        assert_eq!(of(SIZE, 3 * SIZE).len(), 2);
        assert_eq!(of(SIZE + 1, 3 * SIZE), [Range::new(2 * SIZE, 3 * SIZE)]);
        assert_eq!(of(SIZE, 2 * SIZE - 4096), []);
    }
}
