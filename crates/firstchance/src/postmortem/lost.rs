//! Crashes that left nothing, by what the kernel's log has of them.

/// What the kernel's log tells, as far as it reaches back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Those that came while as many handlers ran as may: the kernel starts none for them.
    pub(super) skipped: u64,
    /// What our handlers said who could store nothing, the oldest first.
    pub(super) failed: Vec<String>,
}

/// How the lines of our handlers begin.
const OURS: &str = "firstchance: ";

impl Lost {
    /// Reads the lines.
    pub(super) fn of(lines: &[String]) -> Self {
        let ours = lines.iter().filter_map(|line| line.strip_prefix(OURS));
        Self {
            skipped: lines.iter().map(|line| skipped(line)).sum(),
            failed: ours.map(str::to_owned).collect(),
        }
    }
}

/// Tells the system's log of a crash that left nothing; in these words.
pub(super) fn log(pid: u32, error: &anyhow::Error) -> String {
    let what = format!("the crash of process {pid} left no dump: {error}");
    platform::system_log(&what);
    what
}

/// `coredump: 17(name): over core_pipe_limit, skipping core dump`, ten of them in five seconds; then
/// `coredump_pipe: 61 callbacks suppressed` says how many more there were, when the next one comes.
/// The name is the process's choice, and the kernel escapes what it is not to hold.
fn skipped(line: &str) -> u64 {
    let is_one = line.starts_with("coredump: ") && line.contains(": over core_pipe_limit");
    let more = ["coredump_pipe: ", "do_coredump: "]
        .iter()
        .find_map(|start| {
            line.strip_prefix(start)?
                .strip_suffix(" callbacks suppressed")
        });
    match more {
        Some(count) => count.parse().unwrap_or(0),
        None => u64::from(is_one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e8_what_the_kernel_skipped_is_counted() {
        let lines = [
            "coredump: 17(pm): over core_pipe_limit, skipping core dump",
            "coredump_pipe: 61 callbacks suppressed",
            "show_signal_msg: 108 callbacks suppressed",
            "coredump: 18(x): RLIMIT_CORE is set to 1, aborting core",
            "x: over core_pipe_limit",
            "do_coredump: 2 callbacks suppressed",
            "firstchance: the crash of process 7 left no dump: the disk is full.",
        ];
        let lost = Lost::of(&lines.map(str::to_owned));
        assert_eq!(lost.skipped, 64);
        assert_eq!(
            lost.failed,
            ["the crash of process 7 left no dump: the disk is full."]
        );
    }
}
