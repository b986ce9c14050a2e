//! What a process's own loader knows: arguments, environment, modules and heaps, read from its
//! process environment block (PEB).
//!
//! It is read from memory where a hostile program may write what it likes, so every length and
//! every list is bounded. Offsets are those of `winternl.h` and of the public symbols of `ntdll`
//! (`_PEB`, `_PEB_LDR_DATA`, `_LDR_DATA_TABLE_ENTRY`, `_RTL_USER_PROCESS_PARAMETERS`).

use snapshot::{Memory, Module, Range};
use std::collections::HashSet;

/// How many modules are read at most: a longer list is a loop or garbage.
const MOST_MODULES: usize = 16_384;
/// How many heaps are read at most.
const MOST_HEAPS: u32 = 1024;
/// How many bytes of an environment are read at most.
const LARGEST_ENVIRONMENT: usize = 1 << 20;

/// The process environment block of a process.
pub(crate) struct Peb<'m> {
    memory: &'m dyn Memory,
    layout: &'static Layout,
    address: u64,
}

/// The size of a pointer, and the offsets of fields, in bytes.
struct Layout {
    pointer: u64,
    loader: u64,
    parameters: u64,
    heap_count: u64,
    heaps: u64,
    command_line: u64,
    environment: u64,
    environment_size: u64,
    first_module: u64,
    module_base: u64,
    module_size: u64,
    module_path: u64,
}

const WIDE: Layout = Layout {
    pointer: 8,
    loader: 0x18,
    parameters: 0x20,
    heap_count: 0xe8,
    heaps: 0xf0,
    command_line: 0x70,
    environment: 0x80,
    environment_size: 0x3f0,
    first_module: 0x10,
    module_base: 0x30,
    module_size: 0x40,
    module_path: 0x48,
};

const NARROW: Layout = Layout {
    pointer: 4,
    loader: 0x0c,
    parameters: 0x10,
    heap_count: 0x88,
    heaps: 0x90,
    command_line: 0x40,
    environment: 0x48,
    environment_size: 0x290,
    first_module: 0x0c,
    module_base: 0x18,
    module_size: 0x20,
    module_path: 0x24,
};

impl<'m> Peb<'m> {
    /// The block of a 64-bit process.
    pub(crate) fn wide(memory: &'m dyn Memory, address: u64) -> Self {
        Self {
            memory,
            layout: &WIDE,
            address,
        }
    }

    /// The block of a 32-bit process.
    pub(crate) fn narrow(memory: &'m dyn Memory, address: u64) -> Self {
        Self {
            layout: &NARROW,
            ..Self::wide(memory, address)
        }
    }

    /// Reads the command line as one text.
    pub(crate) fn command_line(&self) -> Option<String> {
        let parameters = self.pointer(self.address + self.layout.parameters)?;
        self.text(parameters + self.layout.command_line)
    }

    /// Reads the environment, as `NAME=value` each.
    pub(crate) fn environment(&self) -> Vec<String> {
        self.environment_units()
            .map_or(Vec::new(), |units| split_environment(&units))
    }

    /// Reads the modules in the order in which they were loaded; the program is the first.
    pub(crate) fn modules(&self) -> Vec<Module> {
        let Some(loader) = self.pointer(self.address + self.layout.loader) else {
            return Vec::new();
        };
        let head = loader + self.layout.first_module;
        let mut seen = HashSet::new();
        let mut modules = Vec::new();
        let mut next = self.pointer(head);
        while let Some(entry) = next.filter(|&at| at != head && at != 0) {
            if modules.len() == MOST_MODULES || !seen.insert(entry) {
                break;
            }
            modules.extend(self.module(entry));
            next = self.pointer(entry);
        }
        modules
    }

    /// Reads the addresses of the heaps.
    pub(crate) fn heaps(&self) -> Vec<u64> {
        let count = self.memory.read_u32(self.address + self.layout.heap_count);
        let list = self.pointer(self.address + self.layout.heaps);
        let (Some(count), Some(list)) = (count, list) else {
            return Vec::new();
        };
        let slots = (0..u64::from(count.min(MOST_HEAPS))).map(|n| list + n * self.layout.pointer);
        slots.filter_map(|slot| self.pointer(slot)).collect()
    }

    fn module(&self, entry: u64) -> Option<Module> {
        let base = self.pointer(entry + self.layout.module_base)?;
        let size = self.memory.read_u32(entry + self.layout.module_size)?;
        (base != 0).then(|| Module {
            range: Range::new(base, base.saturating_add(size.into())),
            path: self
                .text(entry + self.layout.module_path)
                .unwrap_or_default(),
            ..Module::default()
        })
    }

