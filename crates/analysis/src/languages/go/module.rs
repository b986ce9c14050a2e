//! Where a Go program has its tables: `runtime.firstmoduledata`, which points at the table of lines.

use super::line_table::{Function, LineTable, Spot, find};
use crate::image::Symbol;
use crate::languages::LanguageFrame;
use crate::runtime::Runtime;
use snapshot::{Memory, Range};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// How much memory is searched for a table or for a pointer to it, in bytes.
const MOST_SEARCHED: u64 = 256 << 20;

/// The size of a page.
const PAGE: u64 = 4096;

/// Memory is searched in pieces of this size.
const PIECE: u64 = 1 << 20;

/// The most pointers to a table in one piece that are looked at.
const MOST_POINTERS: usize = 64;

/// What is searched for is not longer than this, in bytes.
const LONGEST_FOUND: u64 = 256;

/// Places that are remembered.
const MOST_PLACES: usize = 1 << 18;

/// Numbers of words in `moduledata` (`runtime/symtab.go`): start and end of the code, the first and the last of those about
/// variables.
const TEXT: u64 = 22;
const END_OF_TEXT: u64 = 23;
const DATA: u64 = 24;
const END_OF_DATA: u64 = 31;

/// The tables of a Go program.
pub(crate) struct Module {
    table: LineTable,
    /// Its variables.
    pub(crate) data: Range,
    /// The second number of the version of Go, if it is known.
    pub(crate) version: Option<u32>,
    places: RefCell<HashMap<u64, Option<Rc<Place>>>>,
}

/// What is known of an address.
#[derive(Debug)]
pub(crate) struct Place {
    /// The function's name.
    pub(crate) name: String,
    /// Its first address.
    pub(crate) start: u64,
    /// By how many bytes the stack pointer is below the return address.
    pub(super) frame_size: Option<u64>,
    /// Whether it is the first function of a stack.
    pub(super) is_outermost: bool,
    pub(super) spots: Vec<Spot>,
}

/// Where the parts of an image are that may hold the tables.
pub(crate) struct Parts<'a> {
    /// Where the section of the table is; `None` if there is none, or no file.
    pub(crate) section: Option<u64>,
    /// Memory that cannot be written to, and memory that can.
    pub(crate) constants: &'a [Range],
    pub(crate) variables: &'a [Range],
}

impl Parts<'_> {
    /// As [`search`], where data is. Linkers put what is constant once the program is loaded among the constants.
    fn search(
        &self,
        memory: &dyn Memory,
        find: impl Fn(u64, &[u8]) -> Option<usize>,
    ) -> Option<u64> {
        let found = search(self.variables, memory, &find);
        found.or_else(|| search(self.constants, memory, &find))
    }
}

impl Place {
    /// The name of its function, for an instruction pointer in it.
    pub(crate) fn symbol(&self, ip: u64) -> Symbol {
        Symbol {
            name: self.name.clone(),
            offset: ip.wrapping_sub(self.start),
        }
    }

    /// The calls that are inlined there, innermost first, and the function itself.
    pub(crate) fn frames(&self) -> Vec<LanguageFrame> {
        let frame = |spot: &Spot| LanguageFrame {
            language: Runtime::Go,
            function: spot.function.clone(),
            file: spot.file.clone(),
            line: spot.line,
        };
        self.spots.iter().map(frame).collect()
    }
}

impl Module {
    /// Finds the tables of an image; `None` if it has none.
    pub(crate) fn find(parts: &Parts, memory: &dyn Memory) -> Option<Self> {
        let at = match parts.section {
            Some(at) => at,
            None => search(parts.constants, memory, |_, bytes| find(bytes))?,
        };
        let described = parts.search(memory, |start, bytes| module_in(start, bytes, at, memory));
        let Some(data) = described else {
            let table = LineTable::read(at, None, memory)?;
            return Some(Self::new(table, Range::new(0, 0), None));
        };
        let word = |number: u64| memory.read_u64(data.wrapping_add(8 * number));
        let mut table = LineTable::read(at, word(TEXT), memory)?;
        let version = version(parts, memory);
        table.calls = calls(version).and_then(word).unwrap_or(0);
        let variables = variables(data, memory).unwrap_or(Range::new(0, 0));
        Some(Self::new(table, variables, version))
    }

    fn new(table: LineTable, data: Range, version: Option<u32>) -> Self {
        Self {
            table,
            data,
            version,
            places: RefCell::default(),
        }
    }

