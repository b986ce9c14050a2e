//! Go: functions of stripped programs, by the table of line numbers (`.gopclntab`) that they keep,
//! and the place behind a function's check of its stack.

use super::Spot;
use super::elf::Elf;
use snapshot::Architecture;

/// The function that `panic` calls.
pub(super) const PANIC: &str = "runtime.gopanic";

/// The most functions that are read; a table with more is damaged.
const MOST_FUNCTIONS: usize = 4 << 20;

/// The addresses of the `wanted` functions by the table of line numbers of Go 1.18 and later
/// (`cmd/link/internal/ld/pcln.go`); empty if the table has another form.
pub(super) fn functions<'w>(elf: &Elf, wanted: &[&'w str]) -> Vec<(&'w str, u64)> {
    let sections = [".gopclntab", ".data.rel.ro.gopclntab"];
    let table = sections.iter().find_map(|name| elf.section(name));
    let code = elf.section(".text").map_or(0, |(address, _)| address);
    let found = table.and_then(|(_, table)| LineTable::parse(table, code)?.find(wanted));
    found
        .filter(|found| is_right(elf, found))
        .unwrap_or_default()
}

/// Whether the addresses of the table are right: a breakpoint at a wrong one would break the
/// program. They are if `gopanic` begins as it must, with a check of its stack.
fn is_right(elf: &Elf, found: &[(&str, u64)]) -> bool {
    let panic = found.iter().find(|(name, _)| *name == PANIC);
    let spot = panic.and_then(|(_, address)| elf.spot(*address));
    spot.is_some_and(|spot| behind_stack_check(elf, spot) != spot)
}

/// The table of line numbers.
struct LineTable<'a> {
    table: &'a [u8],
    /// Address of the code.
    text: u64,
    /// Offset of the functions' names.
    names: usize,
    /// Offset of the functions.
    functions: usize,
    count: usize,
}

impl<'a> LineTable<'a> {
    /// `code` is where the code of the program begins, for tables that do not say it.
    fn parse(table: &'a [u8], code: u64) -> Option<Self> {
        const MAGICS: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
        let word = |n: usize| Some(u64::from_le_bytes(*table.get(8 + 8 * n..)?.first_chunk()?));
        let offset = |n: usize| usize::try_from(word(n)?).ok();
        let magic = u32::from_le_bytes(*table.first_chunk()?);
        // It is 0 if only the loader knows where the code begins, and since Go 1.26.
        let told = word(2).filter(|text| *text != 0);
        MAGICS.contains(&magic).then_some(LineTable {
            table,
            text: told.unwrap_or(code),
            count: offset(0)?.min(MOST_FUNCTIONS),
            names: offset(3)?,
            functions: offset(7)?,
        })
    }

    fn find<'w>(&self, wanted: &[&'w str]) -> Option<Vec<(&'w str, u64)>> {
        let functions = self.table.get(self.functions..)?;
        let names = self.table.get(self.names..)?;
        let entries = functions.as_chunks::<8>().0.iter().take(self.count);
        let named = entries.filter_map(|[a, b, c, d, e, f, g, h]| {
            let start = u32::from_le_bytes([*a, *b, *c, *d]);
            let entry = u32::from_le_bytes([*e, *f, *g, *h]) as usize;
            let name = functions.get(entry.checked_add(4)?..)?.first_chunk()?;
            let name = names.get(u32::from_le_bytes(*name) as usize..)?;
            let is_it = |w: &&&str| name.strip_prefix(w.as_bytes()).is_some_and(ends);
            let known = wanted.iter().find(is_it)?;
            Some((*known, self.text.wrapping_add(u64::from(start))))
        });
        Some(named.collect())
    }
}

fn ends(rest: &[u8]) -> bool {
    rest.first() == Some(&0)
}

/// The place behind a function's check whether its stack is large enough. If it is not, the
/// function starts again after the stack has grown, and a place before the check would be passed
/// twice. Returns `spot` if there is no such check.
pub(super) fn behind_stack_check(elf: &Elf, spot: Spot) -> Spot {
    let code = elf.code(spot);
    let code = &code[..code.len().min(48)];
    let skip = match elf.machine {
        Architecture::X86_64 => x86_64(code),
        _ => aarch64(code),
    };
    spot.plus(skip.unwrap_or(0))
}

/// The offset behind `cmp 0x10(%r14),%rsp` (or `%r12`) and its `jbe`.
fn x86_64(code: &[u8]) -> Option<usize> {
    const COMPARE: [u8; 3] = [0x3b, 0x66, 0x10];
    let compare = code.windows(3).position(|bytes| bytes == COMPARE)?;
    match code[compare + 3..] {
        [0x76, ..] => Some(compare + 5),
        [0x0f, 0x86, ..] => Some(compare + 9),
        _ => None,
    }
}

/// The offset behind the first `b.ls`.
fn aarch64(code: &[u8]) -> Option<usize> {
    let words = code.as_chunks::<4>().0.iter();
    let mut words = words.map(|word| u32::from_le_bytes(*word));
    let branch = words.position(|word| word & 0xff00_001f == 0x5400_0009)?;
    Some(4 * branch + 4)
}
