//! The tables of lines of code objects (`Objects/lnotab_notes.txt`, `Objects/locations.md` of CPython).

/// The line of the instruction at `at`, in bytes from the start of the code; `None` if it has none.
pub(super) fn line(version: (u8, u8), table: &[u8], first: u32, at: u64) -> Option<u32> {
    let line = match version {
        (3, ..10) => by_pairs(table, first, at),
        (3, 10) => by_ranges(table, first, at)?,
        _ => by_locations(table, first, at)?,
    };
    u32::try_from(line).ok().filter(|line| *line > 0)
}

/// Up to 3.9: pairs of how much the address grows, and then the line.
fn by_pairs(table: &[u8], first: u32, at: u64) -> i64 {
    let (mut line, mut address) = (i64::from(first), 0u64);
    for [bytes, lines] in table.as_chunks::<2>().0 {
        address += u64::from(*bytes);
        if address > at {
            break;
        }
        line += i64::from(*lines as i8);
    }
    line
}

/// 3.10: pairs of the length of a range, and how much its line is after the last one.
fn by_ranges(table: &[u8], first: u32, at: u64) -> Option<i64> {
    const NO_LINE: i8 = -128;
    let (mut line, mut end) = (i64::from(first), 0u64);
    for [bytes, lines] in table.as_chunks::<2>().0 {
        let lines = *lines as i8;
        end += u64::from(*bytes);
        if lines != NO_LINE {
            line += i64::from(lines);
        }
        if at < end {
            return (lines != NO_LINE).then_some(line);
        }
    }
    None
}

/// Since 3.11: entries, whose first byte alone has its highest bit set: a kind, and the length of the range in instructions.
fn by_locations(table: &[u8], first: u32, at: u64) -> Option<i64> {
    const FIRST: u8 = 0x80;
    const INSTRUCTION: u64 = 2;
    let (mut line, mut end, mut next) = (i64::from(first), 0u64, 0);
    while let Some(&head) = table.get(next) {
        let rest = &table[next + 1..];
        let length = rest.iter().take_while(|byte| **byte & FIRST == 0).count();
        let kind = head >> 3 & 15;
        line += match kind {
            11 | 12 => i64::from(kind - 10),
            13 | 14 => signed(rest),
            _ => 0,
        };
        end += (u64::from(head & 7) + 1) * INSTRUCTION;
        if at < end {
            return (kind != 15).then_some(line);
        }
        next += 1 + length;
    }
    None
}

/// A number in pieces of six bits, least first, whose lowest bit is the sign.
fn signed(bytes: &[u8]) -> i64 {
    let mut value = 0u64;
    for (number, byte) in bytes.iter().take(6).enumerate() {
        value |= u64::from(byte & 0x3f) << (6 * number);
        if byte & 0x40 == 0 {
            break;
        }
    }
    let size = (value >> 1) as i64;
    if value & 1 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_by_each_kind_of_table() {
        // compile("a\nb\n\n\nc", ...) of each version, and what `dis` says of it.
        let old = [2, 1, 2, 3];
        for (at, expected) in [(0, 1), (2, 2), (4, 5), (90, 5)] {
            assert_eq!(line((3, 8), &old, 1, at), Some(expected));
        }
        let ranges = [2, 0, 2, 1, 2, 0x80, 2, 0xff];
        for (at, expected) in [
            (0, Some(1)),
            (3, Some(2)),
            (4, None),
            (6, Some(1)),
            (8, None),
        ] {
            assert_eq!(line((3, 10), &ranges, 1, at), expected, "{at}");
        }
        // No line; one line further; a long form 100 lines back of 2 instructions; without columns 3 lines further.
        let locations = [0xf8, 0xd8, 0, 0, 0xf1, 0x40 | 9, 3, 0, 1, 1, 0xe8, 6];
        for (at, expected) in [
            (0, None),
            (2, Some(201)),
            (4, Some(101)),
            (7, Some(101)),
            (8, Some(104)),
            (10, None),
        ] {
            assert_eq!(line((3, 13), &locations, 200, at), expected, "{at}");
        }
    }

    #[test]
    fn damaged_tables_end() {
        for table in [
            &[0x80][..],
            &[0xff; 7],
            &[0; 9],
            &[0xf0, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f],
        ] {
            for version in [(3, 8), (3, 10), (3, 11)] {
                line(version, table, u32::MAX, 1 << 40);
                line(version, table, 0, 0);
            }
        }
    }
}
