//! What was registered with the kernel before `enable`, for `disable` to restore.

use super::{Settings, call::SIGN, settings::Previous};
use platform::CoreHandler;
use std::path::Path;

/// `core_pipe_limit`: handlers that the kernel starts at the same time. It drops further crashes,
/// and says so in its log. Most of the handlers wait, see `handler_slots`.
pub(super) const AT_ONCE: u32 = 128;

/// What `disable` has to restore. What is still as we have written it says nothing: there it is what the settings say, or
/// where they are lost, the last good ones, or else the kernel's own setting.
pub(super) fn previous(settings: &Settings, before: &CoreHandler) -> Previous {
    let last_good = || Settings::last_good().filter(Settings::is_enabled);
    let known = Some(settings.clone()).filter(Settings::is_enabled);
    let known = known.or_else(last_good).map(|settings| settings.previous);
    let is_ours = is_copy(Path::new(program_of(&before.pattern)));
    let known = known.unwrap_or_else(|| Previous {
        core_pattern: "core".to_owned(),
        core_pipe_limit: if is_ours { 0 } else { before.at_once },
    });
    Previous {
        core_pattern: match is_ours {
            true => known.core_pattern,
            false => before.pattern.clone(),
        },
        core_pipe_limit: match before.at_once {
            AT_ONCE => known.core_pipe_limit,
            other => other,
        },
    }
}

/// What is still as `enable` has written it gets its value from before. The rest is another's.
pub(super) fn restored(settings: &Settings, now: &CoreHandler) -> CoreHandler {
    let before = &settings.previous;
    CoreHandler {
        pattern: match now.pattern == settings.registered {
            true => before.core_pattern.clone(),
            false => now.pattern.clone(),
        },
        at_once: match now.at_once {
            AT_ONCE => before.core_pipe_limit,
            other => other,
        },
    }
}

/// Whether a file is a copy of firstchance, of whatever version.
pub(super) fn is_copy(program: &Path) -> bool {
    let sign = SIGN.as_bytes();
    let is_file = std::fs::symlink_metadata(program).is_ok_and(|found| found.is_file());
    is_file
        && platform::open_file(program).is_ok_and(|file| {
            (*file)
                .as_ref()
                .windows(sign.len())
                .any(|part| part == sign)
        })
}

/// The program that a pattern names.
pub(super) fn program_of(pattern: &str) -> &str {
    let program = pattern.trim_start_matches(['|', '@']);
    program.split_ascii_whitespace().next().unwrap_or("")
}
