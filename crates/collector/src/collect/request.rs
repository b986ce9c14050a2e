//! A request for dumps of one process.

use super::{Destination, Opened, Series, WindowsOptions, output_folder};
use platform::{Cancel, Existing, Stop};
use policy::{DumpRequest, Retention, Rule, Trigger};
use snapshot::{Compression, DumpFormat, DumpKind, ThreadTimes};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Which dumps of a process to take, where to write them, and what their records say.
///
/// Make one with [`Request::new`] or [`Request::of_rule`], and name what differs from it:
/// `Request { existing: Existing::Replace, ..Request::new(kinds, destination) }`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The dumps, all from one capture. They are written smallest first.
    pub kinds: Vec<(DumpKind, DumpFormat)>,
    /// Whether they are compressed while they are written.
    pub compress: Option<Compression>,
    /// The dumps of the same process that came before, if several are expected: what has not changed is shared with the last.
    pub series: Option<Series>,
    /// What those before it opened to read the process.
    pub opened: Opened,
    /// What each thread had used some seconds before, if that was looked at.
    pub thread_times: Option<Arc<ThreadTimes>>,
    /// Where the dumps are written.
    pub destination: Destination,
    /// Whether the name of a dump has the pid, if the destination is a folder.
    pub names_pid: bool,
    /// What is done if there is a file of the same name.
    pub existing: Existing,
    /// What set the dumps off. Its text is the reason in the record. Its thread comes first in the
    /// dump, and its exception is the dump's exception.
    pub trigger: Trigger,
    /// The rule, as a sentence, or the command line that asked for the dumps; for the record.
    pub rule: String,
    /// The command line that asked for the dumps, where it is not the rule; for the comment that
    /// Windows' debuggers show.
    pub command_line: Option<String>,
    /// The user's comment, for the record.
    pub comment: Option<String>,
    /// The dumps are given up, and the target is released, when this time has passed since the
    /// start.
    pub timeout: Option<Duration>,
    /// Whether the target is stopped.
    pub stop: Stop,
    /// Whether small dumps are taken without being read: others wait for the thread that takes them.
    pub hurries: bool,
    /// How long it may be expected to stand; where that is longer, no dump is taken.
    pub max_pause: Option<Duration>,
    /// The limits of the folder that the dumps go to.
    pub keep: Retention,
    /// The number of the first dump, for the lines that are shown.
    pub number: u32,
    /// The crash signature (signal and innermost frames), if the trigger is a crash.
    pub signature: Option<String>,
    /// The number of the user whose process it is; `None` if the process is to be asked.
    pub user: Option<u32>,
    /// The user id of a user who may read the dump besides the one who writes it.
    pub reader: Option<u32>,
    /// What only Windows has.
    pub windows: WindowsOptions,
    /// Warnings for the record that are known beforehand.
    pub warnings: Vec<String>,
    /// Ends the dumps early.
    pub cancel: Cancel,
}

impl Request {
    /// The user who answers for the dumps of a process of this user.
    pub(crate) fn responsible(&self, uid: u32) -> u32 {
        platform::responsible_user(self.user.unwrap_or(uid))
    }

    /// The folder of the dumps and its limits, if it has any.
    pub(super) fn limits(&self) -> Option<(PathBuf, Retention)> {
        let keep = Some(&self.keep).filter(|keep| **keep != Retention::default())?;
        Some((output_folder(&self.destination)?, keep.clone()))
    }

    /// A request for these dumps at once, with nothing else asked for: no file is replaced, the
    /// target is stopped, there is no timeout, no old dump is deleted, and Ctrl-C cancels them.
    pub fn new(kinds: Vec<(DumpKind, DumpFormat)>, destination: Destination) -> Self {
        Self {
            kinds,
            compress: None,
            series: None,
            opened: Opened::default(),
            thread_times: None,
            destination,
            names_pid: false,
            existing: Existing::NextName,
            trigger: Trigger::Manual,
            rule: String::new(),
            command_line: None,
            comment: None,
            timeout: None,
            stop: Stop::Threads,
            hurries: false,
            max_pause: None,
            keep: Retention::default(),
            number: 1,
            signature: None,
            user: None,
            reader: None,
            windows: WindowsOptions::default(),
            warnings: Vec::new(),
            cancel: Cancel::of_process(),
        }
    }

    /// The request for the dumps that `rule` asks for. They go to the folder of the rule, or to
    /// `elsewhere` if it names none. `format` returns the format for a kind of dump.
    pub fn of_rule(
        asked: &DumpRequest,
        rule: &Rule,
        format: impl Fn(DumpKind) -> DumpFormat,
        elsewhere: Destination,
    ) -> Self {
        let kinds = asked.kinds.iter().map(|kind| (*kind, format(*kind)));
        let folder = rule.folder.as_ref();
        let folder = folder.map(|folder| Destination::Folder(folder.into()));
        Self {
            trigger: asked.trigger.clone(),
            rule: rule.to_string(),
            names_pid: rule.is_about_several(),
            compress: rule.compress,
            keep: rule.limits.keep.clone(),
            number: asked.number,
            ..Self::new(kinds.collect(), folder.unwrap_or(elsewhere))
        }
    }
}
