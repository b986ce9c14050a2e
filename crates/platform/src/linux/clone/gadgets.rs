//! Finds in a target the two pieces of code that make a system call and return from it: nothing is written where code is.

use crate::linux::arch::calls::{BACK, CALL, Gadgets};
use snapshot::{Memory, Region};

/// How much is read at once, and of all code at most, in bytes.
const CHUNK: usize = 1 << 20;
const MOST: u64 = 256 << 20;
/// What the names of C libraries have in them; they mostly have both pieces.
const LIBRARIES: [&str; 3] = ["/libc.so", "/ld-musl", "/libc-2"];

/// Returns where they are. Code that the program itself may change is not looked at.
pub(super) fn find(regions: &[Region], memory: &dyn Memory) -> Option<Gadgets> {
    if CALL.is_empty() {
        return None;
    }
    let is_library = |region: &&Region| LIBRARIES.iter().any(|name| region.name.contains(name));
    let code = || regions.iter().filter(|region| has_code(region));
    let ordered = code()
        .filter(is_library)
        .chain(code().filter(|region| !is_library(region)));
    let (mut search, mut left) = (Search::default(), MOST);
    for region in ordered {
        let whole = region.range.len().min(left);
        left -= whole;
        if let Some(found) = search.look_at(region.range.start, whole, memory) {
            return Some(found);
        }
    }
    None
}

/// Whether a target still has both.
pub(super) fn are_there(gadgets: Gadgets, memory: &dyn Memory) -> bool {
    let has = |at: u64, code: &[u8]| {
        let mut found = vec![0; code.len()];
        memory.read(at, &mut found) == code.len() && found == code
    };
    has(gadgets.call, CALL) && has(gadgets.back, BACK)
}

fn has_code(region: &Region) -> bool {
    let protection = region.protection;
    protection.execute
        && protection.read
        && !protection.write
        && region.inode != 0
        && !region.remote
        && !region.guarded
}

#[derive(Default)]
struct Search {
    call: Option<u64>,
    back: Option<u64>,
}

impl Search {
    fn look_at(&mut self, start: u64, len: u64, memory: &dyn Memory) -> Option<Gadgets> {
        let mut buffer = vec![0; CHUNK.min(len as usize)];
        let mut at = 0;
        while at < len {
            let part = buffer.len().min((len - at) as usize);
            let got = memory.read(start + at, &mut buffer[..part]);
            self.look_in(start + at, &buffer[..got]);
            if let (Some(call), Some(back)) = (self.call, self.back) {
                return Some(Gadgets { call, back });
            }
            // The pieces may lie across two chunks.
            let next = part.saturating_sub(BACK.len()).max(1);
            at += if got < part || at + part as u64 == len {
                len
            } else {
                next as u64
            };
        }
        None
    }

    fn look_in(&mut self, start: u64, code: &[u8]) {
        let find = |piece: &[u8]| {
            let mut windows = code.windows(piece.len());
            windows
                .position(|window| window == piece)
                .map(|at| start + at as u64)
        };
        self.call = self.call.or_else(|| find(CALL));
        self.back = self.back.or_else(|| find(BACK));
    }
}
