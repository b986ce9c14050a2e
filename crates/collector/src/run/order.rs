//! Orders that are answered exactly once, whatever becomes of who got them.

use super::event::{Event, Finished, FollowerId};
use crate::{Collected, Request};
use platform::{Error, ErrorKind};
use policy::{DumpId, WakeFor};
use snapshot::ProcessKey;
use std::sync::mpsc::Sender;

/// What the thread of a followed process is told.
pub(super) enum Order {
    /// Report this, and nothing else.
    Wake(Box<WakeFor>),
    /// Take a dump.
    Dump(DumpOrder),
    /// Tell stacks.
    Stack(StackOrder),
    /// Count exceptions and look at one a second; or look at each again.
    Storm(bool),
    /// The process may have become another program, or have other images.
    LookAgain,
    /// No more orders come for the event at hand: obey them, and let the process go on.
    GoOn,
    /// The process is gone: tell what is left to tell.
    Gone,
}

/// An event that is sent when this is dropped: the answer that was given, or else the one that says
/// that there was none.
///
/// Situation: a dump order lay in the inbox of a thread whose process ended. Nobody answered it, and
/// the watch waited for it for ever, SIGTERM included.
pub(super) struct Reply {
    to: Sender<Event>,
    event: Option<Event>,
}

impl Reply {
    /// Sends `otherwise` if no answer is given.
    pub(super) fn new(to: Sender<Event>, otherwise: Event) -> Self {
        Self {
            to,
            event: Some(otherwise),
        }
    }

    /// Sends this instead.
    pub(super) fn answer(mut self, event: Event) {
        self.event = Some(event);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            // Nobody listens any more when the run is over.
            let _ = self.to.send(event);
        }
    }
}

/// A dump that is to be taken.
pub(super) struct DumpOrder {
    pub(super) id: DumpId,
    pub(super) request: Box<Request>,
    /// Where its steps go.
    pub(super) events: Sender<Event>,
    reply: Reply,
}

impl DumpOrder {
    pub(super) fn new(
        id: DumpId,
        process: ProcessKey,
        request: Box<Request>,
        events: &Sender<Event>,
    ) -> Self {
        let what = format!("process {process} was left before its dump was begun");
        let otherwise = Event::DumpFinished(Finished {
            id,
            process,
            number: request.number,
            dumps: Vec::new(),
            error: Some(Error::new(ErrorKind::TargetDied, what)),
        });
        Self {
            id,
            request,
            events: events.clone(),
            reply: Reply::new(events.clone(), otherwise),
        }
    }

    /// Says that it was not begun: too many of the process are being copied.
    pub(super) fn skip(self, process: ProcessKey) {
        self.reply.answer(Event::DumpSkipped(self.id, process));
    }

    /// Says what came of it.
    pub(super) fn finish(self, process: ProcessKey, collected: Collected) {
        let Collected { dumps, error } = collected;
        self.reply.answer(Event::DumpFinished(Finished {
            id: self.id,
            process,
            number: self.request.number,
            dumps,
            error,
        }));
    }
}

/// Stacks that are to be told: of one thread, or of all.
pub(super) struct StackOrder {
    pub(super) thread: Option<u32>,
    process: ProcessKey,
    reply: Reply,
}

impl StackOrder {
    pub(super) fn new(process: ProcessKey, thread: Option<u32>, events: &Sender<Event>) -> Self {
        let otherwise = vec![format!(
            "process {process} was left before its stack was read"
        )];
        Self {
            thread,
            process,
            reply: Reply::new(events.clone(), Event::Stack(process, otherwise)),
        }
    }

    pub(super) fn finish(self, lines: Vec<String>) {
        self.reply.answer(Event::Stack(self.process, lines));
    }
}

/// The last report of a follower, also when its thread panics.
pub(super) fn last_report(id: FollowerId, events: &Sender<Event>) -> Reply {
    use super::event::FollowerEvent::Ended;
    let what = format!(
        "following process {} failed within firstchance itself; the process was let go",
        id.key
    );
    let error = Error::new(ErrorKind::Other, what);
    Reply::new(events.clone(), Event::Follower(id, Ended(Some(error))))
}
