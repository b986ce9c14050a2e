//! Minidumps: read by the `minidump` crate, and again by ourselves.

mod common;

use common::*;
use formats::{Piece, RecordSpace};
use minidump::system_info::{Cpu, Os};
use minidump::{
    Minidump, MinidumpException, MinidumpHandleDataStream, MinidumpLinuxMaps,
    MinidumpMemoryInfoList, MinidumpMiscInfo, MinidumpModuleList, MinidumpSystemInfo,
    MinidumpThreadList, MinidumpThreadNames, Module as _,
};
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;
use snapshot::*;

fn faulted() -> Snapshot {
    let mut snapshot = two_threads();
    snapshot.exception = Some(Exception {
        thread: 4711,
        code: 11,
        flags: 1,
        address: 0xdead_beef,
        name: "SIGSEGV.SEGV_MAPERR".into(),
        ..Exception::default()
    });
    snapshot
}

#[test]
fn a_minidump_gives_back_the_snapshot_and_the_memory() {
    let mut snapshot = faulted();
    snapshot.threads.push(Thread {
        id: 4713,
        state: ThreadState::AlreadyStopped,
        ..Thread::default()
    });
    let selection = everything(&snapshot);
    let dump = read(&write(DumpFormat::Minidump, &snapshot, &selection)).unwrap();
    assert_eq!(dump.snapshot, snapshot);
    assert_eq!(dump.warnings, Vec::<String>::new());
    assert_eq!(dump.ranges, selection.ranges);
    assert_eq!(dump.record.as_deref(), Some(&b"{\"complete\":true}"[..]));
    let mut bytes = vec![0; 5000];
    assert!(dump.memory.read_all(STACK + 77, &mut bytes));
    assert!(
        bytes
            .iter()
            .zip(STACK + 77..)
            .all(|(&b, at)| b == byte_at(at))
    );
}

#[test]
fn the_minidump_crate_reads_every_stream() {
    let snapshot = faulted();
    let file = write(DumpFormat::Minidump, &snapshot, &everything(&snapshot));
    let dump = Minidump::read(&file[..]).unwrap();

    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    assert_eq!((system.os, system.cpu), (Os::Linux, Cpu::X86_64));
    assert!(system.csd_version().unwrap().contains("6.18.44"));
    assert_eq!(system.raw.processor_level, 6);

    let threads = dump.get_stream::<MinidumpThreadList>().unwrap();
    let names = dump.get_stream::<MinidumpThreadNames>().unwrap();
    assert_eq!(threads.threads.len(), 2);
    assert_eq!(names.get_name(4712).unwrap(), "worker 1");
    let memory = dump.get_memory().unwrap();
    for thread in &threads.threads {
        let context = thread.context(&system, None).unwrap();
        assert_eq!(context.get_instruction_pointer(), CODE + 0x123);
        let sp = context.get_stack_pointer();
        let stack = thread.stack_memory(&memory).unwrap();
        let word: u8 = stack.get_memory_at_address(sp).unwrap();
        assert_eq!(word, byte_at(sp));
    }

    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let main = modules.main_module().unwrap();
    assert_eq!(main.code_file(), "/usr/bin/made-up");
    let id = "0102030405060708090a0b0c0d0e0f1011121314";
    assert_eq!(main.code_identifier().unwrap().to_string(), id);

    let exception = dump.get_stream::<MinidumpException>().unwrap();
    let reason = exception.get_crash_reason(system.os, system.cpu);
    assert_eq!(reason.to_string(), "SIGSEGV / SEGV_MAPERR");
    assert_eq!(
        exception.get_crash_address(system.os, system.cpu),
        0xdead_beef
    );

    let maps = dump.get_stream::<MinidumpLinuxMaps>().unwrap();
    assert_eq!(maps.memory_map_count(), 1);
    let regions = dump.get_stream::<MinidumpMemoryInfoList>().unwrap();
    assert!(regions.memory_info_at_address(HEAP).unwrap().is_writable());
    let handles = dump.get_stream::<MinidumpHandleDataStream>().unwrap();
    assert_eq!(
        handles.handles[0].object_name.as_deref(),
        Some("/var/log/made-up.log")
    );
    let misc = dump.get_stream::<MinidumpMiscInfo>().unwrap();
    assert_eq!(misc.raw.process_id(), Some(&4711));
    let avx = misc.raw.xstate_data().unwrap().features[2];
    assert_eq!((avx.offset, avx.size), (576, 256));
    for stream in [
        Stream::LinuxCmdLine,
        Stream::LinuxEnviron,
        Stream::LinuxAuxv,
    ] {
        assert!(dump.get_raw_stream(stream as u32).is_ok(), "{stream:?}");
    }
}

