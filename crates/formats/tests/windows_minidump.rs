//! What only minidumps of Windows have, read by the `minidump` crate and from the bytes.

mod common;

use common::*;
use minidump::{Minidump, MinidumpHandleDataStream, MinidumpSystemInfo, MinidumpThreadInfoList};
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;
use snapshot::*;

fn of_windows() -> Snapshot {
    let mut snapshot = two_threads();
    snapshot.system.os = OperatingSystem::Windows;
    snapshot.system.release = "10.0.20348.1".into();
    snapshot.system.product_type = 3;
    snapshot.system.suites = 0x110;
    snapshot.system.processor_features = (0x1234_5678_9abc_def0, 0xf);
    snapshot.system.cpu_features = (0xfeed, 0xbeef);
    snapshot
}

fn written(snapshot: &Snapshot, kind: DumpKind) -> Vec<u8> {
    let selection = select(kind, snapshot, &Pattern, &[]);
    write(DumpFormat::Minidump, snapshot, &selection)
}

#[test]
fn n18_a_server_is_no_workstation_and_the_processors_features_are_told() {
    let mut snapshot = of_windows();
    let file = written(&snapshot, DumpKind::Mini);
    let dump = Minidump::read(&file[..]).unwrap();
    let raw = dump.get_stream::<MinidumpSystemInfo>().unwrap().raw;
    assert_eq!((raw.product_type, raw.suite_mask), (3, 0x110));
    let features = [0x1234_5678_9abc_def0u64, 0xf].map(u64::to_le_bytes);
    assert_eq!(raw.cpu.data[..16], features.concat());

    snapshot.system.architecture = Architecture::X86;
    let file = written(&snapshot, DumpKind::Mini);
    let dump = Minidump::read(&file[..]).unwrap();
    let raw = dump.get_stream::<MinidumpSystemInfo>().unwrap().raw;
    assert_eq!(raw.cpu.data[..12], *b"GenuineIntel");
    // The last word is of AMD's processors only.
    assert_eq!(raw.cpu.data[16..], [0xed, 0xfe, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn n18_threads_have_their_begin_their_end_and_their_processors() {
    let mut snapshot = of_windows();
    let began = WallTime::from_filetime(133_000_000_000_000_000);
    for thread in &mut snapshot.threads {
        thread.began = began;
        thread.exit_code = Thread::STILL_ACTIVE;
        thread.affinity = 0xff;
    }
    let ended = &mut snapshot.threads[1];
    (ended.ended, ended.exit_code) = (WallTime(began.0 + 1_000), 7);
    ended.registers = None;
    let file = written(&snapshot, DumpKind::Mini);
    let dump = Minidump::read(&file[..]).unwrap();
    let infos = dump.get_stream::<MinidumpThreadInfoList>().unwrap();
    let info = |id| infos.get_thread_info(id).unwrap().raw.clone();
    let (runs, over) = (info(4711), info(4712));
    assert_eq!(runs.create_time, 133_000_000_000_000_000);
    assert_eq!((runs.exit_time, runs.exit_status), (0, 0x103));
    assert_eq!((runs.dump_flags, runs.affinity), (0, 0xff));
    assert_eq!(over.exit_time, 133_000_000_000_000_010);
    assert_eq!((over.exit_status, over.dump_flags), (7, 0x4 | 0x10));
}

#[test]
fn n18_handles_have_their_counts() {
    let mut snapshot = of_windows();
    let handle = &mut snapshot.handles[0];
    (handle.attributes, handle.handle_count, handle.pointer_count) = (2, 5, 32_769);
    let file = written(&snapshot, DumpKind::Mini);
    let dump = Minidump::read(&file[..]).unwrap();
    let handles = dump.get_stream::<MinidumpHandleDataStream>().unwrap();
    let raw = &handles.handles[0].raw;
    assert_eq!(raw.attributes(), Some(&2));
    assert_eq!(raw.handle_count(), Some(&5));
    assert_eq!(raw.pointer_count(), Some(&32_769));
}

/// `MINIDUMP_FUNCTION_TABLE_STREAM` and `MINIDUMP_FUNCTION_TABLE_DESCRIPTOR` of `minidumpapiset.h`.
#[test]
fn n18_the_functions_of_made_up_code_have_their_stream() {
    let mut snapshot = of_windows();
    let table = |count: usize| FunctionTable {
        addresses: (0x7000, 0x7fff),
        base: 0x6000,
        functions: vec![7; count * FunctionTable::ENTRY],
        native: vec![9; 0x58],
    };
    snapshot.function_tables = vec![table(1), table(2)];
    let file = written(&snapshot, DumpKind::Mini);
    let dump = Minidump::read(&file[..]).unwrap();
    let stream = dump.get_raw_stream(Stream::FunctionTable as u32).unwrap();
    let word = |at: usize| u32::from_le_bytes(stream[at..at + 4].try_into().unwrap());
    let header: Vec<u32> = (0..6).map(|n| word(n * 4)).collect();
    assert_eq!(header, [24, 32, 0x58, 12, 2, 0]);
    // The first has one entry and four bytes of padding, the second two entries and none.
    let second = 24 + 32 + 0x58 + 12 + 4;
    for (at, count, padding) in [(24, 1, 4), (second, 2, 0)] {
        assert_eq!(
            (word(at), word(at + 8), word(at + 16)),
            (0x7000, 0x7fff, 0x6000)
        );
        assert_eq!((word(at + 24), word(at + 28)), (count, padding));
        assert_eq!(stream[at + 32..at + 32 + 0x58], [9; 0x58]);
        assert_eq!(stream[at + 32 + 0x58], 7);
    }
    assert_eq!(stream.len(), second + 32 + 0x58 + 24);
    assert_eq!(read(&file).unwrap().snapshot, snapshot);
}

/// `MINIDUMP_TYPE` of `minidumpapiset.h`.
#[test]
fn n18_the_flags_say_what_was_asked_for() {
    for (kind, flags) in [
        (DumpKind::Triage, 0x10_1820),
        (DumpKind::Mini, 0x1965),
        (DumpKind::Plus, 0x1_1b25),
        (DumpKind::Full, 0x1926),
        (DumpKind::Custom(0x31), 0x31),
    ] {
        let file = written(&of_windows(), kind);
        let header = Minidump::read(&file[..]).unwrap().header;
        assert_eq!(header.flags, flags, "{kind}: {:#x}", header.flags);
    }
}
