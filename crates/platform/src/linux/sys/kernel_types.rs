//! Where the kernel has the fields of its structures, by its own type information (BTF, Documentation/bpf/btf.rst).

use std::collections::HashMap;

/// The kernel's type information.
const KERNEL: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;

/// The kinds of types that are structures, and a bit that says how the place of a member is told.
const STRUCTURE: u32 = 4;
const WITH_SIZES: u32 = 1 << 31;

/// Returns the offset in bytes of a field in a field, from the outer structure's start: each step is a structure and its
/// member. `None` if the kernel does not tell, or has no such member.
pub(crate) fn offset(steps: &[(&str, &str)]) -> Option<u32> {
    if steps.is_empty() {
        return None;
    }
    offset_in(&std::fs::read(KERNEL).ok()?, steps)
}

fn offset_in(btf: &[u8], steps: &[(&str, &str)]) -> Option<u32> {
    let (types, names) = sections(btf)?;
    let mut found = HashMap::new();
    let mut rest = types;
    // There are a hundred thousand.
    while found.len() < steps.len()
        && let Some((name, info, tail)) = next_type(rest)
    {
        let count = (info & 0xffff) as usize;
        let kind = info >> 24 & 0x1f;
        let (of_kind, tail) =
            tail.split_at_checked(size_of_rest(kind)? + count * size_of_each(kind))?;
        let wanted = steps
            .iter()
            .filter(|(structure, _)| kind == STRUCTURE && is(names, name, structure));
        for (structure, member) in wanted {
            let at = of_kind
                .chunks_exact(12)
                .find(|chunk| word(chunk, 0).is_some_and(|name| is(names, name, member)));
            let bits = at.and_then(|chunk| word(chunk, 8));
            let bits = bits.map(|bits| {
                if info & WITH_SIZES == 0 {
                    bits
                } else {
                    bits & 0xff_ffff
                }
            });
            found.extend(bits.map(|bits| ((*structure, *member), bits / 8)));
        }
        rest = tail;
    }
    steps.iter().map(|step| found.get(step).copied()).sum()
}

/// Returns the types and the names.
fn sections(btf: &[u8]) -> Option<(&[u8], &[u8])> {
    if u16::from_ne_bytes(*btf.first_chunk()?) != MAGIC {
        return None;
    }
    let header = word(btf, 4)? as usize;
    let section = |at| {
        let start = header + word(btf, at)? as usize;
        btf.get(start..start + word(btf, at + 4)? as usize)
    };
    Some((section(8)?, section(16)?))
}

/// Returns the name and the second word of the next type, and what follows its third word.
fn next_type(types: &[u8]) -> Option<(u32, u32, &[u8])> {
    Some((word(types, 0)?, word(types, 4)?, types.get(12..)?))
}

/// How many bytes follow the three words of a type of this kind, however many members it has.
fn size_of_rest(kind: u32) -> Option<usize> {
    match kind {
        1 | 14 | 17 => Some(4),
        3 => Some(12),
        2 | 4..=13 | 15 | 16 | 18 | 19 => Some(0),
        _ => None,
    }
}

/// And how many follow for each member.
fn size_of_each(kind: u32) -> usize {
    match kind {
        4 | 5 | 15 | 19 => 12,
        6 | 13 => 8,
        _ => 0,
    }
}

/// Whether a name is this one.
fn is(names: &[u8], at: u32, name: &str) -> bool {
    let text = names.get(at as usize..).unwrap_or_default();
    text.strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&0))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a structure `s` with the members `a` and `bb`, of which the second is at 8 bytes.
    fn small() -> Vec<u8> {
        let types = [1, STRUCTURE << 24 | 2, 16, 3, 0, 0, 5, 0, 64];
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let names = b"\0s\0a\0bb\0";
        let header = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            names.len() as u32,
        ];
        let mut all = MAGIC.to_ne_bytes().to_vec();
        all.extend([1, 0]);
        all.extend(header.into_iter().flat_map(u32::to_ne_bytes));
        all.extend(types);
        all.extend(names);
        all
    }

    #[test]
    fn a_member_is_found_by_its_name() {
        assert_eq!(offset_in(&small(), &[("s", "a")]), Some(0));
        assert_eq!(offset_in(&small(), &[("s", "bb")]), Some(8));
        assert_eq!(offset_in(&small(), &[("s", "b")]), None);
        assert_eq!(offset_in(&small(), &[("t", "a")]), None);
    }

    #[test]
    fn what_is_cut_is_no_type() {
        let all = small();
        for len in 0..all.len() {
            assert_eq!(offset_in(&all[..len], &[("s", "bb")]), None);
        }
    }
}
