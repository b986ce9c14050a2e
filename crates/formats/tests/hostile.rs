//! Bytes from anywhere: no reader panics, hangs, or takes memory without bound.

mod common;

use common::foreign::{crashpad_on_macos, netbsd};
use common::*;
use formats::image;
use proptest::prelude::*;
use snapshot::*;
use std::sync::{Arc, LazyLock};

static CORE: LazyLock<Vec<u8>> = LazyLock::new(|| small(DumpFormat::Core));
static MINIDUMP: LazyLock<Vec<u8>> = LazyLock::new(|| small(DumpFormat::Minidump));

/// A dump whose most bytes mean something.
fn small(format: DumpFormat) -> Vec<u8> {
    let snapshot = two_threads();
    let selection = select(DumpKind::Triage, &snapshot, &Pattern, &[]);
    let selection = Selection {
        ranges: selection.ranges.into_iter().take(1).collect(),
        ..selection
    };
    write(format, &snapshot, &selection)
}

/// Without our own note or stream, so that the rebuilding of foreign dumps is reached.
fn foreign(mut file: Vec<u8>) -> Vec<u8> {
    let magic = b"FCSNAP";
    if let Some(at) = file.windows(magic.len()).position(|window| window == magic) {
        file[at] = b'X';
    }
    file
}

static OTHERS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(others);

/// Dumps of other systems and processors.
fn others() -> [Vec<u8>; 3] {
    let mut snapshot = two_threads();
    snapshot.system.architecture = Architecture::Arm;
    let arm = Some(Registers::Arm(Arm::default()));
    snapshot.threads.iter_mut().for_each(|t| t.registers = arm);
    let arm = write(DumpFormat::Core, &snapshot, &Selection::default());
    [netbsd(), crashpad_on_macos(), foreign(arm)]
}

fn try_everything(file: Vec<u8>) {
    let file = Arc::new(file);
    if let Ok(dump) = formats::read(file.clone()) {
        for range in dump.ranges.iter().take(8) {
            let mut buf = [0; 64];
            dump.memory.read(range.start, &mut buf);
            dump.memory.read(range.end.wrapping_sub(8), &mut buf);
        }
        for module in dump.snapshot.modules.iter().take(8) {
            image::in_memory(&dump.memory, module.range.start);
        }
        image::loader_ranges(&dump.snapshot, &dump.memory, Detail::All);
        // What was read can be written and read again.
        let again = write_from(&dump);
        assert!(formats::read(Arc::new(again)).is_ok());
    }
    image::of_file(&file);
}

fn write_from(dump: &formats::Dump) -> Vec<u8> {
    let selection = Selection {
        ranges: dump
            .ranges
            .iter()
            .copied()
            .take(2)
            .filter(|r| r.len() < 1 << 20)
            .collect(),
        ..Selection::default()
    };
    let mut snapshot = dump.snapshot.clone();
    snapshot.regions.truncate(100);
    let plan = formats::plan(dump.format, &snapshot, &selection, Default::default());
    if plan.size() > 64 << 20 {
        return CORE.clone();
    }
    carry_out(&plan, &dump.memory, b"")
}

fn mutated(original: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = original.len();
    let value = prop_oneof![
        any::<u64>(),
        Just(0),
        Just(u64::MAX),
        Just(1 << 31),
        Just(1 << 63),
        0..1000u64
    ];
    let change = (0..length, value, 1..=8usize);
    let changes = prop::collection::vec(change, 1..8);
    (changes, prop_oneof![Just(length), 0..length]).prop_map(move |(changes, cut)| {
        let mut file = original.clone();
        for (at, value, width) in changes {
            let end = (at + width).min(length);
            file[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        file.truncate(cut);
        file
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_cores_do_no_harm(file in mutated(CORE.clone())) {
        try_everything(file);
    }

    #[test]
    fn mutated_foreign_cores_do_no_harm(file in mutated(foreign(CORE.clone()))) {
        try_everything(file);
    }

    #[test]
    fn mutated_minidumps_do_no_harm(file in mutated(MINIDUMP.clone())) {
        try_everything(file);
    }

    #[test]
    fn mutated_foreign_minidumps_do_no_harm(file in mutated(foreign(MINIDUMP.clone()))) {
        try_everything(file);
    }

    #[test]
    fn mutated_dumps_of_other_systems_do_no_harm(
        file in prop_oneof![
            mutated(OTHERS[0].clone()),
            mutated(OTHERS[1].clone()),
            mutated(OTHERS[2].clone()),
        ],
    ) {
        try_everything(file);
    }

    #[test]
    fn any_bytes_do_no_harm(kind in 0..4usize, tail in prop::collection::vec(any::<u8>(), 0..500)) {
        let magic: [&[u8]; 4] = [b"\x7fELF\x02\x01\x01", b"MDMP\x93\xa7", b"MZ", b""];
        try_everything([magic[kind], &tail].concat());
    }
}
