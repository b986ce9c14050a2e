//! Lines by the symbol files of Breakpad (docs/symbol_files.md of Breakpad).
//!
//! Such a file is text, a record in each line. It is read once from its start to its end.

use super::{Line, Place, shown};
use snapshot::{CodeView, FileBytes};
use std::collections::HashMap;

/// The most calls that are inlined into each other.
const MOST_INLINED: usize = 256;

/// Whether a file is the symbol file of a module with this identity.
pub(super) fn is_of(file: &FileBytes, build_id: &[u8], codeview: Option<&CodeView>) -> bool {
    let bytes = (**file).as_ref();
    let first = bytes.split(|&byte| byte == b'\n').next().map(text);
    let first = first.unwrap_or_default();
    let mut words = first.split_whitespace();
    // MODULE operating-system architecture id name
    let id = match words.next() {
        Some("MODULE") => words.nth(2),
        _ => None,
    };
    let own = debug_id(build_id, codeview);
    !own.is_empty() && id.is_some_and(|id| id.eq_ignore_ascii_case(&own))
}

/// The identity as Breakpad writes it: a GUID and an age. That of an ELF image is made of the first 16 bytes of its build-id.
pub(super) fn debug_id(build_id: &[u8], codeview: Option<&CodeView>) -> String {
    let (guid, age) = match codeview {
        Some(codeview) => (codeview.guid, codeview.age),
        None if build_id.is_empty() => return String::new(),
        None => {
            let mut guid = [0; 16];
            guid.iter_mut()
                .zip(build_id)
                .for_each(|(to, from)| *to = *from);
            (guid, 0)
        }
    };
    format!("{}{age:X}", guid_text(&guid))
}

/// The digits of a GUID: its first three numbers are little-endian.
pub(super) fn guid_text(guid: &[u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    ORDER
        .iter()
        .map(|&at| format!("{:02X}", guid[at]))
        .collect()
}

/// The places of addresses relative to the module's base, in their order.
pub(super) fn places(file: &FileBytes, wanted: &[u64]) -> Vec<Option<Place>> {
    let mut reader = Reader::new(wanted);
    let bytes = (**file).as_ref();
    for record in bytes.split(|&byte| byte == b'\n') {
        // A record that is damaged is passed over.
        let _ = reader.add(record.trim_ascii());
    }
    reader.places()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is known of one address.
#[derive(Default)]
struct Found<'f> {
    address: u64,
    /// Start and name.
    function: Option<(u64, &'f [u8])>,
    /// File and line.
    line: Option<(u32, u32)>,
    /// Of each inlined call by its depth: the inlined function, and file and line of the call.
    inlined: Vec<Option<(u32, u32, u32)>>,
}

struct Reader<'f> {
    files: HashMap<u32, &'f [u8]>,
    origins: HashMap<u32, &'f [u8]>,
    found: Vec<Found<'f>>,
    /// The order of the addresses, ascending.
    order: Vec<usize>,
    /// For each, by that order, the last public symbol that begins after the address before it.
    publics: Vec<Option<(u64, &'f [u8])>>,
    /// Those, by that order, that the function holds whose lines come now.
    current: std::ops::Range<usize>,
}

impl<'f> Reader<'f> {
    fn new(wanted: &[u64]) -> Self {
        let of = |&address: &u64| Found {
            address,
            ..Found::default()
        };
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|&at| wanted[at]);
        Self {
            files: HashMap::new(),
            origins: HashMap::new(),
            found: wanted.iter().map(of).collect(),
            publics: vec![None; order.len()],
            order,
            current: 0..0,
        }
    }

    fn add(&mut self, record: &'f [u8]) -> Option<()> {
        let (kind, rest) = word(record)?;
        match kind {
            b"FILE" => self.files.extend(numbered(rest)),
            b"INLINE_ORIGIN" => self.origins.extend(numbered(rest)),
            b"FUNC" => self.function(without_mark(rest))?,
            b"PUBLIC" => self.public(without_mark(rest))?,
            b"INLINE" => self.inline(rest)?,
            b"MODULE" | b"INFO" | b"STACK" => {}
            _ if !self.current.is_empty() => self.line(record)?,
            _ => {}
        }
        Some(())
    }

    /// FUNC address size size-of-parameters name
    fn function(&mut self, record: &'f [u8]) -> Option<()> {
        self.current = 0..0;
        let ([start, size, _], name) = numbers(record)?;
        self.current = self.within(start, size);
        for at in self.current.clone() {
            let found = &mut self.found[self.order[at]];
            found.function = Some((start, name));
        }
        Some(())
    }

    /// PUBLIC address size-of-parameters name
    fn public(&mut self, record: &'f [u8]) -> Option<()> {
        self.current = 0..0;
        let ([start, _], name) = numbers(record)?;
        let first = self.within(start, u64::MAX).start;
        let known = self.publics.get_mut(first)?;
        if known.is_none_or(|(other, _)| other <= start) {
            *known = Some((start, name));
        }
        Some(())
    }

    /// address size line file
    fn line(&mut self, record: &'f [u8]) -> Option<()> {
        let ([start, size], rest) = numbers(record)?;
        let (line, rest) = word(rest)?;
        let line = (decimal(word(rest)?.0)?, decimal(line)?);
        for at in self.within(start, size) {
            self.found[self.order[at]].line = Some(line);
        }
        Some(())
    }

    /// INLINE depth line-of-call file-of-call origin, then address and size of each range
    fn inline(&mut self, record: &'f [u8]) -> Option<()> {
        let mut rest = record;
        let mut next = || {
            let (first, left) = word(rest)?;
            rest = left;
            Some(first)
        };
        let depth = decimal(next()?)? as usize;
        let (line, file) = (decimal(next()?)?, decimal(next()?)?);
        let origin = decimal(next()?)?;
        while let (Some(start), Some(size)) = (next().and_then(hex), next().and_then(hex)) {
            for at in self.within(start, size) {
                let inlined = &mut self.found[self.order[at]].inlined;
                if depth < MOST_INLINED {
                    inlined.resize(inlined.len().max(depth + 1), None);
                    inlined[depth] = Some((origin, file, line));
                }
            }
        }
        Some(())
    }

    /// Which addresses, by their order, lie in a range.
    fn within(&self, start: u64, size: u64) -> std::ops::Range<usize> {
        let before = |limit: u64| {
            let is_before = |&at: &usize| self.found[at].address < limit;
            self.order.partition_point(is_before)
        };
        before(start)..before(start.saturating_add(size))
    }

    fn places(&self) -> Vec<Option<Place>> {
        let mut places = vec![None; self.found.len()];
        let mut public = None;
        for (&at, own) in self.order.iter().zip(&self.publics) {
            public = own.or(public);
            places[at] = self.place(&self.found[at], public);
        }
        places
    }

    fn place(&self, found: &Found, public: Option<(u64, &[u8])>) -> Option<Place> {
        let (start, name) = found.function.or(public)?;
        let file = |number| self.files.get(&number).map(|name| text(name));
        let mut lines = Vec::new();
        // From the outermost on: each call is at a line of the function around it.
        let mut function = Some(shown(&text(name)));
        for (origin, call_file, call_line) in found.inlined.iter().map_while(|call| *call) {
            lines.push(Line {
                function,
                file: file(call_file),
                line: Some(call_line),
            });
            function = self.origins.get(&origin).map(|name| shown(&text(name)));
        }
        lines.push(Line {
            function,
            file: found.line.and_then(|(number, _)| file(number)),
            line: found.line.map(|(_, line)| line),
        });
        lines.reverse();
        Place::of(lines, Some(start))
    }
}

/// The record without the mark `m` of what several symbols share.
fn without_mark(record: &[u8]) -> &[u8] {
    record.strip_prefix(b"m ").unwrap_or(record)
}

/// The first word, and what follows it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.trim_ascii_start();
    let end = bytes.iter().position(|&byte| byte == b' ');
    let (first, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    (!first.is_empty()).then_some((first, rest.trim_ascii_start()))
}

/// A number and a name.
fn numbered(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, name) = word(bytes)?;
    Some((decimal(number)?, name))
}

