//! The files of `/proc`: a process chooses its name, its arguments and the files that it maps.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| platform::fuzz::parse_proc(data));
