use crate::bytes::Bytes;
use object::{Object, ObjectSection as _, ObjectSymbol, SectionKind, SymbolKind};
use std::ops::Range;

/// How far behind a symbol without a size an address may be and still belong to it, in bytes.
const FARTHEST: u64 = 1 << 20;

/// How many symbols before an address are tried for one that is large enough to hold it.
const MOST_TRIES: usize = 64;

/// The functions and variables of an image by address. Names are not copied: a large program has hundreds of
/// thousands.
pub(super) struct Symbols {
    names: Bytes,
    /// Ascending by start; of those with the same start, the one with the best name last.
    entries: Vec<Entry>,
}

/// A function.
struct Entry {
    start: u64,
    /// In bytes; 0 if unknown.
    size: u64,
    /// Where the name is among the names.
    name: Range<u32>,
    /// How good the name is, see [`rank`].
    rank: u32,
}

impl Symbols {
    /// Makes a table of functions, each given as its start, size, range of its name in `names`, and
    /// [`rank`].
    pub(super) fn new(names: Bytes, found: Vec<(u64, u64, Range<u32>, u32)>) -> Self {
        let entry = |(start, size, name, rank)| Entry {
            start,
            size,
            name,
            rank,
        };
        let mut entries: Vec<Entry> = found.into_iter().map(entry).collect();
        entries.sort_by_key(|e| (e.start, std::cmp::Reverse(e.rank)));
        Self { names, entries }
    }

    /// All functions and variables that a file names: `.symtab`, `.dynsym`, COFF symbols, exports.
    pub(super) fn of_object<'data>(
        object: &object::File<'data>,
        file: &'data [u8],
        names: Bytes,
    ) -> Self {
        let range_of = |name: &[u8]| {
            let start = (name.as_ptr() as usize).checked_sub(file.as_ptr() as usize)?;
            let range = u32::try_from(start).ok()?..u32::try_from(start + name.len()).ok()?;
            (range.end as usize <= file.len() && !name.is_empty()).then_some(range)
        };
        let mut found = Vec::new();
        for symbol in object.symbols().chain(object.dynamic_symbols()) {
            if is_of_use(object, &symbol)
                && let Ok(name) = symbol.name_bytes()
                && let Some(range) = range_of(name)
            {
                let rank = rank(name, symbol.size(), symbol.is_local(), symbol.is_weak());
                found.push((symbol.address(), symbol.size(), range, rank));
            }
        }
        Self::new(names, found)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The name and the start of the function or variable that holds `address`; `None` if there is none.
    pub(super) fn find(&self, address: u64) -> Option<(&[u8], u64)> {
        let after = self.entries.partition_point(|e| e.start <= address);
        let before = self.entries[..after].iter().rev().take(MOST_TRIES);
        let entry = before
            .take_while(|e| e.size > 0 || address - e.start < FARTHEST)
            .find(|e| e.size == 0 || address - e.start < e.size)?;
        let name = entry.name.start as usize..entry.name.end as usize;
        Some((self.names.get().get(name)?, entry.start))
    }

    /// The start of the function or variable with that name; `None` if there is none.
    pub(super) fn start_of(&self, name: &[u8]) -> Option<u64> {
        let names = self.names.get();
        let is_it = |entry: &&Entry| {
            names.get(entry.name.start as usize..entry.name.end as usize) == Some(name)
        };
        self.entries.iter().find(is_it).map(|entry| entry.start)
    }
}

/// How good a name for a function is; the smallest is shown. Best are symbols with a size, then
/// those without leading underscores (`nanosleep`, not `__GI___nanosleep`), then those that are
/// exported.
pub(super) fn rank(name: &[u8], size: u64, is_local: bool, is_weak: bool) -> u32 {
    let is_mangled = name.starts_with(b"_Z") || name.starts_with(b"_R");
    let underscores = name.iter().take_while(|&&b| b == b'_').count().min(15) as u32;
    let underscores = if is_mangled { 0 } else { underscores };
    u32::from(size == 0) << 8 | underscores << 4 | u32::from(is_local) << 1 | u32::from(is_weak)
}

/// Whether a symbol is a function or a variable. One without a size would seem to reach up to the next one.
fn is_of_use<'data>(object: &object::File<'data>, symbol: &impl ObjectSymbol<'data>) -> bool {
    let is_variable = symbol.kind() == SymbolKind::Data && symbol.is_definition();
    is_variable && symbol.size() > 0 || is_function(object, symbol)
}

fn is_function<'data>(object: &object::File<'data>, symbol: &impl ObjectSymbol<'data>) -> bool {
    if !symbol.is_definition() && !is_label(object, symbol) {
        return false;
    }
    match symbol.kind() {
        SymbolKind::Text => true,
        SymbolKind::Unknown | SymbolKind::Label => is_label(object, symbol),
        _ => false,
    }
}

/// Whether a symbol is a label in code: functions in assembly language have neither type nor size.
/// `$x` and `.L0` are marks of the assembler and not functions.
fn is_label<'data>(object: &object::File<'data>, symbol: &impl ObjectSymbol<'data>) -> bool {
    let is_mark = symbol
        .name_bytes()
        .is_ok_and(|n| n.starts_with(b"$") || n.starts_with(b"."));
    let section = symbol
        .section_index()
        .and_then(|index| object.section_by_index(index).ok());
    !is_mark && section.is_some_and(|section| section.kind() == SectionKind::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Symbols {
        let names = b"__outer inner outer label far".to_vec();
        let found = vec![
            (0x100, 0x80, 0..7, rank(b"__outer", 0x80, false, false)),
            (0x100, 0x80, 14..19, rank(b"outer", 0x80, false, true)),
            (0x110, 0x08, 8..13, rank(b"inner", 8, true, false)),
            (0x200, 0, 20..25, rank(b"label", 0, false, false)),
        ];
        Symbols::new(Bytes::Copy(names), found)
    }

    #[test]
    fn an_address_belongs_to_the_function_that_holds_it() {
        for (address, name) in [
            (0xff, None),
            (0x100, Some(&b"outer"[..])),
            (0x111, Some(b"inner")),
            (0x120, Some(b"outer")),
            (0x17f, Some(b"outer")),
            (0x180, None),
            (0x210, Some(b"label")),
            (0x200 + FARTHEST, None),
        ] {
            let table = table();
            assert_eq!(
                table.find(address).map(|(name, _)| name),
                name,
                "{address:x}"
            );
        }
    }
}
