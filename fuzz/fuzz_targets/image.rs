//! Programs and libraries: any bytes, and behind either magic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for magic in [&b"\x7fELF"[..], b"MZ"] {
        formats::image::of_file(&[magic, data].concat());
    }
    formats::image::of_file(data);
});
