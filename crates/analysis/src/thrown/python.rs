//! CPython: types and exceptions in the layout of 3.8 to 3.13 on 64-bit systems, not of
//! free-threaded builds (`Include/cpython/object.h`, `pyerrors.h`, `unicodeobject.h`). All offsets
//! are in bytes.

use super::{LONGEST_MESSAGE, LONGEST_NAME, Thrown, counted_text, text};
use crate::python_object::{COUNT, NAME, TYPE};
use snapshot::Memory;

/// Offset in a type of its base type.
const BASE: u64 = 256;
/// Offset in an exception of its arguments, a tuple.
const ARGUMENTS: u64 = 24;
/// Offset in a tuple of its first item.
const FIRST: u64 = 24;
/// Offset in a text of its flags.
const STATE: u64 = 32;

/// The most base types that are looked at.
const MOST_BASES: usize = 64;

/// An exception that is raised, by its type and its value: the exception, or the text that it will
/// be made of, or nothing. `None` if the type cannot be read.
pub(crate) fn raised(type_: u64, value: u64, memory: &dyn Memory) -> Option<Thrown> {
    let name = name(type_, memory)?;
    let bases = std::iter::successors(base(type_, memory), |base_| base(*base_, memory));
    let bases = bases.map_while(|base| self::name(base, memory));
    let message = string(value, memory).or_else(|| argument(type_, value, memory));
    Some(Thrown {
        bases: bases.take(MOST_BASES).collect(),
        ..Thrown::of(&format!("PYTHON.{name}"), message.unwrap_or_default())
    })
}

/// An exception that ended a thread, by its value.
pub(crate) fn uncaught(value: u64, memory: &dyn Memory) -> Option<Thrown> {
    raised(word(value, TYPE, memory)?, value, memory)
}

/// The name of a type: `ValueError`, `zlib.error`. Types made in Python have no module in their
/// name. `None` if this is not a type.
fn name(type_: u64, memory: &dyn Memory) -> Option<String> {
    let name = text(word(type_, NAME, memory)?, LONGEST_NAME, memory)?;
    let is_name = |c: char| c.is_alphanumeric() || "_.".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// The base type; `None` if there is none.
fn base(type_: u64, memory: &dyn Memory) -> Option<u64> {
    word(type_, BASE, memory).filter(|base| *base != 0)
}

/// The first argument of an exception, if it is a text.
fn argument(type_: u64, exception: u64, memory: &dyn Memory) -> Option<String> {
    let is_exception = word(exception, TYPE, memory)? == type_;
    let arguments = is_exception.then(|| word(exception, ARGUMENTS, memory))??;
    let has_one = word(arguments, COUNT, memory)? > 0;
    string(has_one.then(|| word(arguments, FIRST, memory))??, memory)
}

/// A `str`, if it is ASCII. Its letters are behind a head of 48 bytes, or of 40 since 3.12. The
/// older head ends in an address that is usually 0, and no text begins with NULs.
fn string(object: u64, memory: &dyn Memory) -> Option<String> {
    const COMPACT_ASCII: u64 = 0b110_0000;
    let is_text = name(word(object, TYPE, memory)?, memory)? == "str";
    let is_ascii = word(object, STATE, memory)? & COMPACT_ASCII == COMPACT_ASCII;
    let skip = if word(object, 40, memory)? == 0 {
        48
    } else {
        40
    };
    let length = word(object, COUNT, memory)?.min(LONGEST_MESSAGE as u64);
    (is_text && is_ascii).then(|| counted_text(object.wrapping_add(skip), length, memory))?
}

fn word(object: u64, at: u64, memory: &dyn Memory) -> Option<u64> {
    memory.read_u64(object.wrapping_add(at))
}
