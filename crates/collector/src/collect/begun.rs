//! Dumps whose process goes on before they are copied: another thread than the one that has held it copies them.

use super::{copy::Source, draft::Draft, readers::Readers, unfinished::Unfinished};
use platform::{Capture, Unbound};
use snapshot::ProcessKey;
use std::time::Instant;

/// Dumps that have been begun: the process goes on, or stood until all was copied.
pub(crate) enum Begun {
    /// Their memory has still to be copied.
    Taken(Box<(Work, UnboundTaken)>),
    /// It has been copied, or could not be.
    Copied(Unfinished),
}

/// What becomes of a request.
pub(crate) struct Work {
    pub(super) key: ProcessKey,
    pub(super) start: Instant,
    pub(super) drafts: Vec<Draft>,
    /// Whose process it is.
    pub(super) user: Option<u32>,
    /// What small dumps are read for; `None` if there is none of them.
    pub(super) readers: Option<Readers>,
    /// The bytes that there is room for within the limits of the folder.
    pub(super) room: u64,
}

/// A process that is held, and what is copied of it.
pub(super) struct Taken {
    pub(super) capture: Box<Capture>,
    pub(super) source: Source,
}

/// The same, bound to no thread.
pub(crate) struct UnboundTaken {
    capture: Unbound,
    source: Source,
}

impl Taken {
    /// # Errors
    /// This, if it is bound to this thread.
    pub(super) fn unbind(self) -> Result<UnboundTaken, Self> {
        let source = self.source;
        match self.capture.unbind() {
            Ok(capture) => Ok(UnboundTaken { capture, source }),
            Err(capture) => Err(Self { capture, source }),
        }
    }
}

impl UnboundTaken {
    pub(super) fn go_on(self) -> Taken {
        Taken {
            capture: Box::new(self.capture.go_on()),
            source: self.source,
        }
    }
}
