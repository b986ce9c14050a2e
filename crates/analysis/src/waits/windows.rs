//! Locks of Windows. A blocked thread's arguments are not in its registers any more, but its stack has the address of the lock,
//! and what stands there shows that it is one: a critical section names its owner and counts who waits (`RTL_CRITICAL_SECTION`
//! of winnt.h).

use super::{Lock, LockKind, On};
use crate::stack::Stack;
use snapshot::{Memory, OperatingSystem, Snapshot, Thread};
use std::collections::BTreeSet;

/// How much of a stack is searched, from the stack pointer on, in bytes: the functions that wait have less.
const SEARCHED: u64 = 2048;
/// A section is not entered more often than this by its owner.
const MOST_ENTERED: u32 = 10_000;
/// The innermost frames, one of which has to be of the library that waits.
const FRAMES: usize = 6;

/// What a thread waits for, if that is a lock that another thread has.
pub(super) fn of(
    snapshot: &Snapshot,
    thread: &Thread,
    stack: &Stack,
    memory: &dyn Memory,
) -> Option<On> {
    let is_windows = snapshot.system.os == OperatingSystem::Windows;
    if !is_windows || !waits(stack) {
        return None;
    }
    let width = snapshot.system.architecture.pointer_size();
    let is_thread = |id: u32| snapshot.threads.iter().any(|thread| thread.id == id);
    let is_other = |id: &u32| *id != thread.id && is_thread(*id);
    let found = addresses(thread, width, memory)
        .into_iter()
        .find_map(|address| {
            let owner = Section::read(memory, address, width)?.owner_if_waited_for();
            Some((address, owner.filter(is_other)?))
        });
    found.map(|(address, owner)| {
        On::Lock(Lock {
            kind: LockKind::CriticalSection,
            address,
            owner: Some(owner),
        })
    })
}

/// Whether a thread is in the function that enters a section, or, where no name is known, in the library that waits.
fn waits(stack: &Stack) -> bool {
    let frames = stack.frames.iter().take(FRAMES);
    let names: Vec<&str> = frames
        .filter_map(|frame| frame.symbol.as_ref())
        .map(|symbol| &symbol.name[..])
        .collect();
    let is_in_library = stack.frames.first().is_some_and(|frame| {
        let module = frame.module.as_deref().unwrap_or_default();
        module.eq_ignore_ascii_case("ntdll.dll")
    });
    match names.is_empty() {
        true => is_in_library,
        false => names.iter().any(|name| name.contains("CriticalSection")),
    }
}

/// The addresses that a thread has in its registers and on the innermost part of its stack, in the order in which it has them.
fn addresses(thread: &Thread, width: u64, memory: &dyn Memory) -> Vec<u64> {
    let Some(registers) = thread.registers else {
        return Vec::new();
    };
    let mut seen = BTreeSet::new();
    let mut found: Vec<u64> = registers.pointers().into_iter().collect();
    let mut bytes = vec![0; SEARCHED as usize];
    let got = memory.read(registers.sp().next_multiple_of(width), &mut bytes);
    let words = bytes[..got].chunks_exact(width as usize);
    found.extend(words.map(number));
    found.retain(|address| *address > 0xffff && address.is_multiple_of(4) && seen.insert(*address));
    found
}

fn number(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// What stands at an address, as a critical section.
struct Section {
    lock_count: i32,
    recursion_count: u32,
    owner: u64,
}

impl Section {
    fn read(memory: &dyn Memory, address: u64, width: u64) -> Option<Self> {
        let mut bytes = [0; 24];
        let size = (2 * width + 8) as usize;
        let bytes = bytes.get_mut(..size)?;
        memory.read_all(address, bytes).then_some(())?;
        let part = |from: u64, size: u64| number(&bytes[from as usize..(from + size) as usize]);
        Some(Self {
            lock_count: part(width, 4) as u32 as i32,
            recursion_count: part(width + 4, 4) as u32,
            owner: part(width + 8, width),
        })
    }

    /// The owner, if the section is one that somebody has and another one waits for. Since Windows Vista the lowest bit says
    /// that it is free, and the upper ones count who waits, from -1 down; before, and in Wine, it is how many want it but the
    /// first.
    fn owner_if_waited_for(&self) -> Option<u32> {
        let is_waited_for = match self.lock_count {
            1.. => self.lock_count < 100_000,
            count => count & 1 == 0 && (-1 - count) >> 2 >= 1,
        };
        let is_entered = (1..=MOST_ENTERED).contains(&self.recursion_count);
        (is_waited_for && is_entered).then_some(u32::try_from(self.owner).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, Frame, How};
    use snapshot::{Registers, System, X86_64};

    struct Words(u64, Vec<u8>);

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let from = address.checked_sub(self.0).map(|from| from as usize);
            let rest = from.and_then(|from| self.1.get(from..)).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        }
    }

    /// A section at 0x20040 whose address is on the stack at 0x20010.
    fn machine(lock_count: i32, owner: u64) -> Option<On> {
        let mut bytes = vec![0; 0x80];
        bytes[0x10..0x18].copy_from_slice(&0x20040u64.to_le_bytes());
        bytes[0x48..0x4c].copy_from_slice(&lock_count.to_le_bytes());
        bytes[0x4c..0x50].copy_from_slice(&1u32.to_le_bytes());
        bytes[0x50..0x58].copy_from_slice(&owner.to_le_bytes());
        let memory = Words(0x20000, bytes);
        let thread = |id| Thread {
            id,
            registers: Some(Registers::X86_64(X86_64 {
                rsp: 0x20000,
                ..X86_64::default()
            })),
            ..Thread::default()
        };
        let snapshot = Snapshot {
            threads: vec![thread(7), thread(8)],
            system: System {
                os: OperatingSystem::Windows,
                ..System::default()
            },
            ..Snapshot::default()
        };
        let stack = Stack::whole(
            vec![Frame {
                ip: 1,
                sp: 0x20000,
                module: Some("NTDLL.dll".to_owned()),
                offset: 1,
                symbol: None,
                how: How::Context,
                is_signal_frame: false,
                language: Vec::new(),
            }],
            End::Root,
        );
        of(&snapshot, &snapshot.threads[0], &stack, &memory)
    }

    #[test]
    fn the_section_is_found_by_what_it_says_of_its_owner_and_of_who_waits() {
        let lock = On::Lock(Lock {
            kind: LockKind::CriticalSection,
            address: 0x20040,
            owner: Some(8),
        });
        assert_eq!(machine(-6, 8), Some(lock), "one waits, since Vista");
        assert_eq!(machine(1, 8), Some(lock), "one waits, in Wine");
        assert_eq!(machine(-2, 8), None, "nobody waits");
        assert_eq!(machine(0, 8), None, "nobody waits, in Wine");
        assert_eq!(machine(-1, 8), None, "it is free");
        assert_eq!(machine(-6, 9), None, "its owner is no thread of it");
        assert_eq!(machine(-6, 7), None, "it has it itself");
    }
}
