//! The type of a thrown C++ object, as Visual C++ describes it beside the exception
//! (`ThrowInfo`, ehdata.h of its runtime; "How does a C++ exception look", The Old New Thing,
//! 2010-07-30).

use snapshot::{Architecture, Exception, Memory};

/// The code of a C++ exception.
const MSVC: u32 = 0xE06D_7363;
/// The values that the runtime puts into the first parameter.
const MAGIC: std::ops::RangeInclusive<u64> = 0x1993_0520..=0x1993_0522;

/// The most base classes that are looked at.
const MOST_TYPES: u32 = 64;
/// The longest name and message, in bytes; longer ones are cut.
const LONGEST: usize = 1024;

/// The decorated name of the thrown object's type, without its dot: `?AVNotFound@@`.
pub(super) fn type_name(
    exception: &Exception,
    architecture: Architecture,
    memory: &dyn Memory,
) -> Option<String> {
    Object::of(exception, architecture, memory)?
        .types(1)
        .pop()
        .map(|own| own.name)
}

/// The decorated names of the base classes of the thrown object, and its message if it derives from
/// `std::exception`; that keeps the address of the text behind the address of its vtable.
pub(super) fn details(
    exception: &Exception,
    architecture: Architecture,
    memory: &dyn Memory,
) -> Option<(Vec<String>, String)> {
    let object = Object::of(exception, architecture, memory)?;
    let types = object.types(MOST_TYPES);
    let exception = types.iter().find(|base| base.name == "?AVexception@std@@");
    let message = exception.and_then(|base| object.message(base.offset));
    let bases = types.into_iter().skip(1).map(|base| base.name);
    Some((bases.collect(), message.unwrap_or_default()))
}

/// A thrown object.
struct Object<'m> {
    memory: &'m dyn Memory,
    address: u64,
    /// Address of its `ThrowInfo`.
    info: u64,
    /// What offsets in the tables are relative to; 0 for 32-bit images, whose tables hold
    /// addresses.
    base: u64,
    /// Size of a pointer, in bytes.
    pointer: u64,
}

/// A type by which the object can be caught (`CatchableType`): its own, or a base class.
struct CatchableType {
    name: String,
    /// Where that part of the object begins, in bytes.
    offset: u64,
}

impl<'m> Object<'m> {
    fn of(
        exception: &Exception,
        architecture: Architecture,
        memory: &'m dyn Memory,
    ) -> Option<Self> {
        let parameters = &exception.parameters;
        if exception.code != MSVC || !MAGIC.contains(parameters.first()?) {
            return None;
        }
        // The fourth parameter, the image's base, is there in 64-bit programs only.
        let pointer = architecture.pointer_size();
        Some(Self {
            memory,
            address: *parameters.get(1)?,
            info: *parameters.get(2)?,
            base: if pointer == 8 { *parameters.get(3)? } else { 0 },
            pointer,
        })
    }

    fn word(&self, address: u64) -> Option<u64> {
        let offset = u64::from(self.memory.read_u32(address)?);
        (offset != 0).then(|| self.base.wrapping_add(offset))
    }

    /// Its own type and its base classes, nearest first; at most `most`.
    fn types(&self, most: u32) -> Vec<CatchableType> {
        let list = self.word(self.info.wrapping_add(12));
        let types = list.and_then(|list| {
            let count = self.memory.read_u32(list)?.min(most);
            let types = (1..=u64::from(count)).map(|n| self.catchable(list.wrapping_add(4 * n)));
            Some(types.map_while(|found| found).collect())
        });
        types.unwrap_or_default()
    }

    fn catchable(&self, slot: u64) -> Option<CatchableType> {
        let catchable = self.word(slot)?;
        let descriptor = self.word(catchable.wrapping_add(4))?;
        let name = descriptor.wrapping_add(2 * self.pointer);
        let name = String::from_utf8(self.memory.read_c_string(name, LONGEST)?).ok()?;
        let offset = self.memory.read_u32(catchable.wrapping_add(8)).unwrap_or(0);
        Some(CatchableType {
            name: name.strip_prefix('.')?.to_owned(),
            offset: offset.into(),
        })
    }

    fn message(&self, offset: u64) -> Option<String> {
        let slot = self.address.wrapping_add(offset).wrapping_add(self.pointer);
        let text = match self.pointer {
            4 => self.memory.read_u32(slot).map(u64::from)?,
            _ => self.memory.read_u64(slot)?,
        };
        let bytes = self.memory.read_c_string(text, LONGEST)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image at 0x1000 with a `ThrowInfo` at 0x10, its types at 0x20, the type at 0x30, the
    /// descriptor at 0x40.
    struct Image(Vec<u8>);

    impl Memory for Image {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            let from = address
                .checked_sub(0x1000)
                .and_then(|at| self.0.get(at as usize..));
            let from = from.unwrap_or_default();
            let count = from.len().min(buf.len());
            buf[..count].copy_from_slice(&from[..count]);
            count
        }
    }

    #[test]
    fn a_thrown_object_is_told_by_its_type() {
        let mut image = vec![0; 0x80];
        for (at, value) in [(0x1c, 0x20u32), (0x20, 1), (0x24, 0x30), (0x34, 0x40)] {
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        image[0x50..0x5f].copy_from_slice(b".?AVNotFound@@\0");
        let exception = Exception {
            code: MSVC,
            parameters: vec![0x1993_0520, 0x5000, 0x1010, 0x1000],
            ..Exception::default()
        };
        let of = |e: &Exception| type_name(e, Architecture::X86_64, &Image(image.clone()));
        assert_eq!(of(&exception).as_deref(), Some("?AVNotFound@@"));
        let elsewhere = Exception {
            parameters: vec![0x1993_0520, 0, u64::MAX, 3],
            ..exception
        };
        assert_eq!(of(&elsewhere), None);
    }

    #[test]
    fn what_it_derives_from_and_its_message_are_told() {
        let mut image = vec![0; 0x100];
        let words = [
            (0x1c, 0x20u32),
            (0x20, 2),
            (0x24, 0x30),
            (0x28, 0x60),
            (0x34, 0x40),
            (0x64, 0x70),
            // Its part of the object lies 8 bytes in; there, behind the vtable, the text's address.
            (0x68, 8),
            (0xc0 + 8 + 8, 0x10e0),
        ];
        for (at, value) in words {
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        image[0x50..0x5f].copy_from_slice(b".?AVNotFound@@\0");
        image[0x80..0x94].copy_from_slice(b".?AVexception@std@@\0");
        image[0xe0..0xe8].copy_from_slice(b"order 1\0");
        let exception = Exception {
            code: MSVC,
            parameters: vec![0x1993_0520, 0x10c0, 0x1010, 0x1000],
            ..Exception::default()
        };
        let told = details(&exception, Architecture::X86_64, &Image(image));
        let bases = vec!["?AVexception@std@@".to_owned()];
        assert_eq!(told, Some((bases, "order 1".to_owned())));
    }
}
