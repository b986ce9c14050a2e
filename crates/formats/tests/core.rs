//! ELF cores: what we write we read again, whatever happened to the file in between.

mod common;

use common::*;
use formats::{Piece, RecordSpace};
use object::{LittleEndian, elf::FileHeader64, read::elf::FileHeader as _};
use snapshot::*;

#[test]
fn a_core_gives_back_the_snapshot_and_the_memory() {
    let mut snapshot = two_threads();
    snapshot.threads.push(Thread {
        id: 4713,
        state: ThreadState::Unstopped("in state D for 5 s".into()),
        letter: 'D',
        ..Thread::default()
    });
    snapshot.exception = Some(Exception {
        thread: 4711,
        code: 11,
        address: 0xdead_beef,
        name: "SIGSEGV.SEGV_MAPERR".into(),
        ..Exception::default()
    });
    let dump = read(&write(DumpFormat::Core, &snapshot, &everything(&snapshot))).unwrap();
    assert_eq!(dump.snapshot, snapshot);
    assert_eq!(dump.producer, "firstchance");
    assert_eq!(dump.record.as_deref(), Some(&b"{\"complete\":true}"[..]));
    assert_eq!(dump.warnings, Vec::<String>::new());
    assert_same_memory(&dump, &everything(&snapshot));
}

/// Every selected byte is there, and nothing outside of the regions.
fn assert_same_memory(dump: &formats::Dump, selection: &Selection) {
    for range in &selection.ranges {
        let mut bytes = vec![0; range.len() as usize];
        assert!(dump.memory.read_all(range.start, &mut bytes), "{range:x?}");
        let want = (range.start..range.end).map(byte_at);
        assert!(bytes.iter().copied().eq(want), "{range:x?}");
    }
    assert_eq!(dump.memory.read(RESERVED, &mut [0; 8]), 0);
}

#[test]
fn every_architecture_gives_back_its_registers() {
    for registers in [x86(), aarch64()] {
        let mut snapshot = two_threads();
        snapshot.system.architecture = registers.architecture();
        snapshot.regions.retain(|r| r.range.end < 1 << 32);
        snapshot.modules.clear();
        snapshot.process.auxv = vec![(6, 4096)];
        for thread in &mut snapshot.threads {
            thread.registers = Some(registers);
            if registers.architecture() == Architecture::Aarch64 {
                thread.extended = SparseBytes::new(&[3; 528]);
            }
        }
        let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
        assert_eq!(read(&core).unwrap().snapshot, snapshot);
    }
}

fn x86() -> Registers {
    Registers::X86(X86 {
        eax: 1,
        esp: 0xffff_d000,
        eip: 0x0804_8000,
        ss: 0x2b,
        ..X86::default()
    })
}

fn aarch64() -> Registers {
    let mut registers = Aarch64 {
        sp: STACK,
        pc: CODE,
        tls: HEAP,
        ..Aarch64::default()
    };
    registers.x[30] = 77;
    Registers::Aarch64(registers)
}

#[test]
fn a_limited_core_does_not_tell_what_it_must_not() {
    let snapshot = two_threads();
    let selection = select(DumpKind::Triage, &snapshot, &Pattern, &[]);
    for format in [DumpFormat::Core, DumpFormat::Minidump] {
        let file = write(format, &snapshot, &selection);
        for secret in ["--secret", "hidden", "TOKEN", "made-up.log"] {
            assert!(
                !contains(&file, secret.as_bytes()),
                "{format:?} tells {secret}"
            );
            let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert!(!contains(&file, &wide), "{format:?} tells {secret}");
        }
    }
    // Nothing of the page that the arguments share with the first frame.
    let dump = read(&write(DumpFormat::Core, &snapshot, &selection)).unwrap();
    let stack = selection.ranges[1];
    let from_its_page = Range::new(stack.start & !(PAGE - 1), stack.end);
    assert_eq!(dump.ranges, [selection.ranges[0], from_its_page]);
    let mut unused = vec![1; (stack.start - from_its_page.start) as usize];
    assert!(dump.memory.read_all(from_its_page.start, &mut unused));
    assert!(unused.iter().all(|&byte| byte == 0), "below the stack");
}

fn contains(file: &[u8], text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}

