//! What `inspect` says of the heap: the C library's own sums are the judge.

use std::process::Command;

use crate::support::{Child, Firstchance, Program, compile, file_in, folder};

const HEAP: Program = Program::cpp("heap.cpp").with(&["-pthread"]);

/// Of 1,000 blocks that were given back a few wait in lists of the threads: the C library says that these are in use.
const WAITING: u64 = 64 << 10;

fn inspected(dump: &std::path::Path) -> (serde_json::Value, String) {
    let inspect = |words: &[&str]| {
        Firstchance::new(&["inspect"])
            .arg(dump)
            .args(words)
            .run_well()
    };
    let json = serde_json::from_str(&inspect(&["--json"]).stdout).expect("JSON");
    (json, inspect(&["heap"]).stdout)
}

#[test]
fn the_blocks_of_the_heap_are_told_by_size_and_by_what_they_begin_with() {
    let mut child = Child::start(&mut Command::new(compile(&HEAP)));
    let said = child.line();
    let said: Vec<u64> = said
        .split(' ')
        .map(|sum| sum.parse().expect("a sum"))
        .collect();
    let [in_use, free, mapped, mapped_bytes] = said[..] else {
        panic!("{said:?}");
    };
    let folder = folder();
    let ours = [("x.core", "core"), ("x.dmp", "minidump")].map(|(name, format)| {
        let dump = file_in(&folder, name);
        Firstchance::dump(child.pid(), &["--full", "--format", format], &dump).run_well();
        dump
    });
    // A core of gdb does not say which memory is the heap.
    let of_gdb = crate::strangers::gcore(child.pid(), folder.path());
    for dump in ours.into_iter().chain([of_gdb]) {
        let (json, text) = inspected(&dump);
        let heap = &json["heap"];
        let number = |value: &serde_json::Value| value.as_u64().expect("a number");
        assert_eq!(number(&heap["mapped"]["count"]), mapped, "{heap}");
        assert_eq!(number(&heap["mapped"]["bytes"]), mapped_bytes, "{heap}");
        let ours = number(&heap["in-use"]["bytes"]) - mapped_bytes;
        assert!(
            ours <= in_use && in_use - ours < WAITING,
            "{ours} of {in_use}"
        );
        let arenas = heap["arenas"].as_array().expect("arenas");
        assert_eq!(arenas.len(), 2);
        let top: u64 = arenas.iter().map(|arena| number(&arena["top"])).sum();
        let ours = number(&heap["free"]["bytes"]) + top;
        assert!(ours >= free && ours - free < WAITING, "{ours} of {free}");
        let sizes = heap["sizes"].as_array().expect("sizes");
        let begins = sizes.iter().flat_map(|size| {
            let begins = size["begins"].as_array().expect("begins");
            begins.iter().map(move |begin| (size, begin))
        });
        let count = |what: &str| {
            let mut found = begins
                .clone()
                .filter(|(_, begin)| begin.to_string().contains(what));
            let (size, begin) = found.next().unwrap_or_else(|| panic!("{what}: {heap}"));
            (number(&size["usable"]), number(&begin["count"]))
        };
        assert_eq!(count("SESSION-OBJECT-"), (536, 20_000));
        assert_eq!(count("vtable(Order)").1, 5000);
        // Those that wait in the lists of their thread still have their text, and are not counted.
        assert_eq!(count("block of a thread"), (1000, 1000));
        assert_eq!(heap["doubts"], serde_json::json!([]));
        assert!(text.contains("SESSION-OBJECT-"), "{text}");
    }
    child.tell("end");
}

#[test]
fn a_heap_that_is_not_in_the_dump_is_said_to_be_so() {
    let mut child = Child::start(&mut Command::new(compile(&HEAP)));
    child.line();
    let folder = folder();
    let dump = file_in(&folder, "x.dmp");
    Firstchance::dump(child.pid(), &["--triage"], &dump).run_well();
    let (json, text) = inspected(&dump);
    assert!(json["heap"]["allocator"].is_null(), "{}", json["heap"]);
    assert!(text.contains("a full dump has all memory"), "{text}");
    child.tell("end");
}
