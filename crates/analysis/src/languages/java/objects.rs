//! Objects of Java: their classes, fields and texts (`oops/oop.hpp`, `oops/fieldInfo.hpp`, `classfile/javaClasses.cpp`).

use super::LONGEST_NAME;
use super::compressed::Numbers;
use super::view::View;
use crate::thrown::java::decoded;
use snapshot::Memory;

/// The most superclasses, and the most fields of a class, that are looked at.
const MOST_BASES: usize = 64;
const MOST_FIELDS: u32 = 1 << 12;

/// The largest list of fields, in bytes.
const LARGEST_LIST: u64 = 1 << 17;

/// A field up to Java 20 is six numbers of two bytes: its flags, the numbers of its name and type, its first value, and its offset, with
/// two more bits below it (`FIELDINFO_TAG_SIZE`).
const FIELD: u64 = 12;
const NAME: u64 = 2;
const OFFSET: u64 = 8;
const TAG: u32 = 2;

/// `JVM_ACC_STATIC`: such a field is not in the object.
const STATIC: u32 = 8;

/// Versions since which the first element of an array may follow its length at once, and since which texts may be bytes.
const UNALIGNED_ARRAYS: u32 = 23;
const BYTES_IN_TEXTS: u32 = 9;

impl View<'_> {
    /// The object that a field of a structure of the machine points to, directly or through a handle.
    pub(super) fn object(&self, structure: u64, field: &str) -> Option<u64> {
        let is_handle = self.layout.tables.field(field)?.type_name == "OopHandle";
        let at = self.pointer(structure, field)?;
        let object = if is_handle { self.object_at(at)? } else { at };
        (object != 0).then_some(object)
    }

    /// The object that a whole pointer in the heap or in a handle refers to; `None` if it is null. Others have no marks of collectors.
    pub(super) fn object_at(&self, at: u64) -> Option<u64> {
        let object = self.word(at)?.checked_shr(self.layout.mark_bits)?;
        (object != 0).then_some(object)
    }

    /// The object that a field of an object refers to.
    pub(super) fn object_field(&self, object: u64, name: &str) -> Option<u64> {
        let at = self.field(object, name)?;
        let Some(compression) = self.layout.object else {
            return self.object_at(at);
        };
        let compressed = self.memory.read_u32(at)?;
        (compressed != 0).then(|| compression.whole(compressed))
    }

    pub(super) fn int_field(&self, object: u64, name: &str) -> Option<u32> {
        self.memory.read_u32(self.field(object, name)?)
    }

    pub(super) fn long_field(&self, object: u64, name: &str) -> Option<u64> {
        self.word(self.field(object, name)?)
    }

    /// The address of a field of an object.
    fn field(&self, object: u64, name: &str) -> Option<u64> {
        let class = self.class_of(object)?;
        let offset = self.layout.field(class, name, || {
            self.bases(class).find_map(|class| self.offset(class, name))
        })?;
        Some(object.wrapping_add(offset))
    }

    pub(super) fn class_of(&self, object: u64) -> Option<u64> {
        let is_object = object != 0 && object.is_multiple_of(8);
        let compressed = match (self.layout.has_compact_headers, self.layout.class) {
            _ if !is_object => return None,
            (true, _) => {
                let shift = self.layout.tables.constant("markWord::klass_shift")?;
                let mark = self.pointer(object, "oopDesc._mark")?;
                mark.checked_shr(u32::try_from(shift).ok()?)? as u32
            }
            (false, Some(_)) => {
                let at = self.address(object, "oopDesc._metadata._compressed_klass")?;
                self.memory.read_u32(at)?
            }
            (false, None) => return self.pointer(object, "oopDesc._metadata._klass"),
        };
        Some(self.layout.class?.whole(compressed))
    }

    /// The name of an object's class.
    pub(super) fn class_name_of(&self, object: u64) -> Option<String> {
        self.class_name(self.class_of(object)?)
    }

    /// Whether an object is of a class, or of one that extends it.
    pub(super) fn is_a(&self, object: u64, name: &str) -> bool {
        let class = self.class_of(object);
        let mut bases = class.into_iter().flat_map(|class| self.bases(class));
        bases.any(|class| self.class_name(class).as_deref() == Some(name))
    }

    /// A class and those that it extends.
    fn bases(&self, class: u64) -> impl Iterator<Item = u64> + '_ {
        let base = |class: &u64| {
            self.pointer(*class, "Klass._super")
                .filter(|base| *base != 0)
        };
        std::iter::successors(Some(class), base).take(MOST_BASES)
    }

    /// The offset of a field that a class itself declares.
    fn offset(&self, class: u64, name: &str) -> Option<u64> {
        let constants = self.pointer(class, "InstanceKlass._constants")?;
        let fields = match self.pointer(class, "InstanceKlass._fieldinfo_stream") {
            Some(stream) => self.fields_in_stream(stream),
            None => self.fields_in_array(class),
        };
        let mut fields = fields?.into_iter();
        let is_it =
            |number: u32| self.constant(constants, i64::from(number)).as_deref() == Some(name);
        let found = fields.find(|field| field.flags & STATIC == 0 && is_it(field.name))?;
        Some(u64::from(found.offset))
    }

    fn fields_in_array(&self, class: u64) -> Option<Vec<Field>> {
        let list = self.pointer(class, "InstanceKlass._fields")?;
        let list = self.address(list, "Array<u2>._data")?;
        let count = self.number(class, "InstanceKlass._java_fields_count")?;
        let half = |at: u64| Some(self.memory.read_u32(at)? & 0xffff);
        let field = |number: u32| {
            let at = list.wrapping_add(FIELD * u64::from(number));
            Some(Field {
                flags: half(at)?,
                name: half(at.wrapping_add(NAME))?,
                offset: self.memory.read_u32(at.wrapping_add(OFFSET))? >> TAG,
            })
        };
        let count = u32::try_from(count).ok()?.min(MOST_FIELDS);
        Some((0..count).map_while(field).collect())
    }

    /// Since Java 21.
    fn fields_in_stream(&self, stream: u64) -> Option<Vec<Field>> {
        let start = self.address(stream, "Array<u1>._data")?;
        let end = start.checked_add(LARGEST_LIST)?;
        let mut numbers = Numbers::new(*self, start, end);
        let count = numbers.unsigned()?.min(MOST_FIELDS);
        // The second one is the number of fields that the machine adds.
        numbers.unsigned()?;
        Some(
            (0..count)
                .map_while(|_| self.next_field(&mut numbers))
                .collect(),
        )
    }

    fn next_field(&self, numbers: &mut Numbers) -> Option<Field> {
        let name = numbers.unsigned()?;
        numbers.unsigned()?;
        let offset = numbers.unsigned()?;
        let flags = numbers.unsigned()?;
        let more = numbers.unsigned()?;
        for (optional, usual) in [("initialized", 0), ("generic", 2), ("contended", 4)] {
            let bit = self
                .layout
                .tables
                .constant(&format!("FieldInfo::FieldFlags::_ff_{optional}"));
            let bit = u32::try_from(bit.unwrap_or(usual)).ok()?;
            if more.checked_shr(bit)? & 1 != 0 {
                numbers.unsigned()?;
            }
        }
        Some(Field {
            flags,
            name,
            offset,
        })
    }

    /// The text of a `String`.
    pub(super) fn string(&self, object: u64) -> Option<String> {
        let (length, first) = self.array(self.object_field(object, "value")?)?;
        let has_bytes = self.layout.version >= BYTES_IN_TEXTS;
        let is_wide = !has_bytes || self.int_field(object, "coder")? & 0xff == 1;
        let unit = if has_bytes { 1 } else { 2 };
        let mut letters = vec![0; length.saturating_mul(unit).min(LONGEST_NAME)];
        let is_read = self.memory.read_all(first, &mut letters);
        is_read.then(|| decoded(&letters, is_wide))
    }

    /// How many elements an array has, and where the first one is.
    fn array(&self, array: u64) -> Option<(usize, u64)> {
        let length_at = match (self.layout.has_compact_headers, self.layout.class) {
            (true, _) => 8,
            (false, Some(_)) => 12,
            (false, None) => 16,
        };
        let first = match self.layout.version >= UNALIGNED_ARRAYS {
            true => length_at + 4,
            false => (length_at + 4u64).next_multiple_of(8),
        };
        let length = self.memory.read_u32(array.wrapping_add(length_at))?;
        Some((length as usize, array.wrapping_add(first)))
    }
}

/// A field that a class declares.
struct Field {
    flags: u32,
    /// The number of its name among the constants.
    name: u32,
    offset: u32,
}
