//! The least that the kernel wants to know of a program's functions: that they are some, and that
//! nobody outside calls them (Documentation/bpf/btf.rst).

/// The number of the type of all our functions.
pub(crate) const FUNCTION: u32 = 3;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER: u32 = 24;

/// Kinds of types, as they stand in the upper byte of a type's second word.
const INTEGER: u32 = 1 << 24;
const STATIC_FUNCTION: u32 = 12 << 24;
const PROTOTYPE: u32 = 13 << 24;

/// Names: none, of an integer, of a function.
const NAMES: &[u8] = b"\0int\0hold\0";
const INT: u32 = 1;
const HOLD: u32 = 5;

/// The types: 1 a signed integer of four bytes, 2 what gives one, 3 a function that is such.
pub(crate) fn types() -> Vec<u8> {
    const SIGNED_32_BITS: u32 = 1 << 24 | 32;
    let types = [
        [INT, INTEGER, 4].as_slice(),
        &[SIGNED_32_BITS],
        &[0, PROTOTYPE, 1],
        &[HOLD, STATIC_FUNCTION, 2],
    ]
    .concat();
    let length = types.len() as u32 * 4;
    let head = [HEADER, 0, length, length, NAMES.len() as u32];
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend([VERSION, 0]);
    for word in head.iter().chain(&types) {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(NAMES);
    bytes
}
