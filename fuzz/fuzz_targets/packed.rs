//! Compressed dumps: any bytes, behind the magic of zstd, gzip, xz or lz4, and before the end of a table of frames.
#![no_main]

use formats::packed::{Packing, Seekable, head, unpacked};
use std::io::Read as _;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut part = [0; 100];
    for (begin, packing) in [
        (&b"\x28\xb5\x2f\xfd"[..], Packing::Zstd),
        (&b"\x1f\x8b\x08"[..], Packing::Gzip),
        (&b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36"[..], Packing::Xz),
        (&b"\x04\x22\x4d\x18"[..], Packing::Lz4),
    ] {
        let bytes = [begin, data].concat();
        head(&bytes, 1 << 20);
        formats::record(&bytes);
        let file: formats::FileBytes = std::sync::Arc::new(bytes);
        if let Ok(content) = unpacked(&file, packing) {
            let _ = content.take(1 << 20).read_to_end(&mut Vec::new());
        }
    }
    let file: formats::FileBytes = std::sync::Arc::new([data, b"\0\xb1\xea\x92\x8f"].concat());
    if let Some(seekable) = Seekable::open(&file) {
        let len = seekable.len();
        for at in [0, len / 2, len.saturating_sub(1)] {
            seekable.read_at(at, &mut part);
            seekable.stored_at(at, 8192);
        }
    }
});
