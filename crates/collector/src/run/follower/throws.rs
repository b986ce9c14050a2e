//! Threads that stand where their language throws.

use super::{Follower, FollowerEvent, Result, Then, kinds::Wanted};
use analysis::{
    places::{ThrowPlace, Thrower},
    thrown::{self, CxxType},
};
use snapshot::{Exception, Memory, TargetEvent};
use std::time::Instant;

/// The last panic of Rust, of which the process dies with `panic=abort`.
pub(super) struct Panicked {
    what: Exception,
    /// Where the function's frame begins, and what lies there: where it returns to.
    frame: u64,
    returns_to: Option<u64>,
}

impl Panicked {
    fn at(frame: u64, what: &Exception, memory: &dyn Memory) -> Self {
        Self {
            what: what.clone(),
            frame,
            returns_to: memory.read_u64(frame),
        }
    }

    /// The panic, if the thread that gets `signal` with this stack still is in it: the frame of a
    /// panic that was caught is gone.
    pub(super) fn behind(
        &self,
        signal: &Exception,
        stack: u64,
        memory: &dyn Memory,
    ) -> Option<&Exception> {
        let is_same = self.what.thread == signal.thread && stack < self.frame;
        let is_in_it = is_same && memory.read_u64(self.frame) == self.returns_to;
        is_in_it.then_some(&self.what)
    }
}

impl Follower {
    /// Whether what is thrown there is at its second chance. Of an error of Node nothing is seen before; who wants first
    /// chances alone is told it as one: its own handler (`uncaughtException`) is still to come.
    fn is_second_chance(&self, thrower: Thrower) -> bool {
        let is_nodes = thrower == Thrower::NodeUncaught;
        thrower.is_last() && (!is_nodes || self.wake.wants_unhandled())
    }

    /// A thread stands where its language throws.
    pub(super) fn thrown(&mut self, place: ThrowPlace, thread: u32) -> Result<Then> {
        let Some(registers) = self.at.registers else {
            return Ok(Then::Stay);
        };
        // It dies once, though several threads see to it.
        if place.thrower.ends_process() && std::mem::replace(&mut self.ends, true) {
            return Ok(Then::Stay);
        }
        let kind = self.at.kind;
        if !place.thrower.is_last() && self.throttle.passes_over(kind) {
            return Ok(Then::Stay);
        }
        let memory = self.process.memory();
        let object = place.object.and_then(|object| object.value(&registers));
        let is_again = place.thrower == Thrower::CxxRethrow;
        if is_again && thrown::is_of_terminate(kind, object.unwrap_or(0), &*memory) {
            return Ok(Then::Stay);
        }
        let begin = Instant::now();
        let known = kind.and_then(|kind| self.throttle.kinds().cxx(kind));
        let thrown = match known {
            Some(cxx) => Some(cxx.thrown(object.unwrap_or(0), &*memory)),
            None => thrown::thrown(&place, kind, &registers, &*memory),
        };
        let is_new = known.is_none();
        if is_new {
            self.throttle.spend_on_new_type(begin.elapsed());
        }
        let Some(mut thrown) = thrown else {
            self.throttle.kinds().count_late(kind);
            return Ok(Then::Stay);
        };
        // For a `std::exception_ptr`, the probe reports the object's address, which differs each
        // time. It is no type, so it is not remembered.
        let kind = kind.filter(|_| kind != object);
        // After the reading: a thread that goes on uses the memory of its exception for the next one.
        let is_late = !self.process.is_standing();
        if is_late && !self.wake.acts && self.throttle.kinds().count_late(kind) {
            return Ok(Then::Stay);
        }
        let message = std::mem::take(&mut thrown.message);
        let mut exception = Exception {
            thread,
            address: registers.ip(),
            first_chance: !self.is_second_chance(place.thrower),
            name: thrown.name,
            bases: thrown.bases,
            ..Exception::default()
        };
        let is_wanted_by_type = self.wake.wakes_for(&exception);
        let is_by_message =
            !is_wanted_by_type && thrown.message_varies && self.wake.needs_message_of(&exception);
        if !is_late {
            exception.message = message;
        }
        let is_wanted = self.wake.wakes_for(&exception);
        log::trace!(
            "thrown in thread {thread}, wanted: {is_wanted}: {}",
            exception.name
        );
        self.unread += u64::from(is_late && is_by_message);
        if is_wanted && !is_late {
            self.met(&exception.name, thread);
        }
        let may_abort = place.thrower.may_abort() && self.wake.wants_unhandled();
        if may_abort {
            self.panicked = Some(Panicked::at(registers.sp(), &exception, &*memory));
        }
        if let Some(kind) = kind {
            let wanted = match may_abort {
                _ if is_wanted_by_type => Wanted::All,
                _ if is_by_message => Wanted::ByMessage,
                true => Wanted::AtTheEnd,
                false => Wanted::No,
            };
            let passes = self.throttle.only_counts() || wanted == Wanted::No;
            self.throttle.kinds().learn(kind, &exception.name, wanted);
            self.process.pass(kind, passes);
            if is_new && place.thrower == Thrower::Cxx {
                let cxx = CxxType::of(kind, object.unwrap_or(0), &*memory);
                self.throttle.kinds().remember(kind, cxx);
            }
        }
        if !is_wanted && !exception.first_chance {
            self.left_out(exception, false);
            return Ok(Then::Stay);
        }
        let event = TargetEvent::Exception(exception);
        match (is_wanted, self.wake.acts) {
            (false, _) => Ok(Then::Stay),
            (true, true) => self.report(event),
            (true, false) => {
                self.tell.tell(FollowerEvent::Seen(event, self.at.since));
                Ok(Then::Stay)
            }
        }
    }
}
