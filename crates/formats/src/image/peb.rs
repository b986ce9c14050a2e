//! The memory in which Windows lists the images and the arguments of a process (`winternl.h`, and
//! the public symbols of `ntdll`). It is on the heap; debuggers need it in dumps without heaps.

use super::wow64;
use snapshot::{Architecture, Detail, Memory, Range, Snapshot, coalesce};
use std::collections::HashSet;

/// The most images of a list; a longer one is damaged or runs in a circle.
const MOST_MODULES: usize = 16_384;

/// The largest environment, in bytes.
const LARGEST_ENVIRONMENT: u64 = 1 << 20;

/// Offsets in `_PEB`, `_PEB_LDR_DATA`, `_LDR_DATA_TABLE_ENTRY` and `_RTL_USER_PROCESS_PARAMETERS`,
/// and how much of each is taken; in bytes.
struct Layout {
    pointer: u64,
    peb: u64,
    loader: (u64, u64),
    parameters: (u64, u64),
    first_module: u64,
    entry: u64,
    module_texts: [u64; 2],
    /// Current folder, path of libraries, program, command line, title of the window, desktop, shell,
    /// data of the C runtime.
    parameter_texts: [u64; 8],
    environment: u64,
    environment_size: u64,
}

const WIDE: Layout = Layout {
    pointer: 8,
    peb: 0x7d0,
    loader: (0x18, 0x58),
    parameters: (0x20, 0x440),
    first_module: 0x10,
    entry: 0x138,
    module_texts: [0x48, 0x58],
    parameter_texts: [0x38, 0x50, 0x60, 0x70, 0xb0, 0xc0, 0xd0, 0xe0],
    environment: 0x80,
    environment_size: 0x3f0,
};

const NARROW: Layout = Layout {
    pointer: 4,
    peb: 0x480,
    loader: (0x0c, 0x30),
    parameters: (0x10, 0x2c0),
    first_module: 0x0c,
    entry: 0xa8,
    module_texts: [0x24, 0x2c],
    parameter_texts: [0x24, 0x30, 0x38, 0x40, 0x70, 0x78, 0x80, 0x88],
    environment: 0x48,
    environment_size: 0x290,
};

/// The ranges of the process environment block, the loader's list, and its texts; unless the dump is
/// limited also the parameters, their texts, and the environment. Where a 32-bit process is shown as a 64-bit one, the same
/// of its program, too.
pub(super) fn ranges(snapshot: &Snapshot, memory: &dyn Memory, detail: Detail) -> Vec<Range> {
    let peb = snapshot.process.peb;
    let ranges = match snapshot.system.architecture {
        Architecture::X86 => of_block(memory, &NARROW, peb, detail),
        _ => {
            let mut ranges = of_block(memory, &WIDE, peb, detail);
            let program = wow64::Narrow::of(snapshot, memory);
            ranges.extend(program.ranges);
            ranges.extend(of_block(memory, &NARROW, program.peb, detail));
            ranges
        }
    };
    coalesce(ranges, 0)
}

/// The same of the block at this address; nothing if it is 0.
fn of_block(memory: &dyn Memory, layout: &'static Layout, peb: u64, detail: Detail) -> Vec<Range> {
    let mut taken = PebMemory {
        memory,
        layout,
        ranges: Vec::new(),
    };
    if peb != 0 {
        taken.add(peb, layout.peb);
        taken.loader(peb);
    }
    if peb != 0 && detail == Detail::All {
        taken.parameters(peb);
    }
    taken.ranges
}

/// The memory of a process, and the ranges of it that were taken.
struct PebMemory<'a> {
    memory: &'a dyn Memory,
    layout: &'static Layout,
    ranges: Vec<Range>,
}

impl PebMemory<'_> {
    fn add(&mut self, start: u64, size: u64) {
        let range = Range::new(start, start.saturating_add(size));
        self.ranges.push(range);
    }

    fn loader(&mut self, peb: u64) {
        let (at, size) = self.layout.loader;
        let Some(loader) = self.pointer(peb, at) else {
            return;
        };
        self.add(loader, size);
        let head = loader.wrapping_add(self.layout.first_module);
        let mut seen = HashSet::new();
        let mut next = self.pointer(head, 0);
        while let Some(entry) = next.filter(|&entry| entry != head) {
            if seen.len() == MOST_MODULES || !seen.insert(entry) {
                break;
            }
            self.add(entry, self.layout.entry);
            let texts = self.layout.module_texts;
            texts.into_iter().for_each(|text| self.text(entry, text));
            next = self.pointer(entry, 0);
        }
    }

    fn parameters(&mut self, peb: u64) {
        let (at, size) = self.layout.parameters;
        if let Some(parameters) = self.pointer(peb, at) {
            self.add(parameters, size);
            let texts = self.layout.parameter_texts;
            texts
                .into_iter()
                .for_each(|text| self.text(parameters, text));
            self.environment(parameters);
        }
    }

    fn environment(&mut self, parameters: u64) {
        let size = self.pointer(parameters, self.layout.environment_size);
        let start = self.pointer(parameters, self.layout.environment);
        if let Some((start, size)) = start.zip(size) {
            self.add(start, size.min(LARGEST_ENVIRONMENT));
        }
    }

    /// Takes the text of a `UNICODE_STRING`: its length in bytes, its capacity, its address.
    fn text(&mut self, base: u64, offset: u64) {
        let at = base.wrapping_add(offset);
        let length = self.memory.read_u32(at).unwrap_or(0) & 0xffff;
        if let Some(buffer) = self.pointer(at, self.layout.pointer) {
            self.add(buffer, length.into());
        }
    }

    /// The pointer at an address; `None` if it is null or cannot be read.
    fn pointer(&self, base: u64, offset: u64) -> Option<u64> {
        let at = base.wrapping_add(offset);
        let pointer = match self.layout.pointer {
            4 => self.memory.read_u32(at)?.into(),
            _ => self.memory.read_u64(at)?,
        };
        (pointer != 0).then_some(pointer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::{OperatingSystem, Process, System};

    /// Memory from 0x1000 on.
    struct Words(Vec<u64>);

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
            let Some(from) = address.checked_sub(0x1000) else {
                return 0;
            };
            let rest = bytes.get(from as usize..).unwrap_or(&[]);
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            got
        }
    }

    #[test]
    fn the_loaders_list_is_followed_once_around() {
        let mut words = vec![0; 512];
        let mut put = |at: usize, value| words[(at - 0x1000) / 8] = value;
        put(0x1018, 0x1100);
        put(0x1110, 0x1200); // the head's first entry,
        put(0x1200, 0x1200); // which loops,
        put(0x1248, 6); // with a name of three letters
        put(0x1250, 0x1f00);
        let snapshot = Snapshot {
            process: Process {
                peb: 0x1000,
                ..Process::default()
            },
            system: System {
                os: OperatingSystem::Windows,
                ..System::default()
            },
            ..Snapshot::default()
        };
        let found = ranges(&snapshot, &Words(words), Detail::All);
        let holds = |address| found.iter().any(|range| range.contains(address));
        assert!(holds(0x1000) && holds(0x1110) && holds(0x1200) && holds(0x1f05));
        assert!(!holds(0x1f06));
    }
}
