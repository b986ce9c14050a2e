//! How many crashes are worked on at the same time when many programs crash at once.

use std::time::Duration;

/// A number of slots. Whoever works takes one; the others wait, but not for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// How many may work at the same time.
    pub count: usize,
    /// Whoever has waited this long goes on without a slot: those who have one may hang.
    pub longest_wait: Duration,
}

/// What somebody who wants a slot does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStep<S> {
    /// Works, with this slot.
    Work(S),
    /// Waits a little, then looks again.
    Wait,
    /// Works without a slot.
    WorkAnyway,
}

impl Slots {
    /// The next step of somebody who has waited for so long. `take` takes the slot of a number
    /// unless another one has it.
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
