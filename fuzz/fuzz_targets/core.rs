//! ELF cores: any bytes behind the ELF magic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = [b"\x7fELF", data].concat();
    formats::extent(&file);
    formats::record(&file);
    if let Ok(dump) = formats::read(std::sync::Arc::new(file)) {
        formats::image::loader_ranges(&dump.snapshot, &dump.memory);
    }
});
