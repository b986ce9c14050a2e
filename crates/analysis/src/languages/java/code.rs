//! Code that a virtual machine has made: which piece an address is in (`memory/heap.cpp`, `code/codeBlob.hpp`).

use super::view::View;
use snapshot::{Memory, Range};

/// The most heaps of code. There are three.
const MOST_HEAPS: u64 = 64;

/// Steps back in the map of a heap. Every other one goes back by 254 segments of 64 or 128 bytes, so that these are 8 MB at least.
const MOST_STEPS: usize = 1 << 10;

/// What the map says of a segment without code.
const FREE: u8 = 0xff;

/// The heaps of code.
#[derive(Default)]
pub(super) struct CodeHeaps(Vec<CodeHeap>);

struct CodeHeap {
    code: Range,
    /// Address of the map: for each segment, how many segments before it the piece of code begins, as far as a byte tells.
    map: u64,
    shift: u32,
}

/// A piece of code.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    /// Its header.
    pub(super) at: u64,
    pub(super) name: String,
    /// Its first instruction.
    pub(super) code: u64,
    /// The size of its frame with the return address, in bytes; 0 if it has none of a fixed size.
    pub(super) frame_size: u64,
    /// How far from the first instruction on the frame is made.
    pub(super) frame_complete: u64,
}

impl CodeHeaps {
    pub(super) fn read(view: &View) -> Self {
        Self(heaps(view).unwrap_or_default())
    }

    /// The piece of code at an address.
    pub(super) fn blob(&self, address: u64, view: &View) -> Option<Blob> {
        let heap = self.0.iter().find(|heap| heap.code.contains(address))?;
        let segment = heap.first_segment(address, view)?;
        let block = heap.code.start.wrapping_add(segment << heap.shift);
        blob(block.wrapping_add(view.size("HeapBlock")?), address, view)
    }
}

fn heaps(view: &View) -> Option<Vec<CodeHeap>> {
    let heap = |at| heap(view, at);
    // Java 8 has one heap.
    if let Some(only) = view.static_word("CodeCache._heap") {
        return Some(heap(only).into_iter().collect());
    }
    let list = view.static_word("CodeCache._heaps")?;
    let length = ["GenericGrowableArray._len", "GrowableArrayBase._len"];
    let length = length.iter().find_map(|field| view.number(list, field))?;
    let data = view.pointer(list, "GrowableArray<int>._data")?;
    let heaps = (0..(length as u64).min(MOST_HEAPS))
        .filter_map(|number| view.word(data.wrapping_add(8 * number)));
    Some(heaps.filter_map(heap).collect())
}

fn heap(view: &View, at: u64) -> Option<CodeHeap> {
    let space = |field: &str, part: &str| {
        let space = view.address(at, field)?;
        view.pointer(space, part)
    };
    let start = space("CodeHeap._memory", "VirtualSpace._low")?;
    let end = space("CodeHeap._memory", "VirtualSpace._high")?;
    let shift = view.number(at, "CodeHeap._log2_segment_size")?;
    (start < end && (0..32).contains(&shift)).then_some(CodeHeap {
        code: Range::new(start, end),
        map: space("CodeHeap._segmap", "VirtualSpace._low")?,
        shift: shift as u32,
    })
}

impl CodeHeap {
    /// The segment in which the piece of code at an address begins.
    fn first_segment(&self, address: u64, view: &View) -> Option<u64> {
        let mut segment = (address - self.code.start) >> self.shift;
        for _ in 0..MOST_STEPS {
            let mut back = [0];
            view.memory
                .read_all(self.map.wrapping_add(segment), &mut back)
                .then_some(())?;
            match back[0] {
                FREE => return None,
                0 => return Some(segment),
                back => segment = segment.checked_sub(u64::from(back))?,
            }
        }
        None
    }
}

/// The piece of code with this header, if it holds the address.
fn blob(at: u64, address: u64, view: &View) -> Option<Blob> {
    let number = |field| view.number(at, field);
    let code = match view.pointer(at, "CodeBlob._code_begin") {
        Some(code) => code,
        None => at.wrapping_add(number("CodeBlob._code_offset")? as u64),
    };
    let size = u64::try_from(number("CodeBlob._size")?).ok()?;
    let is_in = Range::new(code, at.saturating_add(size).max(code)).contains(address);
    let positive = |value: i64| u64::try_from(value).unwrap_or(0);
    is_in.then_some(Blob {
        at,
        name: view.text(view.pointer(at, "CodeBlob._name")?)?,
        code,
        frame_size: 8 * positive(number("CodeBlob._frame_size")?),
        frame_complete: positive(number("CodeBlob._frame_complete_offset").unwrap_or(0)),
    })
}

impl Blob {
    /// Whether it is compiled from a method of Java, or a native method's wrapper.
    pub(super) fn is_method(&self) -> bool {
        matches!(&self.name[..], "nmethod" | "native nmethod")
    }

    pub(super) fn is_interpreter(&self) -> bool {
        self.name == "Interpreter"
    }
}
