//! Dumps whose memory was copied, until their files are finished.

use super::{Collected, Step, Written, draft::Draft, report};
use crate::store::keep::keep_within;
use platform::Error;
use policy::Retention;
use std::{path::PathBuf, time::Instant};

pub(super) type Observer<'o> = &'o mut (dyn FnMut(Step) + Send);

/// Dumps whose memory was copied, or could not be. The target is not needed any more.
pub(crate) struct Unfinished {
    pub(super) start: Instant,
    /// The dumps, smallest first.
    pub(super) drafts: Vec<Draft>,
    pub(super) error: Option<Error>,
    /// Whether the largest dump is queued for Windows Error Reporting.
    pub(super) reports: bool,
    /// The folder that they are in, if it has limits, and these.
    pub(super) limits: Option<(PathBuf, Retention)>,
}

impl Unfinished {
    /// Whether all was copied that was asked for.
    pub(super) fn is_whole(&self) -> bool {
        self.error.is_none()
    }

    /// Finishes the files, each of which is published, kept as a partial file, or removed. That waits for the disk.
    pub(crate) fn finish(self, observer: Observer<'_>) -> Collected {
        let mut dumps: Vec<Written> = Vec::new();
        let mut error = self.error;
        // The largest dump is told when it is reported, as that adds warnings.
        let mut largest: Option<Written> = None;
        for draft in self.drafts {
            match draft.finish(error.as_ref(), self.start) {
                Ok(written) => {
                    let finished = match self.reports {
                        true => written.and_then(|written| largest.replace(written)),
                        false => written,
                    };
                    dumps.extend(finished.map(|written| told(written, observer)));
                }
                Err(failure) => error = error.or(Some(failure)),
            }
        }
        largest.iter_mut().for_each(report::queue);
        dumps.extend(largest.map(|written| told(written, observer)));
        keep_limits(self.limits, observer);
        Collected { dumps, error }
    }
}

/// Brings the folder within its limits: others who made room for a dump at the same time may have counted on the same
/// space.
fn keep_limits(limits: Option<(PathBuf, Retention)>, observer: Observer<'_>) {
    let Some((folder, keep)) = limits else { return };
    let pruned = keep_within(&folder, &keep).unwrap_or_default();
    for (path, error) in &pruned.failed {
        log::debug!("deleting the old dump {} failed: {error}", path.display());
    }
    let deleted = pruned.deleted.into_iter();
    deleted.for_each(|path| observer(Step::Deleted { path }));
}

fn told(written: Written, observer: Observer<'_>) -> Written {
    observer(Step::Complete(Box::new(written.clone())));
    written
}
