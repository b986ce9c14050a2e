//! Snapshots made up for tests, and the one loop that carries a plan out.
#![allow(dead_code, reason = "each test program uses its own part of it")]

pub(crate) mod foreign;
pub(crate) mod processors;

use formats::{Dump, Piece, Plan, RecordSpace};
use snapshot::*;
use std::{sync::Arc, time::Duration};

pub(crate) const CODE: u64 = 0x5555_5555_4000;
pub(crate) const HEAP: u64 = 0x5555_5556_0000;
pub(crate) const RESERVED: u64 = 0x7000_0000_0000;
pub(crate) const STACK: u64 = 0x7fff_ff00_0000;
pub(crate) const PAGE: u64 = 4096;

/// Memory whose every byte follows from its address.
pub(crate) struct Pattern;

pub(crate) fn byte_at(address: u64) -> u8 {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1
}

impl Memory for Pattern {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let at = address..;
        buf.iter_mut().zip(at).for_each(|(b, at)| *b = byte_at(at));
        buf.len()
    }
}

/// The bytes of the file that `plan` describes.
pub(crate) fn carry_out(plan: &Plan, memory: &dyn Memory, record: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(plan.size() as usize);
    for (offset, piece) in plan.pieces_with_offsets() {
        assert_eq!(offset, file.len() as u64);
        let end = file.len() + piece.size() as usize;
        match piece {
            Piece::Bytes(bytes) => file.extend_from_slice(bytes),
            Piece::Zeros(_) => {}
            Piece::Memory(range) | Piece::Mapped(range) => {
                let mut bytes = vec![0; range.len() as usize];
                memory.read(range.start, &mut bytes);
                file.extend(bytes);
            }
            Piece::Registers(notes) => file.extend(notes.to_vec()),
            Piece::Record(count) => {
                file.extend(&record[..record.len().min(*count as usize)]);
            }
        }
        file.resize(end, 0);
    }
    assert_eq!(file.len() as u64, plan.size());
    file
}

pub(crate) fn write(format: DumpFormat, snapshot: &Snapshot, selection: &Selection) -> Vec<u8> {
    let space = RecordSpace {
        head: 256,
        tail: 512,
        comment: "a comment",
    };
    let plan = formats::plan(format, snapshot, selection, space);
    carry_out(&plan, &Pattern, b"{\"complete\":true}")
}

pub(crate) fn read(bytes: &[u8]) -> Result<Dump, formats::ReadError> {
    formats::read(Arc::new(bytes.to_vec()))
}

pub(crate) fn everything(snapshot: &Snapshot) -> Selection {
    select(DumpKind::Full, snapshot, &Pattern, &[])
}

pub(crate) fn region(
    start: u64,
    pages: u64,
    protection: &str,
    kind: RegionKind,
    name: &str,
) -> Region {
    let range = Range::new(start, start + pages * PAGE);
    Region {
        range,
        protection: Protection {
            read: protection.contains('r'),
            write: protection.contains('w'),
            execute: protection.contains('x'),
        },
        kind,
        name: name.to_owned(),
        inode: u64::from(name.starts_with('/')) * 77,
        resident: vec![range],
        private_pages: vec![range],
        ..Region::default()
    }
}

/// A process with two threads, a program, a heap with holes, a reservation and a stack.
pub(crate) fn two_threads() -> Snapshot {
    let reserved = Region {
        resident: vec![],
        private_pages: vec![],
        ..region(RESERVED, 1 << 20, "---", RegionKind::Private, "")
    };
    let mut heap = region(HEAP, 64, "rw-", RegionKind::Heap, "[heap]");
    heap.resident = [0u64, 4, 40]
        .map(|page| Range::new(HEAP + page * PAGE, HEAP + (page + 2) * PAGE))
        .to_vec();
    heap.private_pages = heap.resident.clone();
    Snapshot {
        taken: WallTime(1_790_000_000_123_456_789),
        process: process(),
        system: system(),
        threads: vec![thread(4711, 0), thread(4712, 1)],
        modules: vec![module()],
        unloaded: vec![],
        function_tables: vec![],
        regions: vec![
            region(CODE, 4, "r-x", RegionKind::Image, "/usr/bin/made-up"),
            heap,
            reserved,
            region(STACK, 33, "rw-", RegionKind::Stack, "[stack]"),
        ],
        handles: vec![Handle {
            number: 3,
            kind: "file".into(),
            name: "/var/log/made-up.log".into(),
            position: Some(812),
            flags: 0o101,
            ..Handle::default()
        }],
        exception: None,
    }
}

