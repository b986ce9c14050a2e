//! How many crash handlers work at the same time when many programs crash at once.

use std::time::Duration;

/// A number of slots. A handler that works holds one; the others wait for one, but not for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// How many handlers may work at the same time.
    pub count: usize,
    /// A handler that has waited this long works without a slot, because those that hold one may hang.
    pub longest_wait: Duration,
}

/// What a handler that wants a slot does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStep<S> {
    /// It works, and holds this slot.
    Work(S),
    /// It waits a little, then tries again.
    Wait,
    /// It works without a slot.
    WorkAnyway,
}

impl Slots {
    /// The next step of a handler that has waited for `waited`. `take` tries to take the slot of a number,
    /// and returns `None` if another handler holds it.
    pub fn step<S>(&self, waited: Duration, take: impl FnMut(usize) -> Option<S>) -> SlotStep<S> {
        match (0..self.count).find_map(take) {
            Some(slot) => SlotStep::Work(slot),
            None if waited >= self.longest_wait => SlotStep::WorkAnyway,
            None => SlotStep::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_slot_is_taken_and_a_full_house_is_waited_for_only_so_long() {
        let minute = Duration::from_secs(60);
        let slots = Slots {
            count: 3,
            longest_wait: minute,
        };
        let free = |number: usize| (number == 2).then_some(number);
        let full = |_| None::<usize>;
        assert_eq!(slots.step(Duration::ZERO, free), SlotStep::Work(2));
        assert_eq!(slots.step(Duration::ZERO, full), SlotStep::Wait);
        assert_eq!(slots.step(minute, full), SlotStep::WorkAnyway);
        assert_eq!(slots.step(minute, free), SlotStep::Work(2));
        let fourth = |number: usize| (number == 3).then_some(number);
        assert_eq!(slots.step(Duration::ZERO, fourth), SlotStep::Wait);
    }
}
