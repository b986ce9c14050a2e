//! HotSpot, the virtual machine of OpenJDK: the functions that construct exceptions and that end
//! threads, and the table that describes the layout of its structures (`runtime/vmStructs.cpp`,
//! made for tools such as jstack).

use super::elf::Elf;
use super::{Register, Spot, ThrowPlace, Thrower, TypeKey, exact};
use snapshot::Trail;
use std::collections::HashMap;

/// `JVM_FillInStackTrace(JNIEnv *, jobject exception)`, which every exception's constructor calls.
const MADE: &str = "JVM_FillInStackTrace";
/// `JavaThread::exit(bool, ExitType)`. An uncaught exception is still pending then.
const ENDS: &str = "_ZN10JavaThread4exitEbNS_8ExitTypeE";
/// The symbol of the pointer to the table.
const TABLE: &[u8] = b"gHotSpotVMStructs";

/// From a handle to the object, and from there to the object's compressed class pointer.
const CLASS_OF_HANDLE: Trail = Trail {
    path: &[0, 8],
    is_half: true,
};

/// The size of an entry in the table (`VMStructEntry` of `runtime/vmStructs.hpp`), and the offsets
/// in it of the field's name, of the field's offset in its type, and of the address of a static
/// field; all in bytes. The entry begins with the name of the type.
const ENTRY: u64 = 48;
const FIELD: u64 = 8;
const OFFSET: u64 = 32;
const ADDRESS: u64 = 40;
/// The most entries that are read.
const MOST_ENTRIES: u64 = 4096;

/// Where a running HotSpot keeps the figures of its layout: addresses as the image's file states
/// them. The figures themselves are in the memory of a process only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HotSpot {
    /// Address of: the offset in a thread of its pending exception.
    pub(crate) pending: u64,
    /// Addresses of: the offsets in a class of its name and of its superclass.
    pub(crate) class_name: u64,
    pub(crate) class_super: u64,
    /// Addresses of: the offsets in a name of its length and of its letters.
    pub(crate) name_length: u64,
    pub(crate) name_letters: u64,
    /// Addresses of: the base and the shift of compressed class pointers, which have four bytes.
    /// The pointer is shifted to the left and the base is added.
    pub(crate) class_base: u64,
    pub(crate) class_shift: u64,
    /// The same for compressed object pointers.
    pub(crate) object_base: u64,
    pub(crate) object_shift: u64,
}

/// The places of HotSpot's image; empty for any other. That of threads that end is found only if
/// the image has its `.symtab`.
pub(super) fn places(elf: &Elf) -> Vec<ThrowPlace> {
    let Some(table) = elf.exported(TABLE) else {
        return Vec::new();
    };
    let layout = Table::read(elf, table).and_then(|table| table.layout());
    let argument = |number| Register::of_c(elf.machine, number);
    let spot = |name| exact(elf, name).and_then(|at| elf.spot(at));
    let made = spot(MADE).zip(layout).zip(argument(1));
    let ends = spot(ENDS).zip(layout).zip(argument(0));
    let made = made.map(|((spot, layout), handle)| ThrowPlace {
        type_key: Some(TypeKey {
            register: handle,
            trail: CLASS_OF_HANDLE,
        }),
        ..place(elf, Thrower::JavaMade(layout), spot, handle)
    });
    let ends = ends
        .map(|((spot, layout), thread)| place(elf, Thrower::JavaUncaught(layout), spot, thread));
    made.into_iter().chain(ends).collect()
}

fn place(elf: &Elf, thrower: Thrower, spot: Spot, object: Register) -> ThrowPlace {
    ThrowPlace {
        thrower,
        spot: elf.behind_landing_pad(spot),
        object: Some(object),
        type_key: None,
    }
}

/// A field, by the names of its type and of itself.
type Field<'a> = (&'a [u8], &'a [u8]);

/// The table: for each field the address of its entry, and the field's own address if it is static,
/// else 0.
struct Table<'a> {
    fields: HashMap<Field<'a>, (u64, u64)>,
}

impl<'a> Table<'a> {
    /// Reads the table from the file. There its addresses are not in the table yet but in the
    /// relocations, which tell the loader what to put where.
    fn read(elf: &Elf<'a>, pointer: u64) -> Option<Self> {
        let start = elf.relocated(pointer..pointer + 8).remove(&pointer)?;
        let end = start.checked_add(MOST_ENTRIES * ENTRY)?;
        let words = elf.relocated(start..end);
        let text = |at: u64| elf.text(*words.get(&at)?);
        let entry = |at: u64| {
            let name = (text(at)?, text(at + FIELD)?);
            let address = words.get(&(at + ADDRESS)).copied();
            Some((name, (at, address.unwrap_or(0))))
        };
        let entries = (start..end).step_by(ENTRY as usize).map_while(entry);
        Some(Self {
            fields: entries.collect(),
        })
    }

    /// The layout; `None` if a field is missing. The names of static fields have changed: Java 8 to
    /// 11 have them in `Universe`, versions up to 20 in structures.
    fn layout(&self) -> Option<HotSpot> {
        let field = |class: &str, name: &str| self.find(class, name).map(|(at, _)| at + OFFSET);
        let fixed = |names: [(&str, &str); 3]| {
            let mut found = names
                .iter()
                .filter_map(|(class, name)| self.find(class, name));
            found.next().map(|(_, address)| address)
        };
        Some(HotSpot {
            pending: field("ThreadShadow", "_pending_exception")?,
            class_name: field("Klass", "_name")?,
            class_super: field("Klass", "_super")?,
            name_length: field("Symbol", "_length")?,
            name_letters: field("Symbol", "_body")?,
            class_base: fixed([
                ("CompressedKlassPointers", "_base"),
                ("CompressedKlassPointers", "_narrow_klass._base"),
                ("Universe", "_narrow_klass._base"),
            ])?,
            class_shift: fixed([
                ("CompressedKlassPointers", "_shift"),
                ("CompressedKlassPointers", "_narrow_klass._shift"),
                ("Universe", "_narrow_klass._shift"),
            ])?,
            object_base: fixed([
                ("CompressedOops", "_base"),
                ("CompressedOops", "_narrow_oop._base"),
                ("Universe", "_narrow_oop._base"),
            ])?,
            object_shift: fixed([
                ("CompressedOops", "_shift"),
                ("CompressedOops", "_narrow_oop._shift"),
                ("Universe", "_narrow_oop._shift"),
            ])?,
        })
    }

    fn find(&self, class: &str, name: &str) -> Option<(u64, u64)> {
        let name = (class.as_bytes(), name.as_bytes());
        self.fields.get(&name).copied()
    }
}