fn process() -> Process {
    Process {
        key: ProcessKey {
            pid: 4711,
            start: 998_877,
        },
        parent: 1,
        group: 4711,
        session: 4700,
        name: "made-up".into(),
        comm: "made-up".into(),
        exe: "/usr/bin/made-up".into(),
        command_line: vec!["/usr/bin/made-up".into(), "--secret=abc".into()],
        environment: vec!["PATH=/bin".into(), "TOKEN=hidden".into()],
        user: User {
            uid: 1000,
            gid: 1000,
            euid: 1000,
            egid: 1000,
            name: "someone".into(),
        },
        started: WallTime(1_789_000_000_000_000_000),
        user_time: Duration::from_millis(1250),
        kernel_time: Duration::from_millis(30),
        state: 'S',
        nice: -3,
        auxv: vec![(3, CODE + 64), (6, 4096), (9, CODE + 0x100)],
        stack_start: STACK + 32 * PAGE,
        inner_pid: Some(7),
        container: None,
        service: Some("made-up.service".into()),
        files: vec![
            (
                "cmdline".into(),
                b"/usr/bin/made-up\0--secret=abc\0".to_vec(),
            ),
            ("environ".into(), b"PATH=/bin\0TOKEN=hidden\0".to_vec()),
            ("limits".into(), b"Max open files 1024\n".to_vec()),
            (
                "maps".into(),
                b"555555554000-555555558000 r-xp 00000000 08:01 77 /usr/bin/made-up\n".to_vec(),
            ),
            ("status".into(), b"Name:\tmade-up\nPid:\t4711\n".to_vec()),
        ],
        ..Process::default()
    }
}

fn system() -> System {
    System {
        os: OperatingSystem::Linux,
        architecture: Architecture::X86_64,
        release: "6.18.44".into(),
        version: "#1 SMP PREEMPT_DYNAMIC".into(),
        distribution: "Debian GNU/Linux 12 (bookworm)".into(),
        host: "there".into(),
        cpu_vendor: "GenuineIntel".into(),
        cpu_model: "Made up(R)".into(),
        cpu_signature: 0x000c_06f2,
        cpus: 2,
        page_size: 4096,
        memory_total: 8 << 30,
        memory_available: 3 << 30,
        uptime: Duration::from_secs(86_400),
        ..System::default()
    }
}

fn module() -> Module {
    Module {
        range: Range::new(CODE, CODE + 4 * PAGE),
        path: "/usr/bin/made-up".into(),
        build_id: (1..=20).collect(),
        ..Module::default()
    }
}

/// A thread whose registers and AVX registers follow from `n`.
pub(crate) fn thread(id: u32, n: u64) -> Thread {
    let registers = X86_64 {
        rax: 0xa0 + n,
        rbx: HEAP + 16,
        rsp: STACK + 8 * PAGE + n * 256,
        rbp: 0,
        rip: CODE + 0x123,
        rflags: 0x246,
        cs: 0x33,
        ss: 0x2b,
        fs_base: HEAP + 0x700,
        orig_rax: u64::MAX,
        ..X86_64::default()
    };
    Thread {
        id,
        name: format!("worker {n}"),
        letter: 'S',
        registers: Some(Registers::X86_64(registers)),
        extended: SparseBytes::new(&xsave(n as u8)),
        siginfo: (n == 0).then(|| siginfo(11)),
        signal: if n == 0 { 11 } else { 0 },
        pending: 2 << (n % 32),
        blocked: 1 << 13,
        user_time: Duration::from_micros(1_000_007),
        kernel_time: Duration::from_micros(42),
        priority: 20,
        ..Thread::default()
    }
}

/// An XSAVE area with x87, SSE and AVX, in the standard layout (Intel SDM volume 1, §13.4).
pub(crate) fn xsave(n: u8) -> Vec<u8> {
    let mut area = vec![0; 832];
    area[0..2].copy_from_slice(&0x037fu16.to_le_bytes());
    area[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    area[160..176].fill(0x10 + n);
    // XCR0 as the kernel tells it (`sw_reserved`), XSTATE_BV of the header.
    area[464..472].copy_from_slice(&7u64.to_le_bytes());
    area[512..520].copy_from_slice(&7u64.to_le_bytes());
    area[576..592].fill(0x20 + n);
    area
}

pub(crate) fn siginfo(signal: i32) -> Vec<u8> {
    let mut info = vec![0; 128];
    info[0..4].copy_from_slice(&signal.to_le_bytes());
    info[8..12].copy_from_slice(&1i32.to_le_bytes());
    info[16..24].copy_from_slice(&0xdead_beefu64.to_le_bytes());
    info
}
