//! What is asked of one collection of dumps.

use super::Destination;
use platform::{Cancel, Stop};
use policy::{DumpRequest, Retention, Rule};
use snapshot::{DumpFormat, DumpKind, Exception};
use std::time::Duration;

/// Which dumps of a process are to be taken, where they go, and what their record says.
///
/// It is made by [`Request::new`] or [`Request::of_rule`]; what differs from those is named:
/// `Request { overwrite: true, ..Request::new(kinds, destination) }`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The dumps, all from one capture; they are written smallest first.
    pub kinds: Vec<(DumpKind, DumpFormat)>,
    /// Where they go.
    pub destination: Destination,
    /// Whether a file of the same name may be replaced.
    pub overwrite: bool,
    /// Why the dumps are taken: a sentence for the record.
    pub reason: String,
    /// The rule, as a sentence, or the command line that asks for them; for the record.
    pub rule: String,
    /// What the user wants to have written in the record.
    pub comment: Option<String>,
    /// After how long, from the start, the dumps are given up and the target is released.
    pub timeout: Option<Duration>,
    /// Whether the target is stopped.
    pub stop: Stop,
    /// The limits of the folder that the dumps go to.
    pub keep: Retention,
    /// Number of the first dump, for the lines that are shown.
    pub number: u32,
    /// The exception that is the reason, if one is.
    pub exception: Option<Exception>,
    /// The thread that is the reason, if one is: it comes first in the dump.
    pub thread: Option<u32>,
    /// The crash signature (signal and innermost frames), if the reason is a crash.
    pub signature: Option<String>,
    /// A user who may read the dump besides the one who writes it.
    pub reader: Option<u32>,
    /// Ends the dumps early.
    pub cancel: Cancel,
}

impl Request {
    /// A request for these dumps with nothing else asked for: no file is replaced, the target is
    /// stopped, there is no timeout, no old dump is deleted, and Ctrl-C cancels them.
    pub fn new(kinds: Vec<(DumpKind, DumpFormat)>, destination: Destination) -> Self {
        Self {
            kinds,
            destination,
            overwrite: false,
            reason: String::new(),
            rule: String::new(),
            comment: None,
            timeout: None,
            stop: Stop::Threads,
            keep: Retention::default(),
            number: 1,
            exception: None,
            thread: None,
            signature: None,
            reader: None,
            cancel: Cancel::of_process(),
        }
    }

    /// The request for the dumps that `rule` asks for. They go to the folder of the rule, or to
    /// `elsewhere` if it names none; `format` says in which format a kind is written.
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
            reason: asked.trigger.to_string(),
            rule: rule.to_string(),
            keep: rule.limits.keep.clone(),
            number: asked.number,
            exception: asked.trigger.exception().cloned(),
            thread: asked.trigger.thread(),
            ..Self::new(kinds.collect(), folder.unwrap_or(elsewhere))
        }
    }
}
