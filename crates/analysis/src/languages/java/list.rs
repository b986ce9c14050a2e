//! Which threads a virtual machine has (`runtime/threadSMR.hpp`), and where their stacks are.

use super::view::View;
use snapshot::Range;
use std::collections::HashSet;

/// The most threads that are read.
const MOST: u64 = 1 << 16;

/// The threads of a machine.
pub(super) struct List {
    /// Where each is, in the order of the machine.
    pub(super) threads: Vec<u64>,
    /// The stack of each, ascending.
    stacks: Vec<(Range, u64)>,
}

impl List {
    pub(super) fn read(view: View) -> Self {
        let threads = listed(view).unwrap_or_else(|| linked(view));
        let with_stacks = threads
            .iter()
            .filter_map(|at| Some((stack(view, *at)?, *at)));
        let mut stacks: Vec<(Range, u64)> = with_stacks.collect();
        stacks.sort_unstable_by_key(|(stack, _)| stack.start);
        Self { threads, stacks }
    }

    /// The thread on whose stack an address is.
    pub(super) fn with_stack_at(&self, address: u64) -> Option<u64> {
        let after = self
            .stacks
            .partition_point(|(stack, _)| stack.start <= address);
        let (stack, thread) = self.stacks.get(after.checked_sub(1)?)?;
        stack.contains(address).then_some(*thread)
    }
}

fn listed(view: View) -> Option<Vec<u64>> {
    let list = view.static_word("ThreadsSMRSupport._java_thread_list")?;
    let count = view.number(list, "ThreadsList._length")?;
    let first = view.pointer(list, "ThreadsList._threads")?;
    let count = u64::try_from(count).ok()?.min(MOST);
    let threads = (0..count).map_while(|number| view.word(first.wrapping_add(8 * number)));
    Some(threads.collect())
}

/// The same up to Java 11, where each has the address of the next one.
fn linked(view: View) -> Vec<u64> {
    let mut seen = HashSet::new();
    let first = view.static_word("Threads._thread_list");
    let threads = std::iter::successors(first, |at| view.pointer(*at, "JavaThread._next"));
    let threads = threads.take_while(|at| *at != 0 && seen.insert(*at));
    threads.take(MOST as usize).collect()
}

fn stack(view: View, thread: u64) -> Option<Range> {
    let part = |name: &str| {
        let [own, of_base] = ["JavaThread", "Thread"].map(|owner| format!("{owner}.{name}"));
        view.pointer_of(thread, &[&own, &of_base])
    };
    let (end, size) = (part("_stack_base")?, part("_stack_size")?);
    Some(Range::new(end.checked_sub(size)?, end))
}
