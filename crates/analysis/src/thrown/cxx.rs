//! C++ types by their `std::type_info` (Itanium C++ ABI §2.9, "Run-Time Type Information"; the same
//! in libstdc++ and libc++abi), and the messages of the standard library's exceptions.

use super::{LONGEST_MESSAGE, LONGEST_NAME, Thrown, text};
use snapshot::Memory;
use std::collections::{BTreeSet, VecDeque};

/// The most base classes that are looked at.
const MOST_BASES: usize = 64;

/// A C++ exception by the address of its `std::type_info`. `object` is the address of the thrown
/// object, or 0 if only the type is known. `None` if there is no `type_info`. Needs about ten reads
/// for each class in the hierarchy.
///
/// There is a message if the object derives from `std::logic_error` or `std::runtime_error`
/// (`what()` itself cannot be called), or is a text or a number: that of `throw 42` is `42`.
pub fn cxx(type_info: u64, object: u64, memory: &dyn Memory) -> Option<Thrown> {
    let mangled = mangled(type_info, memory)?;
    let hierarchy = hierarchy(type_info, object, memory);
    let found = message_of(&mangled, object, &hierarchy);
    let message = found.and_then(|(type_, object, _)| type_.message(object?, memory));
    Some(Thrown {
        message: message.unwrap_or_default(),
        ..thrown(&mangled, &hierarchy, found.is_some())
    })
}

/// What all throws of one C++ type have in common, so that the next one needs about two reads.
#[derive(Clone, Debug)]
pub struct CxxType {
    /// A throw of the type, without its message.
    thrown: Thrown,
    /// Which message objects of the type have, and how far from their beginning.
    message: Option<(MessageType, u64)>,
}

impl CxxType {
    /// The type with this `std::type_info`, of which `object` is one. `None` if where the message is differs between
    /// objects, or is not known.
    pub fn of(type_info: u64, object: u64, memory: &dyn Memory) -> Option<Self> {
        let mangled = mangled(type_info, memory)?;
        let hierarchy = hierarchy(type_info, object, memory);
        let message = match message_of(&mangled, object, &hierarchy) {
            Some((type_, Some(part), true)) => Some((type_, part.wrapping_sub(object))),
            Some(_) => return None,
            None => None,
        };
        let thrown = thrown(&mangled, &hierarchy, message.is_some());
        Some(Self { thrown, message })
    }

    /// The throw of an object of the type.
    pub fn thrown(&self, object: u64, memory: &dyn Memory) -> Thrown {
        let message = self
            .message
            .and_then(|(type_, offset)| type_.message(object.wrapping_add(offset), memory));
        Thrown {
            message: message.unwrap_or_default(),
            ..self.thrown.clone()
        }
    }
}

/// A throw of a type, without its message.
fn thrown(mangled: &str, hierarchy: &[Base], message_varies: bool) -> Thrown {
    let bases = hierarchy.iter().map(|base| readable(&base.mangled));
    Thrown {
        name: format!("CXX.{}", readable(mangled)),
        bases: bases.collect(),
        message: String::new(),
        message_varies,
    }
}

/// Which message an object has, in which part of it, and whether that is at the same distance in each object.
fn message_of(
    mangled: &str,
    object: u64,
    hierarchy: &[Base],
) -> Option<(MessageType, Option<u64>, bool)> {
    let own = [(mangled, Some(object), true)].into_iter();
    let bases = hierarchy.iter();
    let bases = bases.map(|base| (base.mangled.as_str(), base.object, base.is_fixed));
    own.chain(bases)
        .find_map(|(name, object, is_fixed)| Some((MessageType::of(name)?, object, is_fixed)))
}

/// The same at libstdc++'s probe `rethrow`.
///
/// If the exception came by a `std::exception_ptr`, the probe passes the object's address instead
/// of the type's. That of the type is in the header before the object (`__cxa_exception` of
/// `unwind-cxx.h`, 0x70 bytes on 64-bit systems).
pub(super) fn rethrown(type_info: u64, object: u64, memory: &dyn Memory) -> Option<Thrown> {
    let is_told = type_info != object;
    let header = || memory.read_u64(object.wrapping_sub(0x70));
    cxx(if is_told { type_info } else { header()? }, object, memory)
}

/// Whether a `throw;` is the one by which `std::terminate` finds out what to print of an exception
/// that nobody catches: the exception has found no handler, so that none is in its header
/// (`catchTemp`, which `__gxx_personality_v0` fills in as soon as it has found one).
pub fn is_of_terminate(type_info: Option<u64>, object: u64, memory: &dyn Memory) -> bool {
    let is_own = type_info != Some(object);
    is_own && memory.read_u64(object.wrapping_sub(0x30)) == Some(0)
}

/// A base class of the thrown object.
struct Base {
    mangled: String,
    /// The address of that part of the object; `None` if it is not known.
    object: Option<u64>,
    /// Whether that part is at the same distance in each object: it is no virtual base.
    is_fixed: bool,
}

