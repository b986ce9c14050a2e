//! What the heap of a process is made of: its blocks by size and by what they begin with.
//!
//! Who looks for a leak wants "200,000 blocks of 536 bytes that begin with SESSION-OBJECT". The allocator of the GNU C library
//! keeps its blocks one behind the other, each with its size before it (malloc/malloc.c), so that all are found by going from
//! one to the next. Other allocators are named.

mod arenas;
mod begins;
mod chunks;
mod lists;
mod window;

#[cfg(test)]
mod tests;

pub use begins::Begin;

use begins::Tally;
use chunks::walk;
use snapshot::{Memory, Module, Range, Snapshot};

/// The blocks that are looked at, at most: as many take some seconds.
const MOST_BLOCKS: u64 = 50_000_000;

/// What the heap is.
pub enum Heap {
    /// That of the GNU C library, with its blocks.
    Glibc(Blocks),
    /// That of another allocator, whose blocks are not told apart.
    Other(&'static str),
    /// There is none that is known, or it is not in the dump.
    Unknown,
}

/// A number of blocks, and the bytes that they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// The bytes of all of them, those before each included in which the allocator keeps its size.
    pub bytes: u64,
}

/// The blocks of a heap.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// The arenas, those of threads included.
    pub arenas: Vec<Arena>,
    /// Blocks that have a mapping of their own, as they are large; they are in `sizes` too.
    pub mapped: Sum,
    /// The blocks in use by their size, those first that take most.
    pub sizes: Vec<OfSize>,
    /// What could not be followed, a sentence each.
    pub doubts: Vec<String>,
}

/// One arena.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arena {
    /// Where its first part begins.
    pub start: u64,
    /// Blocks that the program has.
    pub in_use: Sum,
    /// Blocks that it has given back, and that can be had again.
    pub free: Sum,
    /// What lies behind the last block, in bytes.
    pub top: u64,
}

/// Blocks of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfSize {
    /// How many bytes the program can use of each.
    pub usable: u64,
    /// How many there are.
    pub sum: Sum,
    /// What most of them begin with, and how many do.
    pub begins: Vec<(Begin, u64)>,
}

impl Blocks {
    /// The blocks in use, in all arenas and mappings of their own.
    pub fn in_use(&self) -> Sum {
        let arenas = self.arenas.iter().map(|arena| arena.in_use);
        arenas.fold(self.mapped, Sum::plus)
    }

    /// The blocks that can be had again.
    pub fn free(&self) -> Sum {
        let arenas = self.arenas.iter().map(|arena| arena.free);
        arenas.fold(Sum::default(), Sum::plus)
    }
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn take(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn plus(self, other: Sum) -> Sum {
        Sum {
            count: self.count + other.count,
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// Finds the heap of a process, and goes through its blocks. Only that of 64-bit programs is known.
pub fn heap(snapshot: &Snapshot, memory: &dyn Memory) -> Heap {
    if let Some(name) = snapshot.modules.iter().find_map(other_allocator) {
        return Heap::Other(name);
    }
    let is_wide = snapshot.system.architecture.pointer_size() == 8;
    let blocks = is_wide.then(|| blocks(snapshot, memory));
    match blocks {
        Some(blocks) if blocks.in_use().count > 0 => Heap::Glibc(blocks),
        _ => Heap::Unknown,
    }
}

/// The name of the allocator that a module is, if that takes the place of the C library's.
fn other_allocator(module: &Module) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 6] = [
        ("libjemalloc", "jemalloc"),
        ("libtcmalloc", "tcmalloc"),
        ("libmimalloc", "mimalloc"),
        ("libtbbmalloc_proxy", "oneTBB's malloc"),
        ("libsnmalloc", "snmalloc"),
        ("ld-musl", "musl's malloc"),
    ];
    let known = KNOWN
        .iter()
        .find(|(file, _)| module.name().starts_with(file));
    known.map(|(_, name)| *name)
}

fn blocks(snapshot: &Snapshot, memory: &dyn Memory) -> Blocks {
    let parts = arenas::find(snapshot, memory);
    let keys = lists::keys(memory, &parts);
    let mut found = Blocks::default();
    let mut tally = Tally::new(snapshot);
    let mut left = MOST_BLOCKS;
    for part in &parts {
        let mut arena = Arena {
            start: part.arena,
            ..Arena::default()
        };
        let end = walk(memory, part.blocks, &mut left, |chunk| {
            if chunk.is_top {
                arena.top += chunk.size;
            } else if chunk.is_free || keys.contains(&chunk.key()) {
                arena.free.add(chunk.size);
            } else {
                arena.in_use.add(chunk.size);
                tally.add(chunk.size, chunk.begin());
            }
        });
        found.doubts.extend(doubt(part.blocks, end));
        for size in lists::fast(snapshot, memory, part) {
            arena.in_use.take(size);
            arena.free.add(size);
            tally.take(size);
        }
        join(&mut found.arenas, arena);
    }
    for (size, begin) in arenas::mapped(snapshot, memory) {
        found.mapped.add(size);
        tally.add(size, &begin);
    }
    found.sizes = tally.sizes();
    found
}

/// A sentence about a part that could not be followed to its end.
fn doubt(blocks: Range, end: Option<u64>) -> Option<String> {
    let end = end?;
    let of = blocks.len();
    Some(format!(
        "the heap at {:#x} could be followed for {} of {of} bytes: what stands at {end:#x} is no block; it may have been overwritten, or is not in the dump",
        blocks.start,
        end.saturating_sub(blocks.start)
    ))
}

/// Adds a part of an arena to the others of the same.
fn join(arenas: &mut Vec<Arena>, part: Arena) {
    match arenas.iter_mut().find(|arena| arena.start == part.start) {
        Some(arena) => {
            arena.in_use = arena.in_use.plus(part.in_use);
            arena.free = arena.free.plus(part.free);
            arena.top += part.top;
        }
        None => arenas.push(part),
    }
}
