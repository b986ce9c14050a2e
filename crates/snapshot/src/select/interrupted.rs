//! Threads that run a signal handler on an alternate stack (sigaltstack(2)): where the stack is that the signal
//! interrupted. That is the stack that crashed.

use crate::{Architecture, Memory, Range};

/// How much of a stack is searched for the frame of a signal, in bytes: more than most threads use, so that ten
/// thousand threads cost little more than their stacks do.
const SEARCHED: u64 = 64 << 10;
const PAGE: u64 = 4096;
/// How many handlers that interrupted each other are followed.
const MOST_HANDLERS: usize = 4;
/// The sizes that an alternate stack may have, in bytes.
const SIZES: std::ops::Range<u64> = 2048..1 << 30;

/// The distance from `uc_stack` to the stack pointer in `struct ucontext` of the kernel
/// (`asm/sigcontext.h`); `None` if it is not known for this architecture.
fn distance(architecture: Architecture) -> Option<u64> {
    match architecture {
        Architecture::X86_64 => Some(144),
        Architecture::Aarch64 => Some(416),
        _ => None,
    }
}

/// The stack pointers that signals have interrupted, the last interrupted first. `sp` is that of the thread, and
/// `region_end` the end of the memory that a stack pointer lies in.
pub(super) fn stack_pointers(
    architecture: Architecture,
    memory: &dyn Memory,
    sp: u64,
    region_end: impl Fn(u64) -> Option<u64>,
) -> Vec<u64> {
    let mut found = Vec::new();
    let Some(distance) = distance(architecture) else {
        return found;
    };
    let mut at = sp;
    while found.len() < MOST_HANDLERS
        && let Some(end) = region_end(at)
        && let Some(next) = interrupted(
            memory,
            Range::new(at, end.min(at.saturating_add(SEARCHED))),
            distance,
        )
    {
        found.push(next);
        at = next;
    }
    found
}

/// The stack pointer in the frame of a signal that lies in `stack`. The frame is known by `uc_stack`, which describes
/// the alternate stack that it lies on itself. The stack is read once: many words of a stack look like such a frame.
fn interrupted(memory: &dyn Memory, stack: Range, distance: u64) -> Option<u64> {
    let (start, bytes) = content(memory, stack);
    let word = |at: u64| {
        let from = at
            .checked_sub(start)
            .and_then(|from| bytes.get(from as usize..));
        match from.and_then(|from| from.first_chunk()) {
            Some(word) => Some(u64::from_le_bytes(*word)),
            None => memory.read_u64(at),
        }
    };
    let interrupted_by = |at: u64| {
        let begin = word(at).filter(|begin| *begin <= at && at - begin < SIZES.end)?;
        let size = word(at + 16).filter(|size| SIZES.contains(size))?;
        let alternate = Range::new(begin, begin.saturating_add(size));
        let sp = word(at + distance).filter(|_| alternate.contains(at))?;
        (!alternate.contains(sp) && sp > 0xffff).then_some(sp)
    };
    let end = start + bytes.len() as u64;
    (start..end).step_by(8).find_map(interrupted_by)
}

/// What can be read of a stack, and where that begins: the stack pointer may be below what exists.
fn content(memory: &dyn Memory, stack: Range) -> (u64, Vec<u8>) {
    let mut start = stack.start.next_multiple_of(8);
    let mut bytes = vec![0; stack.end.saturating_sub(start) as usize];
    while start < stack.end {
        let wanted = (stack.end - start) as usize;
        let got = memory.read(start, &mut bytes[..wanted]);
        if got > 0 {
            bytes.truncate(got);
            return (start, bytes);
        }
        start = (start + 1).next_multiple_of(PAGE);
    }
    (start, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stack {
        start: u64,
        bytes: Vec<u8>,
    }

    impl Memory for Stack {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let at = address.checked_sub(self.start);
            let rest = at.and_then(|at| self.bytes.get(at as usize..));
            let rest = rest.unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        }
    }

    #[test]
    fn n13_the_frame_of_a_signal_tells_where_the_interrupted_stack_is() {
        let architectures = [(Architecture::X86_64, 144), (Architecture::Aarch64, 416)];
        for (architecture, distance) in architectures {
            let mut bytes = vec![0; 0x1000];
            let mut put = |at: usize, word: u64| {
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            };
            // A pointer to the stack that is no frame, and then the frame.
            put(0x100, 0x10_0000);
            put(0x800, 0x10_0000);
            put(0x800 + 16, 0x1_0000);
            put(0x800 + distance, 0x7fff_0000);
            let start = 0x10_e000;
            let memory = Stack { start, bytes };
            let end = |sp: u64| (sp < 0x11_0000).then_some(0x11_0000);
            let found = stack_pointers(architecture, &memory, start, end);
            assert_eq!(found, [0x7fff_0000]);
        }
    }
}
