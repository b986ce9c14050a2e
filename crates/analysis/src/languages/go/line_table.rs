//! The table of functions and lines (`runtime/symtab.go`, `cmd/link/internal/ld/pcln.go`) in the layouts of Go 1.16, 1.18 and 1.20.
//! All addresses are those of the process.

use crate::languages::LONGEST_NAME;
use snapshot::Memory;

/// The head's first word tells the layout (`internal/abi/symtab.go`).
const MAGICS: [(u32, Layout); 3] = [
    (0xffff_fffa, Layout::Go116),
    (0xffff_fff0, Layout::Go118),
    (0xffff_fff1, Layout::Go120),
];

/// Tables with more functions than this are damaged.
const MOST_FUNCTIONS: u64 = 4 << 20;

/// The most bytes of one function's table of values.
const LONGEST_VALUES: usize = 1 << 20;

/// The most calls that are inlined into each other.
const MOST_INLINED: usize = 64;

/// Numbers of tables of a function (`internal/abi/symtab.go`): which inlined call an address is of, and these calls.
const INLINED_INDEX: u64 = 2;
const INLINED_CALLS: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layout {
    Go116,
    Go118,
    Go120,
}

/// The table of one program.
#[derive(Clone, Debug)]
pub(super) struct LineTable {
    layout: Layout,
    /// The size of the smallest instruction: addresses are counted in it.
    quantum: u64,
    count: u64,
    names: u64,
    units: u64,
    files: u64,
    values: u64,
    functions: u64,
    /// Address of the code.
    text: u64,
    /// Address of the tables of inlined calls; 0 if unknown.
    pub(super) calls: u64,
}

/// A function of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) start: u64,
    /// Address of its description.
    at: u64,
}

/// A function and a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) function: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

impl LineTable {
    /// The table at an address; `None` if there is none. `text` is where the code begins, if the table does not say it.
    pub(super) fn read(at: u64, text: Option<u64>, memory: &dyn Memory) -> Option<Self> {
        let magic = memory.read_u32(at)?;
        let (_, layout) = *MAGICS.iter().find(|(known, _)| *known == magic)?;
        let mut rest = [0; 4];
        memory
            .read_all(at.wrapping_add(4), &mut rest)
            .then_some(())?;
        let [0, 0, quantum @ (1 | 4), 8] = rest else {
            return None;
        };
        let word = |n: u64| memory.read_u64(at.wrapping_add(8 + 8 * n));
        let part = |n: u64| Some(at.wrapping_add(word(n)?));
        // Since 1.18 the third word is the start of the code; it is 0 since 1.26.
        let skip = u64::from(layout > Layout::Go116);
        let told = if skip == 1 { word(2)? } else { 0 };
        let text = text.unwrap_or(told);
        let count = word(0)?;
        (count > 0 && count <= MOST_FUNCTIONS && (text != 0 || skip == 0)).then_some(())?;
        Some(Self {
            layout,
            quantum: quantum.into(),
            count,
            names: part(2 + skip)?,
            units: part(3 + skip)?,
            files: part(4 + skip)?,
            values: part(5 + skip)?,
            functions: part(6 + skip)?,
            text: if skip == 1 { text } else { 0 },
            calls: 0,
        })
    }

    /// The start of the function by its number, and the offset of its description.
    fn entry(&self, number: u64, memory: &dyn Memory) -> Option<(u64, u64)> {
        if self.layout == Layout::Go116 {
            let at = self.functions.wrapping_add(16 * number);
            return Some((memory.read_u64(at)?, memory.read_u64(at.wrapping_add(8))?));
        }
        let at = self.functions.wrapping_add(8 * number);
        let start = self.text.wrapping_add(memory.read_u32(at)?.into());
        Some((start, memory.read_u32(at.wrapping_add(4))?.into()))
    }

