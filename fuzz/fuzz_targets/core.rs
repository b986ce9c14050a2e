//! ELF cores: any bytes behind the ELF magic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = [b"\x7fELF", data].concat();
    formats::extent(&file);
    formats::record(&file);
    formats::record_places(&file);
    let layout = snapshot::XsaveLayout::standard();
    let keep = Box::new(snapshot::SparseBytes::new);
    if let Some(mut notes) = formats::NoteReader::new(&file, layout, keep) {
        file.chunks(100).for_each(|piece| notes.feed(piece));
        notes.done();
    }
    if let Ok(dump) = formats::read(std::sync::Arc::new(file)) {
        formats::image::loader_ranges(&dump.snapshot, &dump.memory, snapshot::Detail::All);
    }
});
