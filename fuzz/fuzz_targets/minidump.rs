//! Minidumps: any bytes behind signature and version.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = [b"MDMP\x93\xa7\0\0", data].concat();
    formats::record(&file);
    if let Ok(dump) = formats::read(std::sync::Arc::new(file)) {
        formats::image::loader_ranges(&dump.snapshot, &dump.memory, snapshot::Detail::All);
    }
});
