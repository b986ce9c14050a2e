//! Crashes that left no dump, found in the kernel's log.

use std::path::PathBuf;

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
/// The advice for a disk without room, where nobody has given a command that takes a dump.
const NO_ROOM_ADVICE: &str =
    "`firstchance postmortem enable` can set another --folder, a smaller --type or other limits";
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
    let what = format!("the crash of process {pid} left no dump: {}", reason(error));
    platform::system_log(&what);
    what
}

/// Writes to the system's log that the handling of a crash has failed, and what became of the kernel's core: the path that
/// it has, or `None` if no rule wants a dump. `kept` is `None` if too much of it was read to keep it.
pub(super) fn log_failure(
    pid: u32,
    error: &platform::Error,
    kept: Option<anyhow::Result<Option<PathBuf>>>,
) {
    platform::system_log(&failure(pid, error, kept));
}

fn failure(
    pid: u32,
    error: &platform::Error,
    kept: Option<anyhow::Result<Option<PathBuf>>>,
) -> String {
    let (crash, why) = (format!("the crash of process {pid}"), &error.what);
    match kept {
        Some(Ok(Some(core))) => format!(
            "{crash} left only the kernel's core, {}, as {why}",
            core.display()
        ),
        Some(Ok(None)) => format!("{crash}, of which no rule wants a dump: {why}"),
        Some(Err(lost)) => format!(
            "{crash} left no dump: {why}; the kernel's core could not be kept: {}",
            reason(&lost)
        ),
        None => format!(
            "{crash} left no dump: {why}; too much of the kernel's core was read by then to keep it"
        ),
    }
}

/// What went wrong, and what can be done about it, without the last full stop.
fn reason(error: &anyhow::Error) -> String {
    match error.downcast_ref::<platform::Error>() {
        Some(error) if collector::NO_ROOM_ADVICE.contains(&&error.advice[..]) => {
            format!("{}. {NO_ROOM_ADVICE}", error.what)
        }
        Some(error) if error.advice.is_empty() => error.what.clone(),
        Some(error) => error.to_string().trim_end_matches('.').to_owned(),
        None => error.to_string(),
    }
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
    use platform::ErrorKind;

    #[test]
    fn n38_a_failure_says_what_became_of_the_crash_in_one_sentence() {
        let error =
            platform::Error::new(ErrorKind::Other, "the crash handler was ended by SIGKILL");
        let no_room = platform::Error::new(
            ErrorKind::Disk,
            "/d has 3 MB free; the dump needs about 9 MB",
        );
        let no_room = no_room.advise(collector::NO_ROOM_ADVICE[1]);
        for (kept, expected) in [
            (
                Some(Ok(Some("/d/x.core".into()))),
                "the crash of process 7 left only the kernel's core, /d/x.core, as the crash handler was ended by SIGKILL",
            ),
            (
                Some(Ok(None)),
                "the crash of process 7, of which no rule wants a dump: the crash handler was ended by SIGKILL",
            ),
            (
                Some(Err(no_room.into())),
                "the crash of process 7 left no dump: the crash handler was ended by SIGKILL; the kernel's core could \
                 not be kept: /d has 3 MB free; the dump needs about 9 MB. `firstchance postmortem enable` can set another --folder, \
                 a smaller --type or other limits",
            ),
            (
                None,
                "the crash of process 7 left no dump: the crash handler was ended by SIGKILL; too much of the kernel's \
                 core was read by then to keep it",
            ),
        ] {
            assert_eq!(failure(7, &error, kept), expected);
        }
    }

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
