//! The values of the format: how each type is written and read.

use snapshot::{Range, SparseBytes, WallTime};
use std::time::Duration;

/// A type that a field can have. Reading returns `None` for bytes that are not a value of it.
pub(super) trait Value: Default + PartialEq {
    fn put(&self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Option<Self>;
}

/// Appends a field, unless its value is the default.
pub(super) fn field<T: Value>(out: &mut Vec<u8>, name: &str, value: &T) {
    if *value != T::default() {
        put_name(out, name);
        put_sized(out, |out| value.put(out));
    }
}

/// Appends a field that is a list of `items`.
pub(super) fn list_of<T: Value>(out: &mut Vec<u8>, name: &str, items: impl Iterator<Item = T>) {
    put_name(out, name);
    put_sized(out, |out| {
        items.for_each(|item| put_sized(out, |out| item.put(out)));
    });
}

/// How many items of a long list are written into one part.
const ITEMS_OF_PART: usize = 4096;

/// Appends the head of a field that is a list of very many items, and returns the items, in parts that follow it: one
/// part would have to be moved and to grow, which takes twice its room.
pub(super) fn long_list<T: Value>(out: &mut Vec<u8>, name: &str, items: &[T]) -> Vec<Vec<u8>> {
    let part = |items: &[T]| {
        let mut part = Vec::new();
        items
            .iter()
            .for_each(|item| put_sized(&mut part, |out| item.put(out)));
        part.shrink_to_fit();
        part
    };
    let parts: Vec<Vec<u8>> = items.chunks(ITEMS_OF_PART).map(part).collect();
    put_name(out, name);
    put_varint(out, parts.iter().map(|part| part.len() as u64).sum());
    parts
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

/// Appends what `put` appends, with its length before it. The bytes are written in place and then
/// moved for the length: some are megabytes, and a buffer at each level would hold them again.
fn put_sized(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put(out);
    let end = out.len();
    put_varint(out, (end - start) as u64);
    let size = out.len() - end;
    out[start..].rotate_right(size);
}

/// The fields of a record.
pub(super) struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

/// The fields in `bytes`; an incomplete one at the end is left out.
pub(super) fn fields(mut bytes: &[u8]) -> Fields<'_> {
    let mut fields = Vec::new();
    while let Some(field) = take_field(&mut bytes) {
        fields.push(field);
    }
    Fields(fields)
}

impl Fields<'_> {
    /// The value of the field with that name; the default if it is missing or damaged.
    pub(super) fn get<T: Value>(&self, name: &str) -> T {
        let field = self.0.iter().find(|(n, _)| *n == name.as_bytes());
        field
            .and_then(|(_, value)| T::get(value))
            .unwrap_or_default()
    }
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, mut rest) = rest.split_at_checked(length.into())?;
    let value = take_sized(&mut rest)?;
    *bytes = rest;
    Some((name, value))
}

fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = take_varint(bytes)?;
    let (value, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
    *bytes = rest;
    Some(value)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The most items of a list. Without this limit a list of empty items would take several hundred
/// times the memory of its bytes.
const MOST_ITEMS: usize = 1 << 20;

/// A type that a list can hold. Bytes are not among them: a list of bytes is written as raw bytes.
pub(super) trait Item: Value {}

impl<T: Item> Value for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter()
            .for_each(|item| put_sized(out, |out| item.put(out)));
    }

    fn get(mut bytes: &[u8]) -> Option<Self> {
        let mut items = Vec::new();
        while !bytes.is_empty() && items.len() < MOST_ITEMS {
            items.push(T::get(take_sized(&mut bytes)?)?);
        }
        Some(items)
    }
}

impl<A: Value, B: Value> Value for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        put_sized(out, |out| self.0.put(out));
        put_sized(out, |out| self.1.put(out));
    }

    fn get(mut bytes: &[u8]) -> Option<Self> {
        Some((
            A::get(take_sized(&mut bytes)?)?,
            B::get(take_sized(&mut bytes)?)?,
        ))
    }
}

impl<A: Value, B: Value> Item for (A, B) {}

impl<T: Value> Value for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        T::get(bytes).map(Some)
    }
}

impl<T: Value> Value for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        T::get(bytes).map(Box::new)
    }
}

impl Value for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.to_le_bytes();
        let used = 8 - self.leading_zeros() as usize / 8;
        out.extend_from_slice(&bytes[..used]);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let mut word = [0; 8];
        word.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }
}

impl Item for u64 {}

/// Types that are written as a value of another type.
macro_rules! as_other {
    ($($type:ty as $other:ty: $to:expr, $from:expr;)*) => {$(
        impl Value for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> $other = $to;
                to(self).put(out);
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                let from: fn($other) -> Option<$type> = $from;
                from(<$other>::get(bytes)?)
            }
        }
    )*};
}

as_other! {
    u32 as u64: |&v| v.into(), |v| v.try_into().ok();
    i32 as u64: |&v| i64::from(v) as u64, |v| (v as i64).try_into().ok();
    bool as u64: |&v| v.into(), |v| Some(v != 0);
    char as String: |v| v.to_string(), |v| v.chars().next();
    WallTime as u64: |v| v.0 as u64, |v| Some(WallTime(v as i64));
    Duration as u64: |v| v.as_nanos().try_into().unwrap_or(u64::MAX), |v| Some(Duration::from_nanos(v));
    [u8; 16] as Vec<u8>: |v| v.to_vec(), |v| v.try_into().ok();
    [u32; 4] as Vec<u64>: |v| v.map(u64::from).to_vec(), four;
}

fn four(words: Vec<u64>) -> Option<[u32; 4]> {
    let words: [u64; 4] = words.try_into().ok()?;
    Some(words.map(|word| word as u32))
}

impl Value for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Item for String {}

impl Value for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl Value for Range {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.start);
        put_varint(out, self.len());
    }

    fn get(mut bytes: &[u8]) -> Option<Self> {
        take_range(&mut bytes, 0)
    }
}

fn take_range(bytes: &mut &[u8], base: u64) -> Option<Range> {
    let start = base.checked_add(take_varint(bytes)?)?;
    let end = start.checked_add(take_varint(bytes)?)?;
    Some(Range::new(start, end))
}

/// Reads ranges; those that overlap or are not in order are joined.
impl Value for Vec<Range> {
    fn put(&self, out: &mut Vec<u8>) {
        let mut last = 0;
        for range in self {
            put_varint(out, range.start.saturating_sub(last));
            put_varint(out, range.end.saturating_sub(range.start.max(last)));
            last = range.end;
        }
    }

    fn get(mut bytes: &[u8]) -> Option<Self> {
        let mut ranges = Vec::new();
        let mut last = 0;
        while !bytes.is_empty() {
            let range = take_range(&mut bytes, last)?;
            last = range.end;
            ranges.push(range);
        }
        Some(ranges)
    }
}

/// The largest area of extended registers, in bytes; the largest that exists has 11,008.
const MOST_EXTENDED: u64 = 64 << 10;

impl Value for SparseBytes {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.in_memory();
        let runs = bytes.runs().map(|(at, run)| (at as u64, run.to_vec()));
        (self.len() as u64, runs.collect::<Vec<_>>()).put(out);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let (length, runs) = <(u64, Vec<(u64, Vec<u8>)>)>::get(bytes)?;
        let mut all = vec![0; length.min(MOST_EXTENDED) as usize];
        for (at, run) in runs {
            let end = usize::try_from(at).ok()?.checked_add(run.len())?;
            all.get_mut(at as usize..end)?.copy_from_slice(&run);
        }
        Some(SparseBytes::new(&all))
    }
}
