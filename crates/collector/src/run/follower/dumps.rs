//! Dumps of the followed process.

use super::Follower;
use crate::{
    Collected, Request,
    collect::{begin_attached, copy_begun},
    run::{event::Event, order::DumpOrder, turns::Turn},
};
use platform::{Cancel, Result, Stop};
use std::time::{Duration, Instant};

/// How often it is looked, while a dump waits, whether other threads have stood for too long, or nobody wants it any more.
const POLL: Duration = Duration::from_millis(10);

impl Follower {
    /// Takes a dump. The process may have more to tell while a clone of it is copied, and while the files are finished, so that
    /// is left to a thread of its own.
    pub(super) fn dump(&mut self, mut order: DumpOrder, lets_go: bool) {
        let key = self.tell.id.key;
        if !self.has_place_for(&order.request) {
            return order.skip(key);
        }
        if !self.is_last_moment && order.request.opened.is_busy() {
            hurry(&mut order.request);
        }
        let copying = self.copies.begin();
        self.dumped = true;
        order.request.warnings.extend(self.late());
        let turn = match self.turn(&order.request.cancel) {
            Ok(turn) => turn,
            Err(error) => {
                let dumps = Vec::new();
                let error = Some(error);
                return order.finish(key, Collected { dumps, error });
            }
        };
        let (id, events) = (order.id, order.events.clone());
        let mut observer = move |step| {
            // Nobody listens any more when the run is over.
            let _ = events.send(Event::Step(id, key, step));
        };
        let begun = begin_attached(&mut *self.process, &order.request, lets_go, &mut observer);
        std::thread::spawn(move || {
            let unfinished = copy_begun(begun, &order.request, &mut observer);
            drop(copying);
            order.finish(key, unfinished.finish(&mut observer));
            drop(turn);
        });
    }

    /// Returns whether there is a place among the dumps that are copied. One that holds much waits for it as long as the thread of
    /// the event may stand; at the last moment of the process as long as it takes. Small ones do not wait.
    fn has_place_for(&mut self, request: &Request) -> bool {
        while is_large(request) && self.copies.are_most() && !request.cancel.is_asked() {
            let until = self.process.may_wait_until();
            let may_wait = until.is_some_and(|until| Instant::now() < until);
            if !may_wait && !self.is_last_moment {
                return false;
            }
            self.copies.wait(POLL);
            self.process.let_overdue_go();
        }
        true
    }

    /// Waits for the turn of this dump if the process has died.
    fn turn(&self, cancel: &Cancel) -> Result<Option<Turn>> {
        let died = self.process.has_died();
        died.map(|died| self.turns.wait(died, cancel)).transpose()
    }

    /// Says that the thread of the event at hand is not at its place any more.
    fn late(&self) -> Option<String> {
        let since = self.at.since.filter(|_| !self.process.is_standing())?;
        let late =
            policy::print_duration(Duration::from_millis(since.elapsed().as_millis() as u64));
        Some(format!(
            "taken {late} after the throw or breakpoint: its thread had gone on"
        ))
    }
}

/// Lets a small dump be taken in the shortest time: events come one after the other.
fn hurry(request: &mut Request) {
    if is_large(request) {
        return;
    }
    if request.stop == Stop::Threads {
        request.stop = Stop::Hold;
    }
    request.hurries = true;
}

fn is_large(request: &Request) -> bool {
    request.kinds.iter().any(|(kind, _)| kind.is_large())
}
