//! CPython: types and exceptions as 3.8 to 3.13 lay them out on 64-bit systems
//! (`Include/cpython/object.h`, `pyerrors.h`, `unicodeobject.h`), with the global lock.

use super::{LONGEST_MESSAGE, LONGEST_NAME, Thrown, counted_text, text};
use snapshot::Memory;

/// Of an object: its type.
const TYPE: u64 = 8;
/// Of a type: its name, the type it derives from.
const NAME: u64 = 24;
const BASE: u64 = 256;
/// Of an exception: what it was made with, a tuple.
const ARGUMENTS: u64 = 24;
/// Of a tuple: how many, then one by one. Of a text: how long.
const COUNT: u64 = 16;
const FIRST: u64 = 24;
/// Of a text: how it is kept.
const STATE: u64 = 32;

/// More bases are not looked at.
const MOST_BASES: usize = 64;

/// A type, and what may be an exception, the text for one, or nothing yet.
pub(super) fn raised(kind: u64, value: u64, memory: &dyn Memory) -> Option<Thrown> {
    let name = name(kind, memory)?;
    let bases = std::iter::successors(base(kind, memory), |kind| base(*kind, memory));
    let bases = bases.map_while(|kind| self::name(kind, memory));
    let said = string(value, memory).or_else(|| argument(kind, value, memory));
    Some(Thrown {
        bases: bases.take(MOST_BASES).collect(),
        ..Thrown::of(&format!("PYTHON.{name}"), said.unwrap_or_default())
    })
}

pub(super) fn uncaught(value: u64, memory: &dyn Memory) -> Option<Thrown> {
    raised(word(value, TYPE, memory)?, value, memory)
}

/// `ValueError`, `zlib.error`; types made in Python have no module in their name.
fn name(kind: u64, memory: &dyn Memory) -> Option<String> {
    let name = text(word(kind, NAME, memory)?, LONGEST_NAME, memory)?;
    let is_name = |c: char| c.is_alphanumeric() || "_.".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

fn base(kind: u64, memory: &dyn Memory) -> Option<u64> {
    word(kind, BASE, memory).filter(|base| *base != 0)
}

/// The first argument of an exception, if it is a text.
fn argument(kind: u64, exception: u64, memory: &dyn Memory) -> Option<String> {
    let is_exception = word(exception, TYPE, memory)? == kind;
    let arguments = is_exception.then(|| word(exception, ARGUMENTS, memory))??;
    let has_one = word(arguments, COUNT, memory)? > 0;
    string(has_one.then(|| word(arguments, FIRST, memory))??, memory)
}

/// A text of ASCII, its letters behind its head: 48 bytes, 40 since 3.12. The older head ends with
/// an address, 0 as a rule, with which no text begins.
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