/// All base classes, nearest first, each of them once. A program may say of a class that it has itself as its base, many
/// times: no `type_info` is read twice, and of all of them together [`MOST_BASES`] entries.
fn hierarchy(type_info: u64, object: u64, memory: &dyn Memory) -> Vec<Base> {
    let mut found: Vec<Base> = Vec::new();
    let object = (object != 0).then_some(object);
    let mut seen = BTreeSet::new();
    let mut left = MOST_BASES;
    let mut ahead: VecDeque<Part> = bases(type_info, object, memory, &mut left).into();
    while let Some((type_info, object, is_fixed)) = ahead.pop_front() {
        if !seen.insert(type_info) {
            continue;
        }
        let Some(mangled) = mangled(type_info, memory) else {
            continue;
        };
        let bases = bases(type_info, object, memory, &mut left).into_iter();
        ahead.extend(bases.map(|(base, object, fixed)| (base, object, fixed && is_fixed)));
        if found.iter().all(|base| base.mangled != mangled) {
            found.push(Base {
                mangled,
                object,
                is_fixed,
            });
        }
    }
    found
}

/// A base class: the addresses of its `type_info` and of its part of the object, and whether that part is at the same
/// distance in each object.
type Part = (u64, Option<u64>, bool);

/// The direct base classes, of which so many are `left` to be read.
fn bases(type_info: u64, object: Option<u64>, memory: &dyn Memory, left: &mut usize) -> Vec<Part> {
    let word = |at: u64| memory.read_u64(type_info.wrapping_add(at));
    let found: Vec<Part> = match shape(type_info, memory).filter(|_| *left > 0) {
        Some(Shape::OneBase) => word(16)
            .map(|base| (base, object, true))
            .into_iter()
            .collect(),
        Some(Shape::ManyBases) => {
            let count = memory.read_u32(type_info.wrapping_add(20)).unwrap_or(0);
            let base = |n: u64| {
                let offset_flags = word(32 + 16 * n)?;
                let part = part(object, offset_flags, memory);
                Some((word(24 + 16 * n)?, part, offset_flags & VIRTUAL == 0))
            };
            let count = u64::from(count).min(*left as u64);
            (0..count).map_while(base).collect()
        }
        None => Vec::new(),
    };
    *left -= found.len();
    found
}

/// The flag of a virtual base (`__base_class_type_info`).
const VIRTUAL: u64 = 1;

/// The address of a base class's part of an object. `offset_flags` holds its offset, or for a
/// virtual base where in the object's vtable the offset is.
fn part(object: Option<u64>, offset_flags: u64, memory: &dyn Memory) -> Option<u64> {
    let offset = offset_flags as i64 >> 8;
    if offset_flags & VIRTUAL == 0 {
        return Some(object?.wrapping_add_signed(offset));
    }
    let vtable = memory.read_u64(object?)?;
    let offset = memory.read_u64(vtable.wrapping_add_signed(offset))?;
    Some(object?.wrapping_add(offset))
}

/// The form of a `type_info`'s fields behind its name.
enum Shape {
    OneBase,
    ManyBases,
}

/// The form of a `type_info`; `None` for a class without bases. A `type_info` has a vtable, and
/// before the vtable is the address of its class's own `type_info`. So the class is known by its
/// name without symbols, in static and stripped programs too.
fn shape(type_info: u64, memory: &dyn Memory) -> Option<Shape> {
    let vtable = memory.read_u64(type_info)?;
    let class = memory.read_u64(vtable.wrapping_sub(8))?;
    match mangled(class, memory)?.as_str() {
        "N10__cxxabiv120__si_class_type_infoE" => Some(Shape::OneBase),
        "N10__cxxabiv121__vmi_class_type_infoE" => Some(Shape::ManyBases),
        _ => None,
    }
}

/// The mangled name in a `type_info`: `St13runtime_error`; `None` if there is none. A `*` before it
/// marks a local type (of an unnamed namespace or of a function).
fn mangled(type_info: u64, memory: &dyn Memory) -> Option<String> {
    let address = memory.read_u64(type_info.wrapping_add(8))?;
    let name = text(address, LONGEST_NAME, memory)?;
    let name = name.strip_prefix('*').unwrap_or(&name);
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    is_name.then(|| name.to_owned())
}

/// A type demangled, without the namespaces that standard libraries add for the version of their
/// ABI.
fn readable(mangled: &str) -> String {
    let readable = crate::demangle(&format!("_ZTI{mangled}"));
    match readable.strip_prefix("typeinfo for ") {
        Some(name) => ["__cxx11::", "[abi:cxx11]", "__1::"]
            .iter()
            .fold(name.to_owned(), |name, version| name.replace(version, "")),
        None => mangled.to_owned(),
    }
}

/// The types whose messages can be read.
#[derive(Clone, Copy, Debug)]
enum MessageType {
    /// The standard library's errors, which keep the address of a text behind that of the vtable.
    Error,
    /// `char const*`.
    Text,
    /// `std::string` of libstdc++: an address and a length.
    String,
    /// A signed integer of that many bytes.
    Signed(usize),
    /// An unsigned integer of that many bytes.
    Unsigned(usize),
}