#[test]
fn a_large_dump_has_the_long_memory_list_and_is_found_beyond_four_gib() {
    let mut snapshot = two_threads();
    let huge = region(0x1_0000_0000, 5 << 18, "rw-", RegionKind::Private, "");
    snapshot.regions.insert(0, huge);
    let selection = everything(&snapshot);
    let space = RecordSpace {
        head: 64,
        tail: 64,
        comment: "",
    };
    let plan = formats::plan(DumpFormat::Minidump, &snapshot, &selection, space);
    assert!(plan.size() > 5 << 30);
    let Piece::Bytes(head) = &plan.pieces[0] else {
        panic!("no head");
    };
    // MiniDumpWithFullMemory.
    assert_eq!(head[24] & 2, 2);
    let memory: u64 = plan
        .pieces_with_offsets()
        .find(|(_, piece)| matches!(piece, Piece::Memory(_)))
        .unwrap()
        .0;
    assert_eq!(memory % PAGE, 0);
    assert_eq!(plan.pieces.last(), Some(&Piece::Record(64)));
}

/// Without our own stream the others must do.
#[test]
fn a_minidump_of_another_writer_is_rebuilt_from_its_streams() {
    let snapshot = faulted();
    let mut file = write(DumpFormat::Minidump, &snapshot, &everything(&snapshot));
    for kind in [0x4643_0001_u32, 0x4643_0002, 0x4643_0003] {
        let kind = kind.to_le_bytes();
        let at = file.windows(4).position(|word| word == kind).unwrap();
        file[at] = 0x77;
    }
    let dump = read(&file).unwrap();
    assert_eq!(dump.producer, "Breakpad");
    let got = dump.snapshot;
    assert_eq!(got.system.release, snapshot.system.release);
    assert_eq!(got.system.version, snapshot.system.version);
    assert_eq!(got.system.cpu_vendor, snapshot.system.cpu_vendor);
    assert_eq!(got.modules, snapshot.modules);
    assert_eq!(got.process.key.pid, 4711);
    assert_eq!(got.process.command_line, snapshot.process.command_line);
    assert_eq!(got.process.auxv, snapshot.process.auxv);
    assert_eq!(got.threads.len(), 2);
    assert_eq!(got.threads[1].name, "worker 1");
    let (Some(Registers::X86_64(got_r)), Some(Registers::X86_64(want_r))) =
        (got.threads[1].registers, snapshot.threads[1].registers)
    else {
        panic!("no registers");
    };
    assert_eq!(
        (got_r.rip, got_r.rax, got_r.cs),
        (want_r.rip, want_r.rax, want_r.cs)
    );
    // AVX lies behind the context, where Windows has it.
    assert_eq!(got.threads[1].extended.to_vec(), xsave(1));
    assert_eq!(got.regions[0].name, "/usr/bin/made-up");
    assert_eq!(got.handles[0].name, "/var/log/made-up.log");
    let exception = got.exception.unwrap();
    assert_eq!((exception.code, exception.address), (11, 0xdead_beef));
}

