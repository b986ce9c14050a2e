//! Objects of CPython: texts, bytes, and the names of types (`unicodeobject.h`, `object.h`).

use snapshot::Memory;

/// Offset in an object of its type, and in a type of its name.
pub(crate) const TYPE: u64 = 8;
pub(crate) const NAME: u64 = 24;
/// Offset in a text of its length in letters, and in a tuple or bytes of the number of items.
pub(crate) const COUNT: u64 = 16;
/// Offset in bytes, and in a tuple, of the first item: behind the number; bytes have a hash between.
const BYTES: u64 = 32;
/// Offset in a text of its flags.
const STATE: u64 = 32;

/// A `str`, at most `longest` letters of it. Its letters are behind a head of `head` bytes if it is in ASCII, of `wide_head` if not.
pub(crate) fn text(
    object: u64,
    (head, wide_head): (u64, u64),
    longest: usize,
    memory: &dyn Memory,
) -> Option<String> {
    let word = |at: u64| memory.read_u64(object.wrapping_add(at));
    let state = memory.read_u32(object.wrapping_add(STATE))?;
    let (width, is_compact, is_ascii) = ((state >> 2 & 7) as usize, state >> 5 & 1, state >> 6 & 1);
    if is_compact == 0 || !matches!(width, 1 | 2 | 4) {
        return None;
    }
    let count = word(COUNT)?.min(longest as u64) as usize;
    let head = if is_ascii == 1 { head } else { wide_head };
    let mut bytes = vec![0; count * width];
    memory
        .read_all(object.wrapping_add(head), &mut bytes)
        .then_some(())?;
    let letter = |bytes: &[u8]| {
        let mut code = [0; 4];
        code[..width].copy_from_slice(bytes);
        char::from_u32(u32::from_le_bytes(code)).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    Some(bytes.chunks_exact(width).map(letter).collect())
}

/// The content of a `bytes`, at most `longest` of them.
pub(crate) fn bytes(object: u64, longest: u64, memory: &dyn Memory) -> Option<Vec<u8>> {
    let count = memory.read_u64(object.wrapping_add(COUNT))?;
    let mut bytes = vec![0; count.min(longest) as usize];
    let is_read = memory.read_all(object.wrapping_add(BYTES), &mut bytes);
    is_read.then_some(bytes)
}

/// Whether an object is of the type with this name.
pub(crate) fn is_a(object: u64, name: &str, memory: &dyn Memory) -> bool {
    let pointer = |at: u64| memory.read_u64(at);
    let found = pointer(object.wrapping_add(TYPE))
        .and_then(|type_| pointer(type_.wrapping_add(NAME)))
        .and_then(|text| memory.read_c_string(text, name.len() + 1));
    found.as_deref() == Some(name.as_bytes())
}
