//! Rust: what `rust_panic(&mut dyn PanicPayload)` is given (`library/std/src/panicking.rs`), the
//! same in shape since 1.36.
//!
//! Nothing of this is stable, so it is told by its shape, and not told where the shape is not that:
//! the payload is a `&str` (a literal), a `String`, or a `String` that was made for the panic hook
//! beside a reference to its parts. The place of the panic is not passed on to `rust_panic`; a
//! `&Location` lies in the frame of its caller, who has just shown it to the hook. Link-time
//! optimization of programs that abort takes the payload away, and the place alone is told.

use super::{Thrown, counted_text, words};
use snapshot::Memory;

/// How much of the stack is looked through for the place, in words.
const FRAME: u64 = 128;

/// `RUST.panic`, with as much of `message, src/main.rs:3:5` as can be read.
pub(super) fn panic(payload: u64, vtable: u64, sp: u64, memory: &dyn Memory) -> Thrown {
    let parts = match resumed(payload, vtable, memory) {
        Some([payload, vtable]) => [message(payload, vtable, memory), None],
        None => [message(payload, vtable, memory), location(sp, memory)],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Thrown::of("RUST.panic", parts.join(", "))
}

/// What `resume_unwind` passes on: a box, payload and vtable, where a literal would have its length.
/// The hook was not called, so that a place on the stack would be of something else.
fn resumed(payload: u64, vtable: u64, memory: &dyn Memory) -> Option<[u64; 2]> {
    let boxed = words(payload, memory).filter(|[_, vtable]| *vtable > super::LONGEST_TEXT);
    boxed.filter(|_| size(vtable, memory) == Some(16))
}

fn size(vtable: u64, memory: &dyn Memory) -> Option<u64> {
    memory.read_u64(vtable.wrapping_add(8))
}

fn message(payload: u64, vtable: u64, memory: &dyn Memory) -> Option<String> {
    match size(vtable, memory)? {
        16 => {
            let [address, length] = words(payload, memory)?;
            counted_text(address, length, memory)
        }
        24 => string(payload, memory),
        32 => string(payload, memory).or_else(|| string(payload.wrapping_add(8), memory)),
        _ => None,
    }
}

/// A `String`: capacity and address (since 1.68 mostly in this order), then the length.
fn string(address: u64, memory: &dyn Memory) -> Option<String> {
    let [a, b, length] = words(address, memory)?;
    let text = |capacity, address| {
        let fits = length <= capacity && capacity <= super::LONGEST_TEXT;
        fits.then(|| counted_text(address, length, memory))?
    };
    text(a, b).or_else(|| text(b, a))
}

/// The nearest `&Location` on the stack, as `src/main.rs:3:5`.
fn location(sp: u64, memory: &dyn Memory) -> Option<String> {
    let slots = (0..FRAME).map(|n| sp.wrapping_add(8 * n));
    let pointers = slots.map_while(|slot| memory.read_u64(slot));
    let aligned = pointers.filter(|pointer| *pointer >= 0x1000 && pointer % 8 == 0);
    aligned
        .take(FRAME as usize)
        .find_map(|pointer| shown(pointer, memory))
}

/// `Location`: a file's name (address, length), line and column.
fn shown(location: u64, memory: &dyn Memory) -> Option<String> {
    let [address, length, position] = words(location, memory)?;
    let (line, column) = (position as u32, (position >> 32) as u32);
    let is_real = length <= 1024 && (1..1 << 24).contains(&line) && (1..1 << 16).contains(&column);
    let file = is_real.then(|| counted_text(address, length, memory))??;
    file.ends_with(".rs")
        .then(|| format!("{file}:{line}:{column}"))
}
