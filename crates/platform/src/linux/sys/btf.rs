//! Type information (BTF) for BPF programs that have further functions: the least that the kernel
//! demands, namely that they are functions and that nobody outside calls them
//! (Documentation/bpf/btf.rst).

/// The id of the type that all our functions have.
pub(crate) const FUNCTION: u32 = 3;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER: u32 = 24;

/// Kinds of types, in the bits of a type's second word in which they stand.
const INTEGER: u32 = 1 << 24;
const STATIC_FUNCTION: u32 = 12 << 24;
const PROTOTYPE: u32 = 13 << 24;

/// The names of types, each ending with a NUL: none, that of the integer, that of the functions.
const NAMES: &[u8] = b"\0int\0hold\0";
const INT: u32 = 1;
const HOLD: u32 = 5;

/// Returns the encoded types: 1 is a signed integer of four bytes, 2 a function prototype that
/// returns one, 3 a static function of that prototype.
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
