//! Exceptions of Java, by the layout that HotSpot describes itself. Pointers to classes and objects
//! are usually compressed to four bytes; whole pointers are tried too, and the one whose class has
//! a readable name is right.

use super::{LONGEST_MESSAGE, LONGEST_NAME, Thrown, counted_text};
use crate::places::HotSpot;
use snapshot::Memory;

/// The most superclasses that are looked at.
const MOST_BASES: usize = 64;

/// Offset in an object of its class, in bytes.
const CLASS: u64 = 8;
/// The part of an object that is searched for a field, in bytes.
const FIELDS: std::ops::Range<u64> = 12..72;

const STRING: &str = "java.lang.String";
/// The class of arrays of bytes.
const BYTES: &str = "[B";

/// A running HotSpot.
pub(super) struct Machine<'m> {
    memory: &'m dyn Memory,
    pending: u64,
    class_name: u64,
    class_super: u64,
    name_length: u64,
    name_letters: u64,
    class: Compression,
    object: Compression,
}

/// How pointers of one kind are compressed to four bytes.
struct Compression {
    base: u64,
    shift: u32,
}

impl Compression {
    /// The whole pointer.
    fn whole(&self, compressed: u32) -> u64 {
        let shifted = u64::from(compressed).checked_shl(self.shift).unwrap_or(0);
        self.base.wrapping_add(shifted)
    }
}

impl<'m> Machine<'m> {
    /// `bias` is what must be added to an address of HotSpot's file. `None` if the layout cannot be
    /// read.
    pub(super) fn new(layout: &HotSpot, bias: u64, memory: &'m dyn Memory) -> Option<Self> {
        let word = |at: u64| memory.read_u64(at.wrapping_add(bias));
        let half = |base: u64, shift: u64| {
            Some(Compression {
                base: word(base)?,
                shift: memory.read_u32(shift.wrapping_add(bias))?,
            })
        };
        Some(Self {
            memory,
            pending: word(layout.pending)?,
            class_name: word(layout.class_name)?,
            class_super: word(layout.class_super)?,
            name_length: word(layout.name_length)?,
            name_letters: word(layout.name_letters)?,
            class: half(layout.class_base, layout.class_shift)?,
            object: half(layout.object_base, layout.object_shift)?,
        })
    }

    /// The exception that is being constructed, by its compressed class pointer and its handle. It
    /// has no message yet. The class pointer is used first, as the garbage collector may move the
    /// object meanwhile.
    pub(super) fn made(&self, class: u32, handle: u64) -> Option<Thrown> {
        let class = Some(self.class.whole(class)).filter(|class| self.name(*class).is_some());
        let class = class.or_else(|| self.class_of(self.memory.read_u64(handle)?))?;
        Some(Thrown {
            message_varies: false,
            ..self.thrown(class, String::new())?
        })
    }

    /// The uncaught exception that a thread ends by; `None` if it ends without one.
    pub(super) fn uncaught(&self, thread: u64) -> Option<Thrown> {
        let pending = thread.wrapping_add(self.pending);
        let object = self.memory.read_u64(pending).filter(|at| *at != 0)?;
        let message = self.field(object, STRING).and_then(|at| self.string(at));
        self.thrown(self.class_of(object)?, message.unwrap_or_default())
    }

    /// An exception of a class, with its superclasses.
    fn thrown(&self, class: u64, message: String) -> Option<Thrown> {
        let name = self.name(class)?;
        let bases = std::iter::successors(self.base(class), |class| self.base(*class));
        let bases = bases.map_while(|class| self.name(class));
        Some(Thrown {
            bases: bases.take(MOST_BASES).collect(),
            ..Thrown::of(&format!("JAVA.{name}"), message)
        })
    }

    fn class_of(&self, object: u64) -> Option<u64> {
        let word = self.memory.read_u64(object.wrapping_add(CLASS))?;
        let candidates = [word, self.class.whole(word as u32)];
        candidates
            .into_iter()
            .find(|class| self.name(*class).is_some())
    }

    fn base(&self, class: u64) -> Option<u64> {
        let base = self.memory.read_u64(class.wrapping_add(self.class_super))?;
        (base != 0).then_some(base)
    }

    /// The name of a class, `java.lang.Error`; in memory it has slashes. `None` if this is not a
    /// class.
    fn name(&self, class: u64) -> Option<String> {
        let name = self.memory.read_u64(class.wrapping_add(self.class_name))?;
        let length = self.memory.read_u32(name.wrapping_add(self.name_length))? & 0xffff;
        let letters = name.wrapping_add(self.name_letters);
        let name = counted_text(letters, u64::from(length), self.memory)?;
        let is_name = |c: char| !c.is_control() && !c.is_whitespace();
        let is_real = name.chars().all(is_name) && name.len() <= LONGEST_NAME;
        is_real.then(|| name.replace('/', "."))
    }

    /// The first object of that class that a field of `object` points to.
    fn field(&self, object: u64, class: &str) -> Option<u64> {
        FIELDS.step_by(4).find_map(|field| {
            let word = self.memory.read_u64(object.wrapping_add(field))?;
            let mut candidates = [self.object.whole(word as u32), word].into_iter();
            candidates.find(|at| {
                let found = self.class_of(*at).and_then(|class| self.name(class));
                found.as_deref() == Some(class)
            })
        })
    }

    /// The text of a `String`. Its bytes are Latin-1, or UTF-16 if they must be. A byte of the
    /// object tells which: at offset 16 if the array's pointer is behind it (Java 15 and later),
    /// else at 20.
    fn string(&self, object: u64) -> Option<String> {
        const LENGTH: u64 = 12;
        const FIRST: u64 = 16;
        let array = self.field(object, BYTES)?;
        let length = self.memory.read_u32(array.wrapping_add(LENGTH))? as usize;
        let mut bytes = vec![0; length.min(LONGEST_MESSAGE)];
        let is_there = self.memory.read_all(array.wrapping_add(FIRST), &mut bytes);
        let first = self.memory.read_u32(object.wrapping_add(LENGTH))?;
        let coder = if self.object.whole(first) == array {
            20
        } else {
            16
        };
        let coder = self.memory.read_u32(object.wrapping_add(coder))? & 0xff;
        is_there.then(|| decoded(&bytes, coder == 1))
    }
}

/// The text of Latin-1 or UTF-16.
pub(crate) fn decoded(bytes: &[u8], is_wide: bool) -> String {
    if !is_wide {
        return bytes.iter().map(|byte| char::from(*byte)).collect();
    }
    let units = bytes.as_chunks::<2>().0.iter();
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16_lossy(&units)
}
