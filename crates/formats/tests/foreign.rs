//! Dumps of other programs and systems, made from their parts as those write them, and judged by strangers: what lldb,
//! minidump-stackwalk and eu-readelf say of the same bytes is what is read here.

// The judges are not there under Wine.
#![cfg(unix)]

mod common;

use common::foreign::*;
use common::*;
use formats::ReadError;
use snapshot::*;
use std::process::Command;

const LINUX: u32 = 0x8201;
const WINDOWS: u32 = 2;
const X86: u16 = 0;
const AMD64: u16 = 9;

/// What a tool prints of a file with these bytes.
fn told_by(tool: &str, arguments: &[&str], bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new(tool).args(arguments).arg(file.path()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} is needed: {error}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[track_caller]
fn assert_says(text: &str, wanted: &[&str]) {
    for want in wanted {
        assert!(text.contains(want), "no {want:?} in\n{text}");
    }
}

fn exception_of(file: &[u8]) -> Exception {
    read(file)
        .unwrap()
        .snapshot
        .exception
        .expect("an exception")
}

#[test]
fn a_core_of_netbsd_is_called_so_and_its_threads_are_those_that_lldb_shows() {
    let file = netbsd();
    let dump = read(&file).unwrap();
    let snapshot = &dump.snapshot;
    assert_eq!(snapshot.system.os.name(), "NetBSD");
    assert_eq!(snapshot.process.key.pid, 622);
    assert_eq!(
        (&snapshot.process.name[..], snapshot.process.user.uid),
        ("shop", 1000)
    );
    let fault = snapshot.exception.as_ref().expect("a fault");
    assert_eq!(
        (fault.thread, fault.code, fault.told),
        (2, 11, Told::OnlySignal)
    );
    let ip = |thread: &Thread| thread.registers.map(|r| r.ip());
    let threads: Vec<_> = snapshot.threads.iter().map(|t| (t.id, ip(t))).collect();
    assert_eq!(threads, [(2, Some(0x1_0200)), (1, Some(0x1_0100))]);
    assert_says(&dump.warnings.join("\n"), &["NetBSD", "lldb"]);
    let commands = [
        "--batch",
        "--no-lldbinit",
        "-o",
        "thread list",
        "-o",
        "register read",
        "-c",
    ];
    let text = told_by("lldb", &commands, &file);
    assert_says(
        &text,
        &[
            "Process 622",
            "tid = 2, 0x0000000000010200",
            "tid = 1, 0x0000000000010100",
            "rdi = 0x00000000000000d1",
        ],
    );
}

#[test]
fn a_core_of_freebsd_is_called_so() {
    let mut status = vec![0; 48 + 176];
    for (at, word) in [(0usize, 1u32), (36, 6), (40, 100_100)] {
        status[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    let rip = 48 + 15 * 8 + 16;
    status[rip..rip + 8].copy_from_slice(&0x1_0300u64.to_le_bytes());
    let mut info = vec![0; 120];
    info[16..20].copy_from_slice(b"shop");
    info[33..45].copy_from_slice(b"shop --port ");
    info[116..120].copy_from_slice(&4711u32.to_le_bytes());
    let mut name = vec![0; 24];
    name[..6].copy_from_slice(b"worker");
    let notes = [
        note("FreeBSD", 3, &info),
        note("FreeBSD", 1, &status),
        note("FreeBSD", 7, &name),
    ];
    let mut file = core(62, &notes);
    // ELFOSABI_FREEBSD, by which lldb knows it.
    file[7] = 9;
    let dump = read(&file).unwrap();
    let snapshot = &dump.snapshot;
    assert_eq!(snapshot.system.os.name(), "FreeBSD");
    assert_eq!(
        (snapshot.process.key.pid, &snapshot.process.name[..]),
        (4711, "shop")
    );
    let thread = &snapshot.threads[0];
    assert_eq!((thread.id, &thread.name[..]), (100_100, "worker"));
    assert_eq!(thread.registers.map(|r| r.ip()), Some(0x1_0300));
    assert_eq!(exception_of(&file).code, 6);
    let commands = [
        "--batch",
        "--no-lldbinit",
        "-o",
        "thread list",
        "-o",
        "register read rip",
        "-c",
    ];
    let text = told_by("lldb", &commands, &file);
    assert_says(&text, &["tid = 100100", "rip = 0x0000000000010300"]);
}

#[test]
fn breakpads_exceptions_on_linux_tell_a_reason_only_where_they_have_one() {
    let of = |code, flags, more: Option<(u32, Vec<u8>)>| {
        let system = system_info(AMD64, LINUX, [6, 1, 0]);
        let streams = [
            (7, system),
            (6, exception(11, code, flags, 0x45, &[])),
            (3, one_thread(11)),
        ];
        minidump(&[&streams[..], more.as_slice()].concat())
    };
    let told = |file: &[u8]| {
        let exception = exception_of(file);
        (
            exception.code,
            exception.flags,
            exception.address,
            exception.told,
        )
    };
    assert_eq!(told(&of(11, 1, None)), (11, 1, 0x45, Told::All));
    assert_eq!(told(&of(11, 0, None)), (11, 0, 0x45, Told::NoReason));
    // Crashpad always has the code: 0 is SI_USER.
    let crashpad = Some((0x4350_0001, vec![0; 52]));
    assert_eq!(told(&of(11, 0, crashpad)).3, Told::All);
    let asked = of(u32::MAX, 0, None);
    assert!(exception_of(&asked).is_dump_request());
    assert_says(
        &told_by("minidump-stackwalk", &[], &asked),
        &["DUMP_REQUESTED"],
    );
    let text = told_by("minidump-stackwalk", &[], &of(11, 1, None));
    assert_says(&text, &["SIGSEGV / SEGV_MAPERR", "0x0000000000000045"]);
}

#[test]
fn a_minidump_of_crashpad_on_macos_is_read_with_its_padding_and_annotations() {
    let file = crashpad_on_macos();
    let dump = read(&file).unwrap();
    let system = &dump.snapshot.system;
    assert_eq!((system.os.name(), &system.release[..]), ("macOS", "13.6.1"));
    assert_eq!(dump.producer, "Crashpad");
    assert_eq!(dump.snapshot.threads.len(), 1);
    assert_eq!(
        dump.ranges,
        [Range::new(0x7000_0000_1000, 0x7000_0000_1010)]
    );
    let exception = dump.snapshot.exception.as_ref().expect("an exception");
    assert_eq!(
        (exception.code, exception.flags, exception.address),
        (1, 2, 0x45)
    );
    let comments: Vec<_> = dump
        .comments
        .iter()
        .map(|c| (&c.key[..], &c.text[..]))
        .collect();
    assert_eq!(comments, [("ver", "1.4.3")]);
    let process = &dump.snapshot.process;
    assert_eq!(
        (&process.user.name[..], process.key.pid, process.state),
        ("", 0, ' ')
    );
    let text = told_by("minidump-stackwalk", &[], &file);
    assert_says(
        &text,
        &[
            "Mac OS X",
            "EXC_BAD_ACCESS / KERN_PROTECTION_FAILURE",
            "13.6.1",
        ],
    );
}

#[test]
fn addresses_of_32_bit_processes_have_32_bits() {
    let signed = |address: u32| u64::from(address) | 0xffff_ffff_0000_0000;
    let mut module = vec![0; 108];
    module[..8].copy_from_slice(&signed(0x8040_0000).to_le_bytes());
    module[8..12].copy_from_slice(&0x1000u32.to_le_bytes());
    // Its name stands behind the other streams: "a.exe".
    let name = first_stream(5) + 56 + 168 + 4 + 108;
    module[20..24].copy_from_slice(&name.to_le_bytes());
    let text: Vec<u8> = "a.exe".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let name = [10u32.to_le_bytes().to_vec(), text, vec![0, 0]].concat();
    let modules = [1u32.to_le_bytes().to_vec(), module].concat();
    let words = [1, signed(0xf000_0045)];
    let file = minidump(&[
        (7, system_info(X86, WINDOWS, [10, 0, 19045])),
        (
            6,
            exception(11, 0xc000_0005, 0, signed(0x8040_0010), &words),
        ),
        (4, modules),
        (0xffff_0001, name),
        (3, one_thread(11)),
    ]);
    let dump = read(&file).unwrap();
    let exception = dump.snapshot.exception.as_ref().expect("an exception");
    assert_eq!(exception.address, 0x8040_0010);
    assert_eq!(exception.parameters, [1, 0xf000_0045]);
    assert_eq!(
        dump.snapshot.modules[0].range,
        Range::new(0x8040_0000, 0x8040_1000)
    );
    assert_says(&told_by("minidump-stackwalk", &[], &file), &["0xf0000045"]);
}

#[test]
fn comments_of_procdump_are_read_once() {
    let text = "*** procdump -ma 4711\n*** Process exceeded 85% CPU";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let system = (7, system_info(AMD64, WINDOWS, [10, 0, 19045]));
    let file = minidump(&[
        system,
        (10, [text.as_bytes(), b"\0"].concat()),
        (11, [wide, vec![0, 0]].concat()),
    ]);
    let comments = read(&file).unwrap().comments;
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert_eq!(comments[0].text, text);
}

#[test]
fn annotations_that_all_lie_at_one_place_are_bounded() {
    let mut info = vec![0; 36];
    let at = first_stream(1) + 52;
    for word in [4 + 8 * 100_000u32, at, 0, 0] {
        info.extend(word.to_le_bytes());
    }
    let text = at + 4 + 8 * 100_000;
    info.extend(100_000u32.to_le_bytes());
    for _ in 0..200_000 {
        info.extend(text.to_le_bytes());
    }
    info.extend((1u32 << 20).to_le_bytes());
    info.extend(vec![b'x'; 1 << 20]);
    let dump = read(&minidump(&[(0x4350_0001, info)])).unwrap();
    let bytes: usize = dump
        .comments
        .iter()
        .map(|c| c.key.len() + c.text.len())
        .sum();
    assert!(bytes <= 1 << 20, "{bytes}");
}

/// The registers of a core that we write for that processor, as they were, and what eu-readelf prints of it.
fn through_a_core(architecture: Architecture, registers: Registers) -> (Registers, String) {
    let mut snapshot = two_threads();
    snapshot.system.architecture = architecture;
    snapshot.threads.truncate(1);
    snapshot.threads[0].registers = Some(registers);
    snapshot.threads[0].extended = SparseBytes::default();
    snapshot.regions.truncate(0);
    let file = write(DumpFormat::Core, &snapshot, &Selection::default());
    let text = told_by("eu-readelf", &["-n"], &file);
    (
        read(&file).unwrap().snapshot.threads[0]
            .registers
            .expect("registers"),
        text,
    )
}

#[test]
fn cores_of_other_processors_have_the_registers_that_eu_readelf_prints() {
    let arm = Arm {
        r: std::array::from_fn(|n| 0x100 + n as u32),
        ..Arm::default()
    };
    let arm = Registers::Arm(arm);
    let (told, text) = through_a_core(Architecture::Arm, arm);
    assert_eq!(told, arm);
    assert_eq!((arm.ip(), arm.sp()), (0x10f, 0x10d));
    assert_says(&text, &["r3:           259", "pc:    0x0000010f"]);

    let riscv = Registers::RiscV64(RiscV64 {
        pc: 0x200,
        x: std::array::from_fn(|n| 0x201 + n as u64),
    });
    let (told, text) = through_a_core(Architecture::RiscV64, riscv);
    assert_eq!(told, riscv);
    assert_eq!((riscv.ip(), riscv.sp()), (0x200, 0x202));
    assert_says(
        &text,
        &["pc: 0x0000000000000200", "sp:    0x0000000000000202"],
    );
}

#[test]
fn minidumps_of_other_processors_have_their_registers() {
    let arm = Arm {
        r: std::array::from_fn(|n| 0x100 + n as u32),
        ..Arm::default()
    };
    let mut riscv = RiscV64 {
        pc: 0x200,
        ..RiscV64::default()
    };
    riscv.x[1] = 0x7000;
    for (architecture, registers) in [
        (Architecture::Arm, Registers::Arm(arm)),
        (Architecture::RiscV64, Registers::RiscV64(riscv)),
    ] {
        let mut snapshot = two_threads();
        snapshot.system.architecture = architecture;
        snapshot
            .threads
            .iter_mut()
            .for_each(|t| t.registers = Some(registers));
        let mut file = write(DumpFormat::Minidump, &snapshot, &Selection::default());
        let at = file
            .windows(6)
            .position(|part| part == b"FCSNAP")
            .expect("our stream");
        file[at] = b'X';
        let dump = read(&file).unwrap();
        assert_eq!(dump.snapshot.system.architecture, architecture);
        assert_eq!(dump.snapshot.threads[1].registers, Some(registers));
        if architecture == Architecture::Arm {
            let text = told_by("minidump-stackwalk", &[], &file);
            assert_says(&text, &["CPU: arm", "r3 = 0x00000103", "pc = 0x0000010f"]);
        }
    }
}

#[test]
fn breakpads_older_context_of_arm64_is_read() {
    let mut context = 0x8000_0002u64.to_le_bytes().to_vec();
    (0..33u64).for_each(|n| context.extend((0x100 + n).to_le_bytes()));
    context.resize(796, 0);
    let system = system_info(0x8003, 0x8102, [9, 3, 0]);
    let at = first_stream(3) + system.len() as u32 + 4 + 48;
    let mut threads = 1u32.to_le_bytes().to_vec();
    threads.extend(7u32.to_le_bytes());
    threads.resize(4 + 40, 0);
    threads.extend([796u32, at].map(u32::to_le_bytes).concat());
    let file = minidump(&[(7, system), (3, threads), (0xffff_0001, context)]);
    let dump = read(&file).unwrap();
    assert_eq!(dump.snapshot.system.os.name(), "iOS");
    let registers = dump.snapshot.threads[0].registers.expect("registers");
    assert_eq!((registers.sp(), registers.ip()), (0x11f, 0x120));
}

#[test]
fn dumps_of_other_kinds_are_called_by_name() {
    let big_endian = {
        let mut file = core(62, &[]);
        (file[5], file[16], file[17]) = (2, 0, 4);
        (file[18], file[19]) = (0, 22);
        file
    };
    let mach = [0xfeed_facfu32, 0x0100_0007, 3, 4]
        .map(u32::to_le_bytes)
        .concat();
    let vmcore = core(62, &[note("VMCOREINFO", 0, b"OSRELEASE=6.1")]);
    let mips = minidump(&[(7, system_info(1, LINUX, [4, 0, 0]))]);
    let log = b"W/google-breakpad( 1): -----BEGIN BREAKPAD MICRODUMP-----\n".to_vec();
    for (file, what, reader) in [
        (
            b"PAGEDU64 and so on".to_vec(),
            "Windows kernel (64-bit)",
            "WinDbg",
        ),
        (
            b"PAGEDUMP and so on".to_vec(),
            "Windows kernel (32-bit)",
            "WinDbg",
        ),
        (
            b"PMDM\0\0\xa7\x93".to_vec(),
            "big-endian",
            "minidump-stackwalk",
        ),
        (log, "a microdump", "microdump_stackwalk"),
        (big_endian, "big-endian S/390", "gdb-multiarch"),
        (core(8, &[]), "a MIPS processor", "gdb-multiarch"),
        (mips, "a minidump of a MIPS processor", "minidump-stackwalk"),
        (mach, "macOS", "lldb"),
        (vmcore, "vmcore", "crash"),
        (
            b"JAVA PROFILE 1.0.2\0".to_vec(),
            "heap dump of Java",
            "Eclipse",
        ),
    ] {
        let error = read(&file).err().expect("an error");
        assert!(matches!(error, ReadError::Other { .. }), "{error:?}");
        assert!(formats::may_be_dump(&file), "{error}");
        let text = error.of_file("x.dmp");
        assert_says(&text, &["x.dmp is a", what, "does not read", reader]);
    }
}

#[test]
fn what_only_speaks_of_dumps_is_none() {
    let source = b"const char begin[] = \"-----BEGIN BREAKPAD MICRODUMP-----\";\n";
    let program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0";
    for file in [&source[..], program] {
        assert!(!formats::may_be_dump(file));
        assert!(!matches!(read(file).err(), Some(ReadError::Other { .. })));
    }
}

#[test]
fn what_is_missing_of_a_truncated_core_is_said() {
    let snapshot = two_threads();
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    let warnings = |length: usize| read(&core[..length]).unwrap().warnings.join("\n");
    let lost = warnings(core.len() - 100_000);
    assert_says(
        &lost,
        &["the file is truncated", "bytes of memory are missing"],
    );
    assert_says(&warnings(1000), &["which tell of threads"]);
}

/// Two libraries within a package, of which each is mapped with two parts.
struct Package {
    image: Vec<u8>,
}

const PACKAGE: [u64; 2] = [0x7000_0000_0000, 0x7000_0010_0000];

impl Memory for Package {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let bases = PACKAGE.iter().rev();
        let Some(base) = bases.copied().find(|base| *base <= address) else {
            return 0;
        };
        let start = ((address - base) as usize).min(self.image.len());
        let there = &self.image[start..];
        let count = there.len().min(buf.len());
        buf[..count].copy_from_slice(&there[..count]);
        count
    }
}

#[test]
fn libraries_within_a_package_of_android_have_their_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("lib.so");
    // One segment holds all of it, so that it lies in memory as in the file.
    let built = Command::new("cc")
        .args([
            "-shared",
            "-nostdlib",
            "-Wl,-soname,libshop.so",
            "-Wl,-N",
            "-x",
            "c",
            "-",
            "-o",
        ])
        .arg(&library)
        .stdin(std::process::Stdio::null())
        .status()
        .expect("cc is needed");
    assert!(built.success());
    let image = std::fs::read(&library).unwrap();
    let mut snapshot = two_threads();
    let apk = "/data/app/shop/base.apk";
    snapshot.regions = PACKAGE
        .iter()
        .enumerate()
        .map(|(n, base)| Region {
            offset: 0x4000 + 0x10_0000 * n as u64,
            ..region(*base, 8, "r-x", RegionKind::Mapped, apk)
        })
        .collect();
    let selection = Selection {
        ranges: snapshot.regions.iter().map(|region| region.range).collect(),
        ..Selection::default()
    };
    let plan = formats::plan(DumpFormat::Core, &snapshot, &selection, Default::default());
    let mut file = carry_out(&plan, &Package { image }, b"");
    let at = file
        .windows(6)
        .position(|part| part == b"FCSNAP")
        .expect("our note");
    file[at] = b'X';
    let modules = read(&file).unwrap().snapshot.modules;
    let told: Vec<_> = modules
        .iter()
        .map(|m| (m.range.start, &m.path[..]))
        .collect();
    let name = format!("{apk}!libshop.so");
    assert_eq!(told, PACKAGE.map(|base| (base, &name[..])));
}