/// So many hexadecimal numbers, and what follows them.
fn numbers<const N: usize>(bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let (mut numbers, mut rest) = ([0; N], bytes);
    for number in &mut numbers {
        let (first, left) = word(rest)?;
        *number = hex(first)?;
        rest = left;
    }
    Some((numbers, rest))
}

fn hex(word: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()
}

fn decimal(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const FILE: &str = "\
MODULE Linux x86_64 04030201060508070A0B0C0D0E0F10110 app
FILE 0 /src/app.c
FILE 1 /src/my file.h
INLINE_ORIGIN 0 inner()
INLINE_ORIGIN 1 middle
FUNC 1000 40 0 main
INLINE 0 12 0 1 1010 10
INLINE 1 7 1 0 1018 8
1000 10 10 0
1010 8 6 1
1018 8 3 1
1020 20 13 0
FUNC m 2000 10 0 _Z3foov
2000 8 20 0
broken record here
PUBLIC 3000 0 exported
";

    fn file() -> FileBytes {
        Arc::new(FILE.as_bytes().to_vec())
    }

    fn shown_of(place: &Option<Place>) -> String {
        let Some(place) = place else {
            return "-".to_owned();
        };
        let lines = place.inlined.iter().chain([&place.own]);
        let lines = lines.map(|line| {
            let name = line.function.as_deref().unwrap_or("?");
            let file = line.file.as_deref().unwrap_or("?");
            format!("{name} {file}:{}", line.line.unwrap_or(0))
        });
        lines.collect::<Vec<_>>().join(" < ")
    }

    #[test]
    fn an_address_is_told_with_the_calls_that_are_inlined_there() {
        for (address, told) in [
            (0xfff, "-"),
            (0x1000, "main /src/app.c:10"),
            (0x1011, "middle /src/my file.h:6 < main /src/app.c:12"),
            (
                0x101f,
                "inner() /src/my file.h:3 < middle /src/my file.h:7 < main /src/app.c:12",
            ),
            (0x1020, "main /src/app.c:13"),
            (0x2001, "foo() /src/app.c:20"),
            (0x200a, "foo() ?:0"),
            (0x2fff, "-"),
            (0x3010, "exported ?:0"),
        ] {
            let places = places(&file(), &[0x1000, address, 0x3000]);
            assert_eq!(shown_of(&places[1]), told, "{address:x}");
            assert_eq!(shown_of(&places[0]), "main /src/app.c:10");
        }
    }

    #[test]
    fn only_the_file_of_the_same_build_is_taken() {
        let build_id: Vec<u8> = (1..=8).chain(10..22).collect();
        assert!(is_of(&file(), &build_id, None));
        assert!(!is_of(&file(), &build_id[1..], None));
        assert!(!is_of(&file(), &[], None));
    }
}