#[test]
fn c5_seventy_thousand_regions_need_the_extended_count_and_read_back() {
    let mut snapshot = two_threads();
    let many = (0..70_000).map(|n| {
        let protection = if n % 2 == 0 { "rw-" } else { "r--" };
        region(
            0x1000_0000 + n * 2 * PAGE,
            1,
            protection,
            RegionKind::Private,
            "",
        )
    });
    snapshot.regions.splice(0..0, many);
    let selection = everything(&snapshot);
    let core = write(DumpFormat::Core, &snapshot, &selection);
    let header = FileHeader64::<LittleEndian>::parse(&*core).unwrap();
    let segments = header.program_headers(LittleEndian, &*core).unwrap();
    assert!(segments.len() > 70_000);
    let dump = read(&core).unwrap();
    assert_eq!(dump.snapshot.regions.len(), snapshot.regions.len());
    assert_eq!(dump.snapshot, snapshot);
    let count = dump.ranges.len();
    assert!(count > 70_000, "{count}");
    // The header that holds the count is gone when the file is cut before it.
    let cut = read(&core[..1_000_000]).unwrap();
    assert!(cut.warnings.iter().any(|w| w.contains("program headers")));
}

#[test]
fn ten_thousand_threads_cost_the_plan_little() {
    let mut snapshot = two_threads();
    // With AMX in use these would be 110 MB.
    let amx = &processors::PROCESSORS[9];
    let extended = SparseBytes::new(&amx.layout().to_standard(&amx.area()));
    assert_eq!(extended.len(), 11_008);
    snapshot.threads = (0..10_000)
        .map(|n| Thread {
            extended: extended.clone(),
            ..thread(5000 + n, u64::from(n % 100))
        })
        .collect();
    let selection = select(DumpKind::Triage, &snapshot, &Pattern, &[]);
    for format in [DumpFormat::Core, DumpFormat::Minidump] {
        let space = RecordSpace::default();
        let plan = formats::plan(format, &snapshot, &selection, space);
        let held: usize = plan
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.capacity() + size_of::<Piece>(),
                _ => size_of::<Piece>(),
            })
            .sum();
        println!("{format:?}: {held} bytes held, {} in the file", plan.size());
        assert!(held < 25 << 20, "{format:?}: {held}");
    }
}

#[test]
fn untouched_memory_between_near_runs_is_bridged_with_zeros() {
    let snapshot = two_threads();
    let dump = read(&write(DumpFormat::Core, &snapshot, &everything(&snapshot))).unwrap();
    // Pages 0-1 and 4-5 of the heap are bridged, 40-41 is too far away.
    let heap: Vec<Range> = dump
        .ranges
        .iter()
        .copied()
        .filter(|r| (HEAP..HEAP + 64 * PAGE).contains(&r.start))
        .collect();
    assert_eq!(
        heap,
        [
            Range::new(HEAP, HEAP + 6 * PAGE),
            Range::new(HEAP + 40 * PAGE, HEAP + 42 * PAGE)
        ]
    );
    let mut gap = [9; 16];
    assert!(dump.memory.read_all(HEAP + 3 * PAGE, &mut gap));
    assert_eq!(gap, [0; 16]);
}

#[test]
fn a_truncated_core_tells_what_is_left() {
    let snapshot = two_threads();
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    for length in (0..2_000).chain((2_000..core.len()).step_by(61)) {
        let Ok(dump) = read(&core[..length]) else {
            assert!(length < 64, "{length}");
            continue;
        };
        assert!(!dump.warnings.is_empty(), "{length}");
    }
    let notes_whole = read(&core[..core.len() / 2]).unwrap();
    assert_eq!(notes_whole.snapshot, snapshot);
    assert_eq!(
        notes_whole.record.as_deref(),
        Some(&b"{\"complete\":true}"[..])
    );
}

#[test]
fn offsets_are_congruent_with_addresses_and_pieces_aligned() {
    let snapshot = two_threads();
    let plan = formats::plan(
        DumpFormat::Core,
        &snapshot,
        &everything(&snapshot),
        RecordSpace::default(),
    );
    for (offset, piece) in plan.pieces_with_offsets() {
        if let Piece::Memory(range) = piece {
            assert_eq!(offset % PAGE, range.start % PAGE);
        }
    }
}

#[test]
fn a_stream_tells_from_its_head_where_it_ends_and_bears_a_record_behind() {
    let snapshot = two_threads();
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    assert_eq!(formats::extent(&core[..20]), None);
    let first = formats::extent(&core[..formats::FIRST_LOOK]).unwrap();
    let whole = formats::extent(&core[..first.head as usize]).unwrap();
    assert_eq!((first.head, first.end), (whole.head, None));
    assert_eq!(whole.end, Some(core.len() as u64));
    let head = read(&core[..first.head as usize]).unwrap();
    assert_eq!(head.snapshot.threads, snapshot.threads);

    let record = b"{\"complete\":true}";
    assert_eq!(formats::record(&core).as_deref(), Some(&record[..]));
    let mut plain = core[..100].to_vec();
    plain.extend(formats::trailer(b"{}"));
    assert_eq!(formats::record(&plain).as_deref(), Some(&b"{}"[..]));
    for size in 0..plain.len() {
        assert_eq!(formats::record(&plain[..size]), None);
    }
    let mini = write(DumpFormat::Minidump, &snapshot, &everything(&snapshot));
    assert_eq!(formats::record(&mini).as_deref(), Some(&record[..]));
}

