//! Rust: the argument of `rust_panic(&mut dyn PanicPayload)` (`library/std/src/panicking.rs`),
//! which has had the same form since 1.36.
//!
//! None of this is stable. So the payload is recognised by its form, and there is no message if the
//! form is another one: it is a `&str` (a literal), a `String`, or a `String` beside a reference to
//! the format's parts, which was made for the panic hook. The source line of the panic is not
//! passed to `rust_panic`; a `&Location` is in the frame of its caller, which has just passed it to
//! the hook. In programs that abort, link-time optimization can remove the payload; then there is
//! only the line.

use super::{Thrown, counted_text, words};
use snapshot::Memory;

/// How much of the stack is searched for the `&Location`, in words.
const FRAME: u64 = 128;

/// A panic, by the address and the vtable of its payload. Its message is `message,
/// src/main.rs:3:5`, or as much of that as can be read.
pub(super) fn panic(payload: u64, vtable: u64, sp: u64, memory: &dyn Memory) -> Thrown {
    let parts = match resumed(payload, vtable, memory) {
        Some([payload, vtable]) => [message(payload, vtable, memory), None],
        None => [message(payload, vtable, memory), location(sp, memory)],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Thrown::of("RUST.panic", parts.join(", "))
}

/// The panic of a thread that is in it, by the stack pointer in `panic_with_hook`: its line, and its text where one is
/// found on the stack.
pub(crate) fn left(sp: u64, memory: &dyn Memory) -> Thrown {
    let parts = [text_on_stack(sp, memory), location(sp, memory)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Thrown::of("RUST.panic", parts.join(", "))
}

/// The first `String` on the stack, or else the first address of a text with its length: the payload of the panic.
fn text_on_stack(sp: u64, memory: &dyn Memory) -> Option<String> {
    let slots = (0..FRAME).map(|n| sp.wrapping_add(8 * n));
    let is_payload = |text: &String| text.len() > 2 && !text.ends_with(".rs");
    let strings = slots
        .clone()
        .filter_map(|slot| string(slot, memory))
        .find(is_payload);
    let literal = |slot| {
        let [address, length] = words(slot, memory)?;
        counted_text(address, length, memory)
    };
    strings.or_else(|| slots.clone().filter_map(literal).find(is_payload))
}

/// The payload of `resume_unwind`: the address and the vtable of a box; `None` if this is another
/// panic. It has a vtable where a literal has its length. The hook was not called, so that a
/// `&Location` on the stack would be that of something else.
fn resumed(payload: u64, vtable: u64, memory: &dyn Memory) -> Option<[u64; 2]> {
    let boxed = words(payload, memory).filter(|[_, vtable]| *vtable > super::LONGEST_TEXT);
    boxed.filter(|_| size(vtable, memory) == Some(16))
}

/// The size of a type in bytes, by its vtable.
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

/// A `String`: its capacity and address (since 1.68 usually in this order), then its length.
fn string(address: u64, memory: &dyn Memory) -> Option<String> {
    let [a, b, length] = words(address, memory)?;
    let text = |capacity, address| {
        let fits = length <= capacity && capacity <= super::LONGEST_TEXT;
        fits.then(|| counted_text(address, length, memory))?
    };
    text(a, b).or_else(|| text(b, a))
}

/// The first `&Location` on the stack, written as `src/main.rs:3:5`.
fn location(sp: u64, memory: &dyn Memory) -> Option<String> {
    let slots = (0..FRAME).map(|n| sp.wrapping_add(8 * n));
    let pointers = slots.map_while(|slot| memory.read_u64(slot));
    let aligned = pointers.filter(|pointer| *pointer >= 0x1000 && pointer % 8 == 0);
    aligned
        .take(FRAME as usize)
        .find_map(|pointer| shown(pointer, memory))
}

/// The `Location` at an address, a file's name (address, length), line and column; `None` if it is
/// not one.
fn shown(location: u64, memory: &dyn Memory) -> Option<String> {
    let [address, length, position] = words(location, memory)?;
    let (line, column) = (position as u32, (position >> 32) as u32);
    let is_real = length <= 1024 && (1..1 << 24).contains(&line) && (1..1 << 16).contains(&column);
    let file = is_real.then(|| counted_text(address, length, memory))??;
    file.ends_with(".rs")
        .then(|| format!("{file}:{line}:{column}"))
}
