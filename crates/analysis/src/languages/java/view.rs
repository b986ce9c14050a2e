//! What a virtual machine tells of itself, and reading by it.

use super::counted::Counted;
use super::remembered::Remembered;
use super::tables::{Entry, Tables};
use super::{LONGEST_NAME, LanguageFrame};
use snapshot::Memory;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

/// The most flags that are looked at. There are about 1500.
const MOST_FLAGS: u64 = 1 << 13;

/// Flags that tell how objects are kept, and the version since which there is the last of them.
const FLAGS: [&str; 4] = [
    "UseCompressedOops",
    "UseCompressedClassPointers",
    "UseZGC",
    "UseCompactObjectHeaders",
];
const COMPACT_HEADERS: u32 = 24;

/// Which version it is, and how it keeps things.
pub(crate) struct Layout {
    pub(super) tables: Tables,
    /// 17; 0 if it is not known.
    pub(super) version: u32,
    /// How pointers to objects, and to classes, are kept in objects; `None` if they are whole.
    pub(super) object: Option<Compression>,
    pub(super) class: Option<Compression>,
    /// Whether the class is in the first word of an object.
    pub(super) has_compact_headers: bool,
    /// By how much an object's pointer is shifted where a collector keeps marks in it (generational ZGC).
    pub(super) mark_bits: u32,
    reads: AtomicU64,
    spots: Remembered<(u64, i64), Option<LanguageFrame>>,
    fields: Remembered<(u64, String), Option<u64>>,
}

/// How pointers are compressed to four bytes: shifted to the right after the base was taken away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compression {
    pub(super) base: u64,
    pub(super) shift: u32,
}

impl Compression {
    pub(super) fn whole(self, compressed: u32) -> u64 {
        let shifted = u64::from(compressed).checked_shl(self.shift);
        self.base.wrapping_add(shifted.unwrap_or(0))
    }
}

impl Layout {
    /// Reads it by the tables.
    pub(super) fn read(tables: Tables, memory: &dyn Memory) -> Self {
        let mut layout = Self {
            tables,
            version: 0,
            object: None,
            class: None,
            has_compact_headers: false,
            mark_bits: 0,
            reads: AtomicU64::new(0),
            spots: Remembered::new(),
            fields: Remembered::new(),
        };
        layout.version = version(layout.view(memory)).unwrap_or(0);
        layout.read_objects(memory);
        layout
    }

    /// Reads how objects are kept.
    fn read_objects(&mut self, memory: &dyn Memory) {
        let view = self.view(memory);
        let count = if self.version < COMPACT_HEADERS { 3 } else { 4 };
        let flags = view.flags(&FLAGS[..count]);
        let [objects, classes, zgc, compact_headers] = FLAGS.map(|name| flags.get(name).copied());
        let object = view.compression("CompressedOops", "oop");
        let class = view.compression("CompressedKlassPointers", "klass");
        let mark_bits = view.mark_bits();
        self.object = object.filter(|_| objects == Some(true));
        self.class = class.filter(|_| classes != Some(false));
        self.has_compact_headers = compact_headers == Some(true);
        self.mark_bits = mark_bits.filter(|_| zgc == Some(true)).unwrap_or(0);
    }

    /// It with the memory of its process.
    pub(super) fn view<'a>(&'a self, memory: &'a dyn Memory) -> View<'a> {
        let reads = &self.reads;
        View {
            layout: self,
            memory: Counted { memory, reads },
        }
    }

    /// What is known of a place in a method.
    pub(super) fn spot(
        &self,
        place: (u64, i64),
        find: impl FnOnce() -> Option<LanguageFrame>,
    ) -> Option<LanguageFrame> {
        self.spots.get(place, find)
    }

    /// The offset of a field of a class.
    pub(super) fn field(
        &self,
        class: u64,
        name: &str,
        find: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        self.fields.get((class, name.to_owned()), find)
    }
}

/// The machine of Java 8, which alone has one heap of code, is the 25th by its own count.
fn version(view: View) -> Option<u32> {
    match view.has("CodeCache._heap") {
        true => Some(8),
        false => u32::try_from(view.static_number("Abstract_VM_Version._vm_major_version")?).ok(),
    }
}

/// What a machine tells of itself, and the memory of its process.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(super) layout: &'a Layout,
    pub(super) memory: Counted<'a>,
}

