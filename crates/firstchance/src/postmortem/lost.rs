//! Crashes that left no dump, found in the kernel's log.

/// What the kernel's log has of such crashes, as far as it goes back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Crashes for which the kernel started no handler, as `core_pipe_limit` handlers were running.
    pub(super) skipped: u64,
    /// The messages of handlers that could not store a dump, oldest first.
    pub(super) failed: Vec<String>,
}

/// The prefix of our handlers' messages.
const OURS: &str = "firstchance: ";
/// Our message when the settings are written.
const NEW_SETTINGS: &str = "the settings for crashes were written";

impl Lost {
    /// Finds these crashes in the lines of the log, since the settings were written last.
    pub(super) fn of(lines: &[String]) -> Self {
        let is_new = |line: &String| line.strip_prefix(OURS) == Some(NEW_SETTINGS);
        let before = lines.iter().rposition(is_new).map_or(0, |at| at + 1);
        let lines = &lines[before..];
        let ours = lines.iter().filter_map(|line| line.strip_prefix(OURS));
        Self {
            skipped: lines.iter().map(|line| skipped(line)).sum(),
            failed: ours.map(str::to_owned).collect(),
        }
    }
}

/// Writes to the system's log that a crash left no dump. Returns the message.
pub(super) fn log(pid: u32, error: &anyhow::Error) -> String {
    let what = format!("the crash of process {pid} left no dump: {error}");
    platform::system_log(&what);
    what
}

/// Writes to the system's log that the handling of a crash has failed, and what became of the kernel's core: `kept` is
/// `None` if too much of it was read to keep it.
pub(super) fn log_failure(pid: u32, error: &platform::Error, kept: Option<anyhow::Result<()>>) {
    let core = match kept {
        Some(Ok(())) => "the kernel's core was kept if a rule wants a dump".to_owned(),
        Some(Err(why)) => format!("the kernel's core could not be kept: {why}"),
        None => "the kernel's core could not be kept".to_owned(),
    };
    platform::system_log(&format!(
        "the crash of process {pid} left no dump: {error}; {core}"
    ));
}

/// Begins anew: what the log has before this line does not count any more.
pub(super) fn log_settings() {
    platform::system_note(NEW_SETTINGS);
}

/// Writes to the system's log that the settings are not used as they are.
pub(super) fn log_mistake(mistake: &platform::Error) {
    platform::system_log(&format!(
        "the last settings that made sense are used: {mistake}"
    ));
}

/// The number of skipped crashes that a line means. The kernel logs `coredump: 17(name): over
/// core_pipe_limit, skipping core dump` for up to ten crashes in five seconds, and before the next
/// such line how many it left out: `coredump_pipe: 61 callbacks suppressed` (fs/coredump.c). The
/// process chooses its name, but the kernel escapes control characters in it.
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
        let mut again = lines.map(str::to_owned).to_vec();
        again.push(format!("{OURS}{NEW_SETTINGS}"));
        assert_eq!(Lost::of(&again), Lost::default());
        assert_eq!(
            lost.failed,
            ["the crash of process 7 left no dump: the disk is full."]
        );
    }
}
