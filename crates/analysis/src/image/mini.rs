//! The symbols that distributions leave in a stripped image (`.gnu_debugdata`, "Debugging information in a special section" of
//! gdb's manual): an ELF file with the names of functions, packed by xz.

use super::symbols::Symbols;
use crate::bytes::Bytes;
use object::{Object as _, ObjectSection as _};
use snapshot::FileBytes;
use std::sync::Arc;
use xz4rust::XzDecoder;

/// The largest such file, in bytes. Those of the largest programs have a few million.
const MOST_UNPACKED: usize = 64 << 20;

/// The largest dictionary of xz, in bytes: that of `xz -9`.
const MOST_DICTIONARY: usize = 64 << 20;

/// How much is unpacked at a time, in bytes.
const PIECE: usize = 64 << 10;

/// `None` if the image has none that can be read.
pub(super) fn symbols(image: &object::File) -> Option<Symbols> {
    let section = image.section_by_name(".gnu_debugdata")?;
    let file: FileBytes = Arc::new(unpacked(section.data().ok()?)?);
    let bytes = (*file).as_ref();
    let object = object::File::parse(bytes).ok()?;
    Some(Symbols::of_object(&object, bytes, Bytes::whole(&file)))
}

fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = XzDecoder::in_heap_with_alloc_dict_size(0, MOST_DICTIONARY);
    let (mut bytes, mut rest, mut piece) = (Vec::new(), packed, vec![0; PIECE]);
    while bytes.len() < MOST_UNPACKED {
        let step = decoder.decode(rest, &mut piece).ok()?;
        bytes.extend_from_slice(piece.get(..step.output_produced())?);
        rest = rest.get(step.input_consumed()..)?;
        if step.is_end_of_stream() {
            return Some(bytes);
        }
        if !step.made_progress() {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'the names of functions' | xz --check=crc64`, as hexadecimal digits.
    const PACKED: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a3010015746865206e616d6573206f662066756e6374696f6e73000000a347ccbb06541fd400012e16560955df1fb6f37d010000000004595a";

    fn packed() -> Vec<u8> {
        let digits = PACKED.as_bytes().chunks_exact(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        digits.filter_map(byte).collect()
    }

    #[test]
    fn what_xz_packed_is_unpacked() {
        assert_eq!(
            unpacked(&packed()).as_deref(),
            Some(&b"the names of functions"[..])
        );
    }

    #[test]
    fn what_is_cut_or_damaged_is_not_taken() {
        let packed = packed();
        for len in 0..packed.len() - 12 {
            assert_eq!(unpacked(&packed[..len]), None, "{len}");
        }
        let mut damaged = packed;
        damaged[30] ^= 1;
        assert_eq!(unpacked(&damaged), None);
    }
}