impl MessageType {
    fn of(mangled: &str) -> Option<Self> {
        Some(match mangled {
            "St11logic_error" | "St13runtime_error" => MessageType::Error,
            "PKc" | "Pc" => MessageType::Text,
            "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE" => MessageType::String,
            "s" => MessageType::Signed(2),
            "i" => MessageType::Signed(4),
            "l" | "x" => MessageType::Signed(8),
            "b" | "h" => MessageType::Unsigned(1),
            "t" => MessageType::Unsigned(2),
            "j" => MessageType::Unsigned(4),
            "m" | "y" => MessageType::Unsigned(8),
            _ => return None,
        })
    }

    fn message(self, object: u64, memory: &dyn Memory) -> Option<String> {
        let word = |at: u64| memory.read_u64(object.wrapping_add(at));
        match self {
            MessageType::Error => text(word(8)?, LONGEST_MESSAGE, memory),
            MessageType::Text => text(word(0)?, LONGEST_MESSAGE, memory),
            MessageType::String => {
                let length = usize::try_from(word(8)?).ok()?;
                text(word(0)?, length.min(LONGEST_MESSAGE), memory)
            }
            MessageType::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                let value = number(object, size, memory)? as i64;
                Some(((value << unused) >> unused).to_string())
            }
            MessageType::Unsigned(size) => Some(number(object, size, memory)?.to_string()),
        }
    }
}

fn number(address: u64, size: usize, memory: &dyn Memory) -> Option<u64> {
    let mut bytes = [0; 8];
    let is_read = memory.read_all(address, &mut bytes[..size]);
    is_read.then(|| u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words at 0x1000, of which each may be an address within.
    struct Words(Vec<u64>);

    impl Memory for Words {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            let bytes: Vec<u8> = self.0.iter().flat_map(|w| w.to_le_bytes()).collect();
            let at = address.checked_sub(0x1000).unwrap_or(u64::MAX) as usize;
            let from = bytes.get(at..).unwrap_or_default();
            let count = from.len().min(buf.len());
            buf[..count].copy_from_slice(&from[..count]);
            count
        }
    }

    fn letters(text: &str) -> Vec<u64> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(text.len().next_multiple_of(8) + 8, 0);
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|c| u64::from_le_bytes(*c))
            .collect()
    }

    #[test]
    fn names_lose_the_versions_of_their_libraries() {
        for (mangled, name) in [
            ("i", "int"),
            ("PKc", "char const*"),
            ("St13runtime_error", "std::runtime_error"),
            (
                "NSt10filesystem7__cxx1116filesystem_errorE",
                "std::filesystem::filesystem_error",
            ),
            ("NSt3__112bad_weak_ptrE", "std::bad_weak_ptr"),
            ("N12_GLOBAL__N_13FooE", "(anonymous namespace)::Foo"),
            ("Z4mainE5Local", "main::Local"),
            ("no!", "no!"),
        ] {
            assert_eq!(readable(mangled), name);
        }
    }

    #[test]
    fn a_type_that_derives_from_itself_ends() {
        // The type_info at 0x1008 is of the class that it describes, and its own base.
        let mut words = vec![0x1008, 0x1008, 0x1020, 0x1008];
        words.extend(letters("N10__cxxabiv120__si_class_type_infoE"));
        let told = cxx(0x1008, 0, &Words(words)).unwrap();
        assert_eq!(told.name, "CXX.__cxxabiv1::__si_class_type_info");
        assert_eq!(told.bases, ["__cxxabiv1::__si_class_type_info"]);
    }

    /// Memory that counts how often it is read.
    struct Counted(Words, std::sync::atomic::AtomicUsize);

    impl Memory for Counted {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.read(address, buf)
        }
    }

    /// Two such programs kept both processors of a machine busy for seconds.
    #[test]
    fn n31_a_type_that_has_itself_as_a_base_many_times_is_read_once() {
        const BASES: u64 = 100;
        let name = 0x1020 + BASES * 16;
        let mut words = vec![0x1008, 0x1008, name, 60_000 << 32 | 3];
        words.extend((0..BASES).flat_map(|_| [0x1008, 2]));
        words.extend(letters("N10__cxxabiv121__vmi_class_type_infoE"));
        let memory = Counted(Words(words), Default::default());
        let told = cxx(0x1008, 0, &memory).unwrap();
        assert_eq!(told.bases, ["__cxxabiv1::__vmi_class_type_info"]);
        let reads = memory.1.into_inner();
        assert!(reads < 10 * MOST_BASES, "{reads} reads");
    }

    #[test]
    fn what_is_no_type_has_no_name() {
        for words in [vec![], vec![u64::MAX; 8], vec![0x1000; 8], vec![0; 64]] {
            let memory = Words(words);
            assert_eq!(cxx(0x1000, 0x1000, &memory), None);
            assert_eq!(cxx(u64::MAX, u64::MAX, &memory), None);
        }
    }
}