    /// The function that holds `address`; `None` if it is not in the code that the table is of.
    pub(super) fn function(&self, address: u64, memory: &dyn Memory) -> Option<Function> {
        let start = |number| Some(self.entry(number, memory)?.0);
        // Behind the last entry stands the end of the code.
        if address < start(0)? || address >= start(self.count)? {
            return None;
        }
        let (mut low, mut high) = (0, self.count);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match start(middle)? <= address {
                true => low = middle,
                false => high = middle,
            }
        }
        let (start, offset) = self.entry(low, memory)?;
        Some(Function {
            start,
            at: self.functions.wrapping_add(offset),
        })
    }

    /// A 32-bit word of the description, by its number behind the start of the function.
    fn word(&self, function: Function, number: u64, memory: &dyn Memory) -> Option<u32> {
        let start = if self.layout == Layout::Go116 { 8 } else { 4 };
        memory.read_u32(function.at.wrapping_add(start + 4 * number))
    }

    /// Its name.
    pub(super) fn name(&self, function: Function, memory: &dyn Memory) -> Option<String> {
        self.name_at(self.word(function, 0, memory)?, memory)
    }

    fn name_at(&self, offset: u32, memory: &dyn Memory) -> Option<String> {
        text(self.names.wrapping_add(offset.into()), memory)
    }

    /// Whether it is the first of a stack (`FuncFlagTopFrame`); since Go 1.17.
    pub(super) fn is_outermost(&self, function: Function, memory: &dyn Memory) -> bool {
        let at = u64::from(self.layout == Layout::Go120);
        let flags = self.word(function, 8 + at, memory);
        flags.is_some_and(|word| word >> 8 & 1 == 1)
    }

    /// By how many bytes the stack pointer is below the return address at `address`.
    pub(super) fn frame_size(
        &self,
        function: Function,
        address: u64,
        memory: &dyn Memory,
    ) -> Option<u64> {
        let table = self.word(function, 3, memory)?;
        u64::try_from(self.value(function, table, address, memory)?).ok()
    }

    /// The value of one of the function's tables that holds for `address`: pairs of how much the value and the address grow, both as
    /// varints (`runtime.step`).
    fn value(
        &self,
        function: Function,
        table: u32,
        address: u64,
        memory: &dyn Memory,
    ) -> Option<i32> {
        if table == 0 {
            return None;
        }
        let mut bytes = Varints::new(self.values.wrapping_add(table.into()), memory);
        let (mut value, mut end, mut is_first) = (-1i32, function.start, true);
        loop {
            let grows = bytes.next()?;
            if grows == 0 && !is_first {
                return None;
            }
            is_first = false;
            value = value.wrapping_add((grows >> 1) as i32 ^ -((grows & 1) as i32));
            end = end.wrapping_add(u64::from(bytes.next()?) * self.quantum);
            if address < end {
                return Some(value);
            }
        }
    }

    fn line(&self, function: Function, address: u64, memory: &dyn Memory) -> Option<u32> {
        let value = self.value(function, self.word(function, 5, memory)?, address, memory)?;
        u32::try_from(value).ok()
    }

    fn file(&self, function: Function, address: u64, memory: &dyn Memory) -> Option<String> {
        let number = self.value(function, self.word(function, 4, memory)?, address, memory)?;
        let unit = u64::from(self.word(function, 7, memory)?);
        let place = unit.checked_add(u64::try_from(number).ok()?)?;
        let offset = memory.read_u32(self.units.wrapping_add(4 * place))?;
        (offset != u32::MAX).then(|| text(self.files.wrapping_add(offset.into()), memory))?
    }

    /// Where `address` is in the source: the calls that are inlined there, innermost first, and the function itself.
    pub(super) fn spots(&self, function: Function, address: u64, memory: &dyn Memory) -> Vec<Spot> {
        let mut spots = Vec::new();
        let mut at = address;
        while spots.len() < MOST_INLINED {
            let call = self.inlined(function, at, memory);
            let name = match call {
                Some((name, _)) => self.name_at(name, memory),
                None => self.name(function, memory),
            };
            let Some(name) = name else { break };
            spots.push(Spot {
                function: name,
                file: self.file(function, at, memory),
                line: self.line(function, at, memory),
            });
            match call {
                Some((_, parent)) => at = function.start.wrapping_add(parent.into()),
                None => break,
            }
        }
        spots
    }

    /// The innermost inlined call at an address: the offset of its name, and where in the function the call was.
    fn inlined(&self, function: Function, address: u64, memory: &dyn Memory) -> Option<(u32, u32)> {
        if self.layout == Layout::Go116 || self.calls == 0 {
            return None;
        }
        let tables = u64::from(self.word(function, 6, memory)?);
        (INLINED_INDEX < tables && tables < 64).then_some(())?;
        let head = if self.layout == Layout::Go120 { 10 } else { 9 };
        let counts = self.word(function, head - 1, memory)?;
        let others = u64::from(counts >> 24);
        (INLINED_CALLS < others).then_some(())?;
        let index = self.word(function, head + INLINED_INDEX, memory)?;
        let index = u64::try_from(self.value(function, index, address, memory)?).ok()?;
        let calls = self.word(function, head + tables + INLINED_CALLS, memory)?;
        (calls != u32::MAX).then_some(())?;
        let calls = self.calls.wrapping_add(calls.into());
        let (size, name, parent) = match self.layout {
            Layout::Go120 => (16, 4, 8),
            _ => (20, 12, 16),
        };
        let call = calls.wrapping_add(size * index);
        let word = |at: u64| memory.read_u32(call.wrapping_add(at));
        Some((word(name)?, word(parent)?))
    }
}

/// Where a table of lines begins in `bytes`, at multiples of 8.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let words = bytes.as_chunks::<8>().0;
    let is_head = |word: &[u8; 8]| {
        let [a, b, c, d, 0, 0, 1 | 4, 8] = *word else {
            return false;
        };
        let magic = u32::from_le_bytes([a, b, c, d]);
        MAGICS.iter().any(|(known, _)| *known == magic)
    };
    words.iter().position(is_head).map(|at| 8 * at)
}

fn text(at: u64, memory: &dyn Memory) -> Option<String> {
    let bytes = memory.read_c_string(at, LONGEST_NAME)?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Varints in memory, which is read in pieces.
struct Varints<'a> {
    memory: &'a dyn Memory,
    next: u64,
    piece: Vec<u8>,
    at: usize,
    read: usize,
}

impl<'a> Varints<'a> {
    const PIECE: usize = 256;

    fn new(next: u64, memory: &'a dyn Memory) -> Self {
        Self {
            memory,
            next,
            piece: Vec::new(),
            at: 0,
            read: 0,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        if self.at == self.piece.len() {
            self.piece.resize(Self::PIECE, 0);
            let got = self.memory.read(self.next, &mut self.piece);
            self.piece.truncate(got);
            self.next = self.next.wrapping_add(got as u64);
            self.read += got;
            self.at = 0;
        }
        let byte = *self.piece.get(self.at)?;
        self.at += 1;
        (self.read <= LONGEST_VALUES).then_some(byte)
    }

    fn next(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
