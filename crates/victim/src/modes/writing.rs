//! A target that writes to all its memory.

use victim::Slot;

use super::{Mode, pause::random_memory};
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "write", args: "MIB [huge]", about: "writes to each of its pages in turn, and counts the writes", run: write },
];

const WORDS_OF_A_PAGE: usize = 4096 / size_of::<u64>();

fn write(harness: &Harness) -> Outcome {
    let bytes = harness.arg(0, 64_usize)? << 20;
    let is_huge = harness.arg(1, String::new())? == "huge";
    let memory = random_memory(bytes, is_huge)?;
    harness.ready();
    loop {
        for word in memory.iter_mut().step_by(WORDS_OF_A_PAGE) {
            *word = word.wrapping_add(1);
            harness.state.count(Slot::Counter);
        }
    }
}