impl View<'_> {
    pub(super) fn word(&self, at: u64) -> Option<u64> {
        self.memory.read_u64(at)
    }

    pub(super) fn text(&self, at: u64) -> Option<String> {
        let text = self.memory.read_c_string(at, LONGEST_NAME)?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// The address of a field of a structure.
    pub(super) fn address(&self, structure: u64, field: &str) -> Option<u64> {
        let field = self.layout.tables.field(field)?;
        Some(structure.wrapping_add(field.at))
    }

    /// A pointer in a structure.
    pub(super) fn pointer(&self, structure: u64, field: &str) -> Option<u64> {
        self.word(self.address(structure, field)?)
    }

    /// The same, where older or newer versions have the field in another structure or by another name: the first that there is.
    pub(super) fn pointer_of(&self, structure: u64, fields: &[&str]) -> Option<u64> {
        let mut known = fields.iter().filter(|name| self.has(name));
        self.pointer(structure, known.next()?)
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.layout.tables.field(field).is_some()
    }

    /// A number in a structure, of the size that the table tells.
    pub(super) fn number(&self, structure: u64, field: &str) -> Option<i64> {
        let field = self.layout.tables.field(field)?;
        self.number_at(structure.wrapping_add(field.at), &field.type_name)
    }

    fn number_at(&self, at: u64, type_name: &str) -> Option<i64> {
        let (bytes, is_signed) = self.layout.tables.number(type_name);
        let mut word = [0; 8];
        let part = word.get_mut(..usize::try_from(bytes).ok()?)?;
        self.memory.read_all(at, part).then_some(())?;
        let unused = 64 - 8 * (bytes as u32).max(1);
        let value = u64::from_le_bytes(word);
        Some(match is_signed {
            true => ((value << unused) as i64) >> unused,
            false => value as i64,
        })
    }

    /// A pointer or a long in a static field.
    pub(super) fn static_word(&self, field: &str) -> Option<u64> {
        self.word(self.layout.tables.field(field)?.at)
    }

    pub(super) fn static_number(&self, field: &str) -> Option<i64> {
        self.number(0, field)
    }

    /// The size of a structure, in bytes.
    pub(super) fn size(&self, structure: &str) -> Option<u64> {
        self.layout.tables.size(structure)
    }

    /// The values of flags of the command line.
    fn flags(&self, names: &[&'static str]) -> HashMap<&'static str, bool> {
        let table = || {
            let first = self.static_word("JVMFlag.flags")?;
            let count = self.static_word("JVMFlag.numFlags")?;
            Some((first, count.min(MOST_FLAGS), self.size("JVMFlag")?))
        };
        let (first, count, size) = table().unwrap_or_default();
        let field = |name: &str| self.layout.tables.field(name).map(|field| field.at);
        let flags = (0..count).map(|number| first.wrapping_add(number.wrapping_mul(size)));
        let flags = flags.map_while(|at| Entry::read(at, size, &self.memory));
        let wanted = flags.filter_map(|flag| {
            let name = self.text(flag.word(field("JVMFlag._name")?)?)?;
            let name = names.iter().find(|wanted| **wanted == name)?;
            let value = self.number_at(flag.word(field("JVMFlag._addr")?)?, "u1")?;
            Some((*name, value != 0))
        });
        wanted.take(names.len()).collect()
    }

    /// The static fields have moved: 8 to 11 have them in `Universe`, versions up to 22 in a structure.
    fn compression(&self, class: &str, kind: &str) -> Option<Compression> {
        let fixed = |part: &str| {
            let names = [
                format!("{class}._{part}"),
                format!("{class}._narrow_{kind}._{part}"),
                format!("Universe._narrow_{kind}._{part}"),
            ];
            names.into_iter().find(|name| self.has(name))
        };
        Some(Compression {
            base: self.static_word(&fixed("base")?)?,
            shift: u32::try_from(self.static_number(&fixed("shift")?)?).ok()?,
        })
    }

    fn mark_bits(&self) -> Option<u32> {
        let globals = self.static_word("ZGlobalsForVMStructs._instance_p")?;
        let shift = self.pointer(globals, "ZGlobalsForVMStructs._ZPointerLoadShift")?;
        u32::try_from(self.word(shift)?).ok()
    }
}