    /// What is known of an address; `None` if it is in no function.
    pub(crate) fn place(&self, address: u64, memory: &dyn Memory) -> Option<Rc<Place>> {
        if let Some(known) = self.places.borrow().get(&address) {
            return known.clone();
        }
        let place = self.look_up(address, memory).map(Rc::new);
        let mut places = self.places.borrow_mut();
        if places.len() < MOST_PLACES {
            places.insert(address, place.clone());
        }
        place
    }

    fn look_up(&self, address: u64, memory: &dyn Memory) -> Option<Place> {
        let function: Function = self.table.function(address, memory)?;
        Some(Place {
            name: self.table.name(function, memory)?,
            start: function.start,
            frame_size: self.table.frame_size(function, address, memory),
            is_outermost: self.table.is_outermost(function, memory),
            spots: self.table.spots(function, address, memory),
        })
    }
}

/// Whether this is a `moduledata`: it has code and variables.
fn is_module(at: u64, memory: &dyn Memory) -> bool {
    let word = |number: u64| memory.read_u64(at.wrapping_add(8 * number));
    let has_code = word(TEXT).is_some_and(|start| start != 0 && Some(start) < word(END_OF_TEXT));
    has_code && variables(at, memory).is_some()
}

/// From the first to the last variable of a `moduledata`, which has starts and ends of four parts. Linkers put them in any order.
/// `None` if it has none.
fn variables(at: u64, memory: &dyn Memory) -> Option<Range> {
    let words = (DATA..=END_OF_DATA).map(|number| memory.read_u64(at.wrapping_add(8 * number)));
    let words: Vec<u64> = words.collect::<Option<_>>()?;
    let are_parts = words.chunks(2).all(|part| part[0] <= part[1]);
    let [start, end] = [*words.iter().min()?, *words.iter().max()?];
    (are_parts && start < end && end - start < MOST_SEARCHED).then_some(Range::new(start, end))
}

/// The number of the word of `moduledata` that has the tables of inlined calls (`gofunc`), by the version of Go: 1.19 has it
/// for 19; `None` if it is not known.
fn calls(version: Option<u32>) -> Option<u64> {
    Some(match version? {
        18..=19 => 38,
        20..=26 => 40,
        27 => 43,
        _ => return None,
    })
}

/// The second number of the version: 19 for "go1.19.8". It stands behind a mark in the data (`debug/buildinfo`), since Go 1.18.
fn version(parts: &Parts, memory: &dyn Memory) -> Option<u32> {
    const MARK: &[u8] = b"\xff Go buildinf:";
    let at = parts.search(memory, |_, bytes| {
        let mut places = bytes.chunks(16).enumerate();
        let (number, _) = places.find(|(_, place)| place.starts_with(MARK))?;
        Some(16 * number)
    })?;
    let text = memory.read_c_string(at.wrapping_add(33), 32)?;
    let digits = text.strip_prefix(b"go1.")?;
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    std::str::from_utf8(&digits[..count]).ok()?.parse().ok()
}

/// Where in `bytes`, which are at `start`, a `moduledata` points at the table at `table`.
fn module_in(start: u64, bytes: &[u8], table: u64, memory: &dyn Memory) -> Option<usize> {
    let words = bytes.as_chunks::<8>().0.iter().enumerate();
    let pointers = words.filter(|(_, word)| **word == table.to_le_bytes());
    let mut places = pointers.map(|(number, _)| 8 * number).take(MOST_POINTERS);
    places.find(|place| is_module(start.wrapping_add(*place as u64), memory))
}

/// The address of what `find` finds in the memory of these ranges, which are looked through in pieces. It is given a piece with its
/// address.
fn search(
    ranges: &[Range],
    memory: &dyn Memory,
    find: impl Fn(u64, &[u8]) -> Option<usize>,
) -> Option<u64> {
    let mut left = MOST_SEARCHED;
    let mut piece = Vec::new();
    for range in ranges {
        let mut at = range.start;
        while at < range.end && left > 0 {
            piece.resize(PIECE.min(range.end - at) as usize, 0);
            let got = memory.read(at, &mut piece);
            if let Some(offset) = find(at, &piece[..got]) {
                return Some(at.wrapping_add(offset as u64));
            }
            let step = match got as u64 {
                PIECE => PIECE - LONGEST_FOUND,
                // Behind what can be read at once lies what cannot be, or what another part of the dump has.
                got => got.next_multiple_of(PAGE).max(PAGE),
            };
            left = left.saturating_sub(step);
            at = at.saturating_add(step);
        }
    }
    None
}

/// As the search for the tables: the address of what `find` finds in one range.
pub(crate) fn search_in(
    range: Range,
    memory: &dyn Memory,
    find: impl Fn(&[u8]) -> Option<usize>,
) -> Option<u64> {
    search(&[range], memory, |_, bytes| find(bytes))
}
