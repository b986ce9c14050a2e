//! Go: values in interfaces (`internal/abi/type.go`, `runtime/error.go`), since Go 1.17.

use super::{Thrown, counted_text, words};
use snapshot::Memory;

/// `panic(x)`: a type and the value, or where it is.
pub(super) fn panic(kind: u64, object: u64, memory: &dyn Memory) -> Thrown {
    Thrown::of("GO.panic", said(kind, object, memory).unwrap_or_default())
}

/// The interface of a `_panic`, its second field (`runtime/runtime2.go`). The runtime has put what
/// `Error()` and `String()` say in there by then.
pub(super) fn uncaught(panic: u64, memory: &dyn Memory) -> Thrown {
    let interface = words(panic.wrapping_add(8), memory);
    let said = interface.and_then(|[kind, object]| said(kind, object, memory));
    Thrown::of("GO.panic", said.unwrap_or_default())
}

pub(super) fn fatal(text: u64, length: u64, memory: &dyn Memory) -> Thrown {
    let text = counted_text(text, length, memory);
    Thrown::of("GO.fatal", text.unwrap_or_default())
}

/// What a value says without a call of its methods: texts, whole numbers, and errors that begin
/// with their text (`errors.New`, `fmt.Errorf`, most of the runtime's).
fn said(kind: u64, object: u64, memory: &dyn Memory) -> Option<String> {
    const KIND: u64 = 23;
    const STRING: u8 = 24;
    const POINTER: u8 = 22;
    const STRUCT: u8 = 25;
    let mut byte = [0];
    let is_read = memory.read_all(kind.wrapping_add(KIND), &mut byte);
    let size = memory.read_u64(kind)?;
    match byte[0] & 31 {
        _ if !is_read => None,
        kind @ 2..=11 => number(kind, object, size, memory),
        STRING | POINTER => string(object, memory),
        STRUCT => string(object, memory).or_else(|| out_of_range(object, size, memory)),
        _ => None,
    }
}

fn string(at: u64, memory: &dyn Memory) -> Option<String> {
    let [address, length] = words(at, memory)?;
    counted_text(address, length, memory)
}

fn number(kind: u8, object: u64, size: u64, memory: &dyn Memory) -> Option<String> {
    const LAST_SIGNED: u8 = 6;
    let [word] = words(object, memory)?;
    let unused = 64 - 8 * size.clamp(1, 8);
    Some(match kind {
        ..=LAST_SIGNED => (((word << unused) as i64) >> unused).to_string(),
        _ => ((word << unused) >> unused).to_string(),
    })
}

/// `boundsError{x, y, signed, code}` of the commonest code, an index.
fn out_of_range(object: u64, size: u64, memory: &dyn Memory) -> Option<String> {
    let [index, length, rest] = words(object, memory)?;
    let is_index = size == 24 && rest & 0xfffe == 0;
    let index = index as i64;
    is_index.then(|| format!("index out of range [{index}] with length {length}"))
}