    fn environment_units(&self) -> Option<Vec<u16>> {
        let parameters = self.pointer(self.address + self.layout.parameters)?;
        let at = self.pointer(parameters + self.layout.environment)?;
        let size = self.pointer(parameters + self.layout.environment_size)?;
        let size = match size as usize {
            0 => LARGEST_ENVIRONMENT,
            size => size.min(LARGEST_ENVIRONMENT),
        };
        let mut bytes = vec![0; size];
        let got = self.memory.read(at, &mut bytes);
        Some(units(&bytes[..got]))
    }

    /// Reads a `UNICODE_STRING`: length in bytes, capacity in bytes, pointer.
    fn text(&self, at: u64) -> Option<String> {
        let length = self.memory.read_u32(at)? as u16;
        let buffer = self.pointer(at + self.layout.pointer)?;
        let mut bytes = vec![0; length.into()];
        let got = self.memory.read(buffer, &mut bytes);
        Some(String::from_utf16_lossy(&units(&bytes[..got])))
    }

    fn pointer(&self, at: u64) -> Option<u64> {
        match self.layout.pointer {
            4 => self.memory.read_u32(at).map(u64::from),
            _ => self.memory.read_u64(at),
        }
    }
}

fn units(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.as_chunks().0.iter();
    pairs.map(|pair| u16::from_le_bytes(*pair)).collect()
}

/// Splits texts that end with a NUL each, up to an empty one.
fn split_environment(units: &[u16]) -> Vec<String> {
    units
        .split(|&unit| unit == 0)
        .take_while(|text| !text.is_empty())
        .map(String::from_utf16_lossy)
        .collect()
}

/// Splits a command line as the C runtime does (Microsoft's "Parsing C command-line arguments"):
/// blanks separate, quotes keep together, and a backslash is special before a quote only.
pub(crate) fn split_command_line(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut rest = line.trim_start();
    if let Some((program, after)) = split_program(rest) {
        arguments.push(program.to_owned());
        rest = after.trim_start();
    }
    while !rest.is_empty() {
        let (argument, after) = split_argument(rest);
        arguments.push(argument);
        rest = after.trim_start();
    }
    arguments
}

/// Splits the program's name off, which has no escapes; `None` if the line is empty.
pub(crate) fn split_program(line: &str) -> Option<(&str, &str)> {
    if line.is_empty() {
        return None;
    }
    match line.strip_prefix('"') {
        Some(quoted) => Some(quoted.split_once('"').unwrap_or((quoted, ""))),
        None => {
            let end = line.find([' ', '\t']).unwrap_or(line.len());
            Some(line.split_at(end))
        }
    }
}

fn split_argument(line: &str) -> (String, &str) {
    let mut argument = String::new();
    let mut quoted = false;
    let mut letters = line.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ' ' | '\t' if !quoted => return (argument, &line[at..]),
            '\\' => {
                let run = line[at..].bytes().take_while(|&b| b == b'\\').count();
                letters.by_ref().take(run - 1).for_each(drop);
                let before_quote = line[at + run..].starts_with('"');
                let kept = if before_quote { run / 2 } else { run };
                argument.extend(std::iter::repeat_n('\\', kept));
                if before_quote && run % 2 == 1 {
                    argument.push('"');
                    letters.next();
                }
            }
            '"' if quoted && line[at + 1..].starts_with('"') => {
                argument.push('"');
                letters.next();
            }
            '"' => quoted = !quoted,
            other => argument.push(other),
        }
    }
    (argument, "")
}

#[cfg(test)]
mod tests {
    use super::split_command_line;

    #[test]
    fn command_lines_come_apart_as_the_c_runtime_does_it() {
        let parts = |line| split_command_line(line);
        assert_eq!(
            parts(r#""C:\a b\x.exe" -ap "My Pool" c"#),
            [r"C:\a b\x.exe", "-ap", "My Pool", "c"]
        );
        assert_eq!(
            parts(r#"x "a\\" b\"c d\e """#),
            ["x", r"a\", r#"b"c"#, r"d\e", ""]
        );
        assert_eq!(parts(r#"x "a""b""#), ["x", r#"a"b"#]);
        assert_eq!(parts(""), Vec::<String>::new());
        assert_eq!(parts(r#"x a\\\"b"#), ["x", r#"a\"b"#]);
    }
}
