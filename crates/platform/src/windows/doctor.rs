//! What `firstchance doctor` checks on Windows: whether each mechanism that a dump uses works here,
//! and what to do if it does not.

use super::{security, sys::wine_version};
use crate::{Finding, Health};
use std::path::Path;

/// Checks everything that dumps need. `folder` is where dumps would be written.
pub(crate) fn doctor(folder: &Path) -> Vec<Finding> {
    vec![
        rights(),
        windows(),
        stopping(),
        disk(folder),
        privacy(folder),
    ]
}

fn finding(what: &str, health: Health, found: String, advice: &str) -> Finding {
    Finding {
        what: what.to_owned(),
        health,
        found,
        advice: advice.to_owned(),
    }
}

fn rights() -> Finding {
    let debug = security::enable_debug_privilege();
    match (security::is_elevated(), debug) {
        (_, true) => {
            let found = "SeDebugPrivilege is enabled: every process that is not protected".into();
            finding("rights", Health::Good, found, "")
        }
        (true, false) => {
            let found = "administrator without SeDebugPrivilege".into();
            let advice = "The policy \"Debug programs\" takes it away: your own processes only.";
            finding("rights", Health::Weak, found, advice)
        }
        (false, false) => {
            let found = "an ordinary user: your own processes only".into();
            let advice = "Start firstchance as administrator to dump those of others.";
            finding("rights", Health::Weak, found, advice)
        }
    }
}

fn windows() -> Finding {
    let system = super::system();
    let found = format!("{} ({})", system.release, system.distribution);
    finding("Windows", Health::Good, found, "")
}

fn stopping() -> Finding {
    let found = match wine_version() {
        Some(_) => "as a debugger: it stands while memory is copied (Wine has no clones)",
        None => "a copy-on-write clone where the process allows it, else as a debugger",
    };
    finding("stopping", Health::Good, found.into(), "")
}

/// Checks whether others can be kept from reading dumps.
fn privacy(folder: &Path) -> Finding {
    let what = "file permissions";
    match super::files::has_permissions(folder) {
        Ok(true) => {
            let found = "dumps are for SYSTEM, administrators and their owner alone".into();
            finding(what, Health::Good, found, "")
        }
        Ok(false) => {
            let found = "this file system has none: whoever reaches the folder can read the dumps";
            let advice = "Dumps hold secrets: choose a folder on NTFS with -o.";
            finding(what, Health::Weak, found.into(), advice)
        }
        Err(error) => finding(what, Health::Weak, error.to_string(), ""),
    }
}

fn disk(folder: &Path) -> Finding {
    let what = format!("disk of {}", folder.display());
    match super::space_at(folder) {
        Ok(space) => {
            let health = if space.free < 1 << 30 {
                Health::Weak
            } else {
                Health::Good
            };
            let found = format!("{} MB free of {} MB", space.free >> 20, space.total >> 20);
            finding(&what, health, found, "")
        }
        Err(error) => finding(
            &what,
            Health::Bad,
            error.to_string(),
            "Choose a folder with -o.",
        ),
    }
}
