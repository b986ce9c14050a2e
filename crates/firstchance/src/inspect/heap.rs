//! What the heap is made of, as text.

use super::open::{Opened, Symbols, Walked};
use super::page::Page;
use crate::ui::console;
use analysis::heap::{Begin, Blocks, Heap, OfSize, Sum, heap};
use pages::Column;
use policy::print_count;
use serde::Serialize;

/// Sizes that are shown, at most.
const ROWS: usize = 20;

/// Adds the blocks of the heap by size.
pub(super) fn write(page: &mut Page, opened: &Opened) {
    let dump = &opened.dump;
    match heap(&dump.snapshot, &*dump.memory) {
        Heap::Glibc(blocks) => glibc(page, opened, &blocks),
        Heap::Other(name) => {
            let text = format!("the program uses {name}, whose blocks are not told apart");
            page.paragraph("Heap", &[text]);
        }
        Heap::Unknown => {
            let text = "no heap that is known is in this dump; a full dump has all memory";
            page.paragraph("Heap", &[text.to_owned()]);
        }
    }
}

fn glibc(page: &mut Page, opened: &Opened, blocks: &Blocks) {
    page.paragraph("Heap", &told(blocks));
    let symbols = opened.symbols_at(&pointers(blocks));
    let rows = blocks.sizes.iter().take(ROWS).map(|of| row(of, &symbols));
    let columns = [
        Column::number("blocks"),
        Column::number("in all"),
        Column::number("bytes each"),
        Column::text("begin with"),
    ];
    page.gap();
    page.table(&columns, rows.collect());
    page.paragraph("Doubts", &blocks.doubts);
}

fn told(blocks: &Blocks) -> Vec<String> {
    let sum = |sum: Sum| {
        format!(
            "{}, {}",
            print_count(sum.count, "block"),
            console::size(sum.bytes)
        )
    };
    let arenas = print_count(blocks.arenas.len() as u64, "arena");
    let top = blocks.arenas.iter().map(|arena| arena.top).sum();
    vec![
        format!("that of the GNU C library, {arenas}"),
        format!("in use: {}", sum(blocks.in_use())),
        format!(
            "of these with mappings of their own: {}",
            sum(blocks.mapped)
        ),
        format!("free between them: {}", sum(blocks.free())),
        format!("free behind them: {}", console::size(top)),
    ]
}

fn row(of: &OfSize, symbols: &Symbols) -> Vec<String> {
    let begin = |(begin, count): &(Begin, u64)| {
        let what = match begin {
            Begin::Text(text) => format!("{text:?}"),
            Begin::Pointer(to) => match symbols.get(to) {
                Some(name) => name.clone(),
                None => format!("{to:#x}"),
            },
        };
        match *count == of.sum.count {
            true => what,
            false => format!("{what} ({count})"),
        }
    };
    let begins: Vec<String> = of.begins.iter().map(begin).collect();
    vec![
        of.sum.count.to_string(),
        console::size(of.sum.bytes),
        of.usable.to_string(),
        console::cut(&begins.join(", "), 100),
    ]
}

/// The pointers that blocks begin with.
fn pointers(blocks: &Blocks) -> Vec<u64> {
    let begins = blocks.sizes.iter().take(ROWS).flat_map(|of| &of.begins);
    let pointers = begins.filter_map(|(begin, _)| match begin {
        Begin::Pointer(to) => Some(*to),
        Begin::Text(_) => None,
    });
    pointers.collect()
}

/// The heap in JSON.
#[derive(Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) struct HeapWire {
    /// `glibc`, the name of another allocator, or null if it is not known.
    allocator: Option<&'static str>,
    in_use: SumWire,
    free: SumWire,
    /// Those in use that have mappings of their own.
    mapped: SumWire,
    arenas: Vec<ArenaWire>,
    /// Those in use by size, those first that take most.
    sizes: Vec<SizeWire>,
    doubts: Vec<String>,
}

#[derive(Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct SumWire {
    count: u64,
    bytes: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct ArenaWire {
    start: String,
    in_use: SumWire,
    free: SumWire,
    /// What lies behind the last block, in bytes.
    top: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct SizeWire {
    usable: u64,
    count: u64,
    bytes: u64,
    begins: Vec<BeginWire>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct BeginWire {
    text: Option<String>,
    symbol: Option<String>,
    pointer: Option<String>,
    count: u64,
}

pub(super) fn wire(opened: &Opened, walked: &Walked) -> HeapWire {
    let dump = &opened.dump;
    match heap(&dump.snapshot, &*dump.memory) {
        Heap::Glibc(blocks) => glibc_wire(walked, &blocks),
        Heap::Other(name) => HeapWire {
            allocator: Some(name),
            ..HeapWire::default()
        },
        Heap::Unknown => HeapWire::default(),
    }
}

fn glibc_wire(walked: &Walked, blocks: &Blocks) -> HeapWire {
    let symbols = walked.symbols_at(&pointers(blocks));
    let arenas = blocks.arenas.iter().map(|arena| ArenaWire {
        start: format!("{:#x}", arena.start),
        in_use: sum(arena.in_use),
        free: sum(arena.free),
        top: arena.top,
    });
    let sizes = blocks.sizes.iter().take(ROWS);
    HeapWire {
        allocator: Some("glibc"),
        in_use: sum(blocks.in_use()),
        free: sum(blocks.free()),
        mapped: sum(blocks.mapped),
        arenas: arenas.collect(),
        sizes: sizes.map(|of| size(of, &symbols)).collect(),
        doubts: blocks.doubts.clone(),
    }
}

fn size(of: &OfSize, symbols: &Symbols) -> SizeWire {
    let begin = |(begin, count): &(Begin, u64)| {
        let (text, pointer) = match begin {
            Begin::Text(text) => (Some(text.clone()), None),
            Begin::Pointer(to) => (None, Some(*to)),
        };
        BeginWire {
            text,
            symbol: pointer.and_then(|to| symbols.get(&to).cloned()),
            pointer: pointer.map(|to| format!("{to:#x}")),
            count: *count,
        }
    };
    SizeWire {
        usable: of.usable,
        count: of.sum.count,
        bytes: of.sum.bytes,
        begins: of.begins.iter().map(begin).collect(),
    }
}

fn sum(sum: Sum) -> SumWire {
    SumWire {
        count: sum.count,
        bytes: sum.bytes,
    }
}
