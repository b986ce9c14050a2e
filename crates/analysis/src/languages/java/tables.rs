//! The tables in which HotSpot describes itself (`runtime/vmStructs.hpp`): where fields are in its structures, the sizes of types,
//! constants. The serviceability agent (`jhsdb`) reads the same ones.

use snapshot::Memory;
use std::collections::HashMap;

/// The most entries of a table that are read. There are about 2500.
const MOST: u64 = 1 << 14;

/// The largest entry of a table, in bytes. The largest one has 48.
const LARGEST: u64 = 256;

/// The longest name in a table, in bytes.
const LONGEST_NAME: usize = 128;

/// A field.
pub(super) struct Field {
    /// The address of a static one, else the offset in its structure.
    pub(super) at: u64,
    /// The name of its type.
    pub(super) type_name: String,
}

/// A type of numbers.
struct Number {
    bytes: u64,
    is_signed: bool,
}

/// All tables. Fields are named `JavaThread._anchor`.
pub(super) struct Tables {
    fields: HashMap<String, Field>,
    types: HashMap<String, Number>,
    constants: HashMap<String, i64>,
}

impl Tables {
    /// Reads them. `symbol` tells where a variable of the library is. `None` if there are no tables.
    pub(super) fn read(symbol: &dyn Fn(&str) -> Option<u64>, memory: &dyn Memory) -> Option<Self> {
        let reader = Reader { symbol, memory };
        let fields = reader.fields()?;
        (!fields.is_empty()).then(|| Self {
            fields,
            types: reader.types().unwrap_or_default(),
            constants: reader.constants(),
        })
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }

    pub(super) fn constant(&self, name: &str) -> Option<i64> {
        self.constants.get(name).copied()
    }

    /// The size of a type, in bytes.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.types.get(name).map(|number| number.bytes)
    }

    /// The size of a type of numbers, and whether it is signed. One that is not in the table is an `int`.
    pub(super) fn number(&self, name: &str) -> (u64, bool) {
        let number = self.types.get(name);
        number.map_or((4, true), |number| (number.bytes, number.is_signed))
    }
}

/// An entry of a table.
pub(super) struct Entry(Vec<u8>);

impl Entry {
    /// The one at an address, of so many bytes.
    pub(super) fn read(at: u64, size: u64, memory: &dyn Memory) -> Option<Self> {
        let is_sane = (8..=LARGEST).contains(&size);
        let mut bytes = is_sane.then(|| vec![0; size as usize])?;
        memory.read_all(at, &mut bytes).then_some(Self(bytes))
    }

    pub(super) fn word(&self, at: u64) -> Option<u64> {
        let bytes = self.0.get(usize::try_from(at).ok()?..)?;
        bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    fn int(&self, at: u64) -> Option<u32> {
        let bytes = self.0.get(usize::try_from(at).ok()?..)?;
        bytes.first_chunk().map(|int| u32::from_le_bytes(*int))
    }
}

struct Reader<'a> {
    symbol: &'a dyn Fn(&str) -> Option<u64>,
    memory: &'a dyn Memory,
}

impl Reader<'_> {
    /// The value of a variable of the library, by the end of its name.
    fn variable(&self, name: &str) -> Option<u64> {
        let at = (self.symbol)(&format!("gHotSpotVM{name}"))?;
        self.memory.read_u64(at)
    }

    /// The entries of a table, as long as they have a name, with these names.
    fn entries(&self, table: &str, entry: &str, name: &str) -> Option<Vec<(String, Entry)>> {
        let start = self.variable(table)?;
        let stride = self.variable(&format!("{entry}EntryArrayStride"))?;
        let name = self.variable(&format!("{entry}Entry{name}Offset"))?;
        let entries = (0..MOST).map(|number| start.wrapping_add(number.wrapping_mul(stride)));
        let entries = entries.map_while(|at| Entry::read(at, stride, self.memory));
        let named = |entry: Entry| Some((self.text(entry.word(name)?)?, entry));
        Some(entries.map_while(named).collect())
    }

    fn text(&self, at: u64) -> Option<String> {
        let text = (at != 0).then(|| self.memory.read_c_string(at, LONGEST_NAME))??;
        String::from_utf8(text).ok()
    }

    fn fields(&self) -> Option<HashMap<String, Field>> {
        let offset = |name: &str| self.variable(&format!("StructEntry{name}Offset"));
        let (name, type_name) = (offset("FieldName")?, offset("TypeString")?);
        let (is_static, offset, address) =
            (offset("IsStatic")?, offset("Offset")?, offset("Address")?);
        let field = |(owner, entry): (String, Entry)| {
            let is_static = entry.int(is_static)? != 0;
            let type_name = entry.word(type_name).and_then(|at| self.text(at));
            let field = Field {
                at: entry.word(if is_static { address } else { offset })?,
                type_name: type_name.unwrap_or_default(),
            };
            Some((format!("{owner}.{}", self.text(entry.word(name)?)?), field))
        };
        let entries = self.entries("Structs", "Struct", "TypeName")?;
        Some(entries.into_iter().filter_map(field).collect())
    }

    fn types(&self) -> Option<HashMap<String, Number>> {
        let size = self.variable("TypeEntrySizeOffset")?;
        let is_unsigned = self.variable("TypeEntryIsUnsignedOffset")?;
        let number = |(name, entry): (String, Entry)| {
            let number = Number {
                bytes: entry.word(size)?,
                is_signed: entry.int(is_unsigned)? == 0,
            };
            Some((name, number))
        };
        let entries = self.entries("Types", "Type", "TypeName")?;
        Some(entries.into_iter().filter_map(number).collect())
    }

    fn constants(&self) -> HashMap<String, i64> {
        let short = |entry: &Entry, at| Some(i64::from(entry.int(at)? as i32));
        let long = |entry: &Entry, at| Some(entry.word(at)? as i64);
        let mut constants = self.constants_of("Int", &short).unwrap_or_default();
        constants.extend(self.constants_of("Long", &long).unwrap_or_default());
        constants
    }

    fn constants_of(
        &self,
        kind: &str,
        value: &dyn Fn(&Entry, u64) -> Option<i64>,
    ) -> Option<HashMap<String, i64>> {
        let offset = self.variable(&format!("{kind}ConstantEntryValueOffset"))?;
        let entries = self.entries(
            &format!("{kind}Constants"),
            &format!("{kind}Constant"),
            "Name",
        )?;
        let constant = |(name, entry): (String, Entry)| Some((name, value(&entry, offset)?));
        Some(entries.into_iter().filter_map(constant).collect())
    }
}