fn note_reader(core: &[u8]) -> formats::NoteReader {
    let keep = Box::new(SparseBytes::new);
    formats::NoteReader::new(core, XsaveLayout::standard(), keep).unwrap()
}

#[test]
fn notes_that_come_in_pieces_tell_what_the_whole_does() {
    let snapshot = two_threads();
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    let extent = formats::extent(&core[..formats::FIRST_LOOK]).unwrap();
    let notes = &core[extent.notes as usize..extent.head as usize];
    for size in [1, 7, 100, notes.len()] {
        let mut reader = note_reader(&core);
        notes.chunks(size).for_each(|piece| reader.feed(piece));
        let told = reader.done();
        let of = |threads: &[snapshot::Thread]| -> Vec<_> {
            let all = threads.iter();
            all.map(|t| (t.id, t.registers, t.extended.clone()))
                .collect()
        };
        assert_eq!(of(&told.threads), of(&snapshot.threads), "by {size}");
        assert_eq!(told.auxv, snapshot.process.auxv);
    }
    for broken in [&notes[..0], &notes[..5], &[0xFF; 5000]] {
        let mut reader = note_reader(&core);
        reader.feed(broken);
        assert_eq!(reader.done().threads.len(), 0);
    }
}

#[test]
fn a_record_can_be_told_anew_in_its_places() {
    let snapshot = two_threads();
    for format in [DumpFormat::Core, DumpFormat::Minidump] {
        let mut file = write(format, &snapshot, &everything(&snapshot));
        let places = formats::record_places(&file);
        assert_eq!(places.len(), 2, "{format:?}: at the head and at the tail");
        for (offset, room) in places {
            let place = &mut file[offset as usize..][..room];
            place.fill(0);
            place[..2].copy_from_slice(b"{}");
        }
        let told = read(&file).unwrap();
        assert_eq!(told.record.as_deref(), Some(&b"{}"[..]));
        assert_eq!(formats::record(&file).as_deref(), Some(&b"{}"[..]));
        assert_eq!(told.snapshot.threads, snapshot.threads);
    }
    assert_eq!(formats::record_places(b"hello"), []);
}

/// Two mappings of an object, the second of which begins a page later and ends two pages behind the first.
#[test]
fn s3_memory_that_is_mapped_twice_is_there_once_and_read_at_both_addresses() {
    const FIRST: u64 = 0x7100_0000_0000;
    const SECOND: u64 = 0x7200_0000_0000;
    let view = |start, offset| Region {
        shared: true,
        inode: 9,
        offset,
        resident: vec![Range::new(start, start + 8 * PAGE)],
        ..region(start, 8, "rw-", RegionKind::Mapped, "/memfd:heap")
    };
    let mut snapshot = two_threads();
    let above = snapshot
        .regions
        .iter()
        .position(|region| region.range.start > SECOND);
    let at = above.expect("a stack");
    snapshot.regions.insert(at, view(FIRST, 0));
    let alone = write(DumpFormat::Core, &snapshot, &everything(&snapshot)).len() as u64;
    snapshot.regions.insert(at + 1, view(SECOND, 3 * PAGE));
    let selection = everything(&snapshot);
    let core = write(DumpFormat::Core, &snapshot, &selection);
    let more = core.len() as u64 - alone;
    assert!((3 * PAGE..4 * PAGE).contains(&more), "{more}");

    let dump = read(&core).unwrap();
    assert_eq!(dump.warnings, Vec::<Warning>::new());
    assert_eq!(dump.record.as_deref(), Some(&b"{\"complete\":true}"[..]));
    let mut bytes = vec![0; 8 * PAGE as usize];
    assert!(dump.memory.read_all(SECOND, &mut bytes));
    for (at, byte) in (0..).zip(bytes) {
        let address = match at < 5 * PAGE {
            true => FIRST + 3 * PAGE + at,
            false => SECOND + at,
        };
        assert_eq!(byte, byte_at(address), "{at:#x}");
    }
    // Minidumps have all memory one behind the other.
    let minidump = read(&write(DumpFormat::Minidump, &snapshot, &selection)).unwrap();
    let ranges = coalesce(minidump.ranges, 0);
    let both = [FIRST, SECOND].map(|start| Range::new(start, start + 8 * PAGE));
    assert!(
        both.iter().all(|range| ranges.contains(range)),
        "{ranges:?}"
    );
}
