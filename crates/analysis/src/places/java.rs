//! HotSpot, the virtual machine of OpenJDK: where it makes exceptions and where its threads end, and
//! the table in which it tells its own layout (`runtime/vmStructs.cpp`, made for jstack and its
//! like).

use super::elf::Elf;
use super::{Kind, Register, Spot, ThrowPlace, Thrower, exact};
use snapshot::Trail;
use std::collections::HashMap;

/// `JVM_FillInStackTrace(JNIEnv *, jobject exception)`, which every exception's constructor calls.
const MADE: &str = "JVM_FillInStackTrace";
/// `JavaThread::exit(bool, ExitType)`, at which an exception that nobody caught is still pending.
const ENDS: &str = "_ZN10JavaThread4exitEbNS_8ExitTypeE";
/// Points to the table.
const TABLE: &[u8] = b"gHotSpotVMStructs";

/// Of an object's handle: the object; of an object: its class, or half a word that stands for it.
const CLASS_OF_HANDLE: Trail = Trail {
    path: &[0, 8],
    is_half: true,
};

/// An entry of the table (`VMStructEntry` of `runtime/vmStructs.hpp`), in bytes: the type's name,
/// the field's, how far it lies in the type, and the address of one that is static.
const ENTRY: u64 = 48;
const FIELD: u64 = 8;
const OFFSET: u64 = 32;
const ADDRESS: u64 = 40;
/// More entries are not real.
const MOST_ENTRIES: u64 = 4096;

/// Where it is told how HotSpot lays out what it keeps: addresses as the image is linked. The
/// figures are there only when it runs, which is also when they are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HotSpot {
    /// How far in a thread the exception lies that is on its way.
    pub(crate) pending: u64,
    /// How far in a class its name and what it derives from lie.
    pub(crate) class_name: u64,
    pub(crate) class_super: u64,
    /// How far in a name its length and its letters lie.
    pub(crate) name_length: u64,
    pub(crate) name_letters: u64,
    /// What stands for a class in half a word is shifted by this and added to that.
    pub(crate) class_base: u64,
    pub(crate) class_shift: u64,
    /// The same for objects.
    pub(crate) object_base: u64,
    pub(crate) object_shift: u64,
}

/// The places of an image that is HotSpot; in it the symbols of `.symtab` must be left for threads
/// that end.
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
        kind: Some(Kind {
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
        kind: None,
    }
}

/// A field by its type and its name.
type Field<'a> = (&'a [u8], &'a [u8]);

/// The fields that are told: the address of the entry, and that of the field if it is static.
struct Table<'a> {
    fields: HashMap<Field<'a>, (u64, u64)>,
}

impl<'a> Table<'a> {
    /// What the loader will put where: the table has only places for its addresses in the file.
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

    /// Names changed: Java 8 to 11 kept the static ones in `Universe`, up to 20 in structures.
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
