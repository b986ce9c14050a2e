//! The threads of the system behind those of a runtime.

use snapshot::{Registers, Snapshot};
use std::collections::HashSet;

/// How far a thread's pthread_t may be before its thread pointer. On x86 they are the same; on ARM the thread pointer is at its end.
const LARGEST_PTHREAD: u64 = 0x1000;

/// The threads of a process by what a runtime keeps of them.
pub(super) struct NativeThreads {
    numbers: HashSet<u32>,
    /// The thread pointers, ascending.
    pointers: Vec<(u64, u32)>,
}

impl NativeThreads {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let pointer = |thread: &snapshot::Thread| {
            let pointer = match &thread.registers {
                Some(Registers::X86_64(r)) => r.fs_base,
                Some(Registers::Aarch64(r)) => r.tls,
                _ => 0,
            };
            (pointer != 0).then_some((pointer, thread.id))
        };
        let mut pointers: Vec<(u64, u32)> = snapshot.threads.iter().filter_map(pointer).collect();
        pointers.sort_unstable();
        Self {
            numbers: snapshot.threads.iter().map(|thread| thread.id).collect(),
            pointers,
        }
    }

    /// The thread with this pthread_t, which is its thread pointer, or else with this number. The number is that of its own container,
    /// and the pointer is not.
    pub(super) fn find(&self, pthread: Option<u64>, number: Option<u64>) -> Option<u32> {
        let number = number.and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| self.numbers.contains(number));
        let first = pthread.map_or(self.pointers.len(), |pthread| {
            self.pointers
                .partition_point(|(pointer, _)| *pointer < pthread)
        });
        let is_near = |pointer: u64| pointer - pthread.unwrap_or(0) < LARGEST_PTHREAD;
        let near = self.pointers[first..]
            .iter()
            .take_while(|(pointer, _)| is_near(*pointer));
        let near: Vec<u32> = near.map(|(_, id)| *id).collect();
        number
            .filter(|number| near.contains(number))
            .or(near.first().copied())
            .or(number)
    }
}
