//! The type of a thrown C++ object, as Visual C++ describes it beside the exception
//! (`ThrowInfo`, ehdata.h of its runtime; "How does a C++ exception look", The Old New Thing,
//! 2010-07-30).

use snapshot::{Architecture, Exception, Memory};

const MSVC: u32 = 0xE06D_7363;
/// The three values that `_CxxThrowException` puts into its first parameter.
const MAGIC: std::ops::RangeInclusive<u64> = 0x1993_0520..=0x1993_0522;

/// `?AVNotFound@@`: the decorated name of the object's own type, without its dot.
pub(super) fn type_name(
    exception: &Exception,
    architecture: Architecture,
    memory: &dyn Memory,
) -> Option<String> {
    let parameters = &exception.parameters;
    if exception.code != MSVC || !MAGIC.contains(parameters.first()?) {
        return None;
    }
    // 64-bit images say offsets from their base, the fourth parameter; 32-bit ones addresses.
    let pointer = architecture.pointer_size();
    let base = if pointer == 8 { *parameters.get(3)? } else { 0 };
    let word = |address: u64| {
        let offset = u64::from(memory.read_u32(address)?);
        (offset != 0).then(|| base.wrapping_add(offset))
    };
    let types = word(parameters.get(2)?.wrapping_add(12))?;
    let first = word(types.wrapping_add(4))?;
    let descriptor = word(first.wrapping_add(4))?;
    let name = memory.read_c_string(descriptor.wrapping_add(2 * pointer), 1024)?;
    let name = String::from_utf8(name).ok()?;
    name.strip_prefix('.').map(str::to_owned)
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
}