#[test]
fn every_architecture_gives_back_its_contexts() {
    for registers in contexts() {
        let mut snapshot = two_threads();
        snapshot.system.architecture = registers.architecture();
        snapshot.threads[0].registers = Some(registers);
        if registers.architecture() == Architecture::Aarch64 {
            snapshot.threads[0].extended = SparseBytes::new(&[3; 528]);
        }
        let file = write(DumpFormat::Minidump, &snapshot, &Selection::default());
        assert_eq!(read(&file).unwrap().snapshot, snapshot);
        let dump = Minidump::read(&file[..]).unwrap();
        let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
        let threads = dump.get_stream::<MinidumpThreadList>().unwrap();
        let context = threads.threads[0].context(&system, None).unwrap();
        assert_eq!(context.get_instruction_pointer(), registers.ip());
        assert_eq!(context.get_stack_pointer(), registers.sp());
    }
}

fn contexts() -> [Registers; 2] {
    let mut arm = Aarch64 {
        sp: STACK,
        pc: CODE,
        tls: HEAP,
        ..Aarch64::default()
    };
    arm.x[30] = 77;
    let x86 = X86 {
        esp: 0xffff_d000,
        eip: 0x0804_8000,
        ..X86::default()
    };
    [Registers::X86(x86), Registers::Aarch64(arm)]
}

#[test]
fn a_truncated_minidump_tells_what_is_left() {
    let snapshot = faulted();
    let file = write(DumpFormat::Minidump, &snapshot, &everything(&snapshot));
    for length in (0..2_000).chain((2_000..file.len() - 512).step_by(61)) {
        let Ok(dump) = read(&file[..length]) else {
            assert!(length < 400, "{length}");
            continue;
        };
        assert!(!dump.warnings.is_empty(), "{length}");
    }
    let half = read(&file[..file.len() / 2]).unwrap();
    assert_eq!(half.snapshot, snapshot);
    assert!(!half.ranges.is_empty());
}

#[test]
fn a_windows_snapshot_becomes_a_windows_minidump() {
    let mut snapshot = two_threads();
    snapshot.system.os = OperatingSystem::Windows;
    snapshot.system.release = "10.0.19043".into();
    snapshot.modules[0] = Module {
        range: Range::new(CODE, CODE + 4 * PAGE),
        path: "C:\\app\\made-up.exe".into(),
        version: "1.2.3.4".into(),
        codeview: Some(CodeView {
            guid: *b"0123456789abcdef",
            age: 3,
            file: "made-up.pdb".into(),
        }),
        timestamp: 0x6000_0000,
        checksum: 77,
        ..Module::default()
    };
    snapshot.threads[0].teb = HEAP;
    snapshot.exception = Some(Exception {
        thread: 4711,
        code: 0xc000_0005,
        address: CODE,
        parameters: vec![1, 0x10],
        ..Exception::default()
    });
    snapshot.unloaded = vec![Module {
        range: Range::new(0x1000_0000, 0x1001_0000),
        path: "gone.dll".into(),
        timestamp: 7,
        checksum: 8,
        ..Module::default()
    }];
    let file = write(DumpFormat::Minidump, &snapshot, &everything(&snapshot));
    assert_eq!(read(&file).unwrap().snapshot, snapshot);
    let dump = Minidump::read(&file[..]).unwrap();
    let unloaded = dump
        .get_stream::<minidump::MinidumpUnloadedModuleList>()
        .unwrap();
    assert_eq!(unloaded.iter().next().unwrap().name, "gone.dll");
    let comment = dump.get_raw_stream(Stream::CommentStreamW as u32).unwrap();
    assert_eq!(comment[..6], *b"a\0 \0c\0");
    let memory = dump.get_raw_stream(Stream::SystemMemoryInfoStream as u32);
    assert_eq!(memory.unwrap().len(), 492);
    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    assert_eq!((system.os, system.raw.build_number), (Os::Windows, 19043));
    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let module = modules.iter().next().unwrap();
    assert_eq!(module.debug_file().unwrap(), "made-up.pdb");
    assert_eq!(module.version().unwrap(), "1.2.3.4");
    let exception = dump.get_stream::<MinidumpException>().unwrap();
    let reason = exception.get_crash_reason(system.os, system.cpu);
    assert_eq!(reason.to_string(), "EXCEPTION_ACCESS_VIOLATION_WRITE");
}
