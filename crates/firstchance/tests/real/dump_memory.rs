//! Rows C1 to C6 and more: memory that is protected, missing or huge, or that blocks whoever reads it.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

use crate::support::{
    Child, Core, DEADLINE, Dumped, Firstchance, Program, Victim, compile, file_in, folder, readelf,
    state_of, victim_exe,
};

const PAGE: u64 = 4096;

/// The word that page `number` of a victim is filled with.
fn pattern(number: u16) -> u64 {
    u64::from_be_bytes(*b"VICTIM\0\0") | u64::from(number)
}

#[test]
fn c1_pages_without_the_right_to_read_have_their_content() {
    let mut victim = Victim::start(&["prot-none-data"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let places = [victim.address("none"), victim.address("write-only")];
    assert_eq!(
        dumped.core().words(&places),
        [Some(pattern(1)), Some(pattern(2))]
    );
}

#[test]
fn c2_a_file_that_became_shorter_leaves_a_hole() {
    let files = folder();
    let mut victim = Victim::start(&["truncated-map", files.path().to_str().unwrap()]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let (shared, private) = (victim.address("shared"), victim.address("private"));
    let words = dumped
        .core()
        .words(&[shared, private, shared + PAGE, private + PAGE]);
    assert_eq!(words[..2], [Some(pattern(1)), Some(pattern(2))]);
    assert!(
        words[2..].iter().all(|word| word.unwrap_or(0) == 0),
        "{words:x?}"
    );
}

#[test]
fn c3_a_page_that_nobody_delivers_is_not_waited_for() {
    let mut victim = Victim::start(&["uffd"]);
    assert!(!victim.has("unavailable"), "{}", victim.fact("unavailable"));
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let start = victim.address("uffd");
    let words = dumped
        .core()
        .words(&[start, start + PAGE, start + 2 * PAGE]);
    assert_eq!((words[0], words[2]), (Some(pattern(0)), Some(pattern(2))));
    assert_eq!(words[1].unwrap_or(0), 0);
}

/// A file system whose server never answers a read. A process that touches such a page cannot even be killed.
#[test]
fn c4_a_hung_file_system_is_not_touched() {
    const HUNG_FUSE: Program = Program::c("hung_fuse.c");
    let mount = folder();
    let mut program = Command::new(compile(&HUNG_FUSE));
    let server = Child::start(program.arg(mount.path()));
    let lines = server.lines_until("ready ");
    let pid: u32 = lines.last().unwrap()["ready ".len()..].parse().unwrap();
    let output = folder();
    let path = output.path().join("x.core");
    for options in [
        &["--full"][..],
        &["--mini", "--format", "core", "--overwrite"],
    ] {
        let running = Firstchance::dump(pid, options, &path).spawn();
        let run = running.finish();
        run.assert_code(0);
    }
    assert_eq!(Core::alone(&path).threads(), [pid]);
    assert_eq!(state_of(pid), 'S');
}

#[test]
fn c5_guard_pages_and_secrets_leave_holes_and_nothing_else() {
    let mut victim = Victim::start(&["guard", "8"]);
    assert!(!victim.has("unavailable"), "{}", victim.fact("unavailable"));
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let start = victim.address("guard");
    let places: Vec<u64> = (0..8 << 20)
        .step_by(64 << 10)
        .map(|at| start + at + 8)
        .collect();
    let words = dumped.core().words(&places);
    assert_eq!(words[0].unwrap_or(0), 0, "the guard page itself");
    assert!(
        words[1..].iter().all(|word| *word == Some(pattern(1))),
        "{words:x?}"
    );
    assert_eq!(
        dumped.core().word(start + PAGE),
        Some(pattern(1)),
        "the page after the guard"
    );
}

#[test]
fn c5_secret_memory_leaves_a_hole() {
    let mut victim = Victim::start(&["secret"]);
    assert!(!victim.has("unavailable"), "{}", victim.fact("unavailable"));
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let word = dumped.core().word(victim.address("secret"));
    assert_eq!(word.unwrap_or(0), 0, "a secret is in the dump");
}

#[test]
fn c5_what_the_process_does_not_want_in_a_dump_is_left_out_and_told() {
    let folder = folder();
    let mut victim = Victim::start(&["advised"]);
    let file = file_in(&folder, "x.core");
    let run = Firstchance::full_dump(victim.pid(), &file).run_well();
    run.assert_says("bytes that the process does not want in a dump (MADV_DONTDUMP) were left out");
    victim.assert_alive();
    let core = Core::new(&file, victim_exe());
    let word = core.word(victim.address("dontdump"));
    assert_eq!(word.unwrap_or(0), 0, "it is in the dump");
}

#[test]
fn c5_the_vdso_is_there_for_unwinding() {
    let victim = Victim::start(&["idle"]);
    let dumped = Dumped::full(victim.pid());
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", victim.pid())).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let start = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    let elf = u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0");
    assert_eq!(dumped.core().word(start), Some(elf));
}

#[test]
fn c6_a_huge_sparse_mapping_is_as_small_as_what_is_in_it() {
    let mut victim = Victim::start(&["sparse", "64"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let on_disk = dumped.path.metadata().unwrap().blocks() * 512;
    assert!(on_disk < 64 << 20, "{} MiB", on_disk >> 20);
    assert!(dumped.run.took < DEADLINE / 3, "{:?}", dumped.run.took);
    let places = [0, 1, 2, 3].map(|number| victim.address(&format!("page-{number}")));
    let words = dumped.core().words(&places);
    assert_eq!(words, [0, 1, 2, 3].map(|number| Some(pattern(number))));
}

/// Of single pages, the dump has little more than them, however far apart they are: near ones are in one segment with holes in the
/// file, others in segments of their own.
#[test]
fn c6_scattered_pages_take_the_room_of_those_pages() {
    for (apart, most_segments) in [(2, 100), (16, 100), (256, 2 * PAGES + 100)] {
        let mut victim = Victim::start(&["scattered", &PAGES.to_string(), &apart.to_string()]);
        let dumped = Dumped::full(victim.pid());
        let resident = resident(victim.pid());
        victim.assert_alive();
        let on_disk = dumped.path.metadata().unwrap().blocks() * 512;
        assert!(
            on_disk < resident / 20 * 21 + (1 << 20),
            "{apart}: {on_disk} for {resident}"
        );
        let first = victim.address("scattered");
        let places = [0, 1, PAGES / 2, PAGES - 1].map(|number| first + number * apart * 4096);
        let words = dumped.core().words(&places);
        let wanted = [0, 1, PAGES / 2, PAGES - 1].map(|number| Some(pattern(number as u16)));
        assert_eq!(words, wanted, "{apart}");
        assert_eq!(dumped.core().word(first + 4096).unwrap_or(0), 0, "{apart}");
        let segments = readelf(&["-lW"], &dumped.path);
        let count = segments.matches("\n  LOAD").count() as u64;
        assert!(count < most_segments, "{apart}: {count} segments");
    }
}

/// How many pages the process has that are scattered: 32 MiB.
const PAGES: u64 = 8192;

/// What a process has in memory, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() << 10
}

#[test]
fn reserved_address_space_is_neither_read_nor_stored() {
    let mut victim = Victim::start(&["reserve", "8"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let on_disk = dumped.path.metadata().unwrap().blocks() * 512;
    assert!(on_disk < 64 << 20, "{} MiB", on_disk >> 20);
    assert!(
        dumped.run.took < Duration::from_secs(20),
        "{:?}",
        dumped.run.took
    );
    let tiny = dumped.core().word(victim.address("reserve"));
    assert_eq!(tiny.unwrap_or(0), 0);
}

#[test]
fn a_large_target_is_dumped_in_little_memory() {
    let mut victim = Victim::start(&["leak", "512"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    assert!(dumped.path.metadata().unwrap().len() > 512 << 20);
    let peak = dumped.run.peak_memory;
    assert!(peak < 64 << 20, "{} MiB", peak >> 20);
}

/// gdb takes what a core lacks from the program's file, or reads zeros: that would be wrong. So a variable has its value,
/// or cannot be read.
#[test]
fn n12_a_variable_has_its_value_or_cannot_be_read() {
    let exe = compile(&Program::c("globals.c"));
    let child = Child::start(&mut Command::new(&exe));
    assert_eq!(child.line(), "ready");
    for (kind, is_readable) in [("--mini", true), ("--triage", false), ("--plus", true)] {
        let dumped = Dumped::with(child.pid(), &[kind, "--format", "core"]);
        let core = Core::new(&dumped.path, &exe);
        for (name, value) in [
            ("state", "42"),
            ("retries", "99"),
            ("total", "12345"),
            ("config", "production.conf"),
        ] {
            let told = core.gdb(&[&format!("print {name}")]);
            let expected = if is_readable {
                value
            } else {
                "Cannot access memory"
            };
            assert!(told.contains(expected), "{kind} {name}: {told}");
        }
        assert!(core.gdb(&["backtrace"]).contains(" main ("), "{kind}");
    }
}

/// Content that is all zeros takes no room on the disk, and is zeros for a debugger.
#[test]
fn s4_zeros_are_holes_of_the_file() {
    const ZEROS: Program = Program::c("zeros.c");
    const MIB: u64 = 64;
    let folder = folder();
    for how in ["--hold", "--clone"] {
        let child = Child::start(Command::new(compile(&ZEROS)).arg(MIB.to_string()));
        let address = child.line();
        let address = u64::from_str_radix(&address[2..], 16).expect("an address");
        let file = file_in(&folder, &format!("x{how}.core"));
        let pid = child.pid().to_string();
        let dump = Firstchance::new(&["dump", "--full", how, &pid, "-o"]).arg(&file);
        dump.run_well();
        let facts = std::fs::metadata(&file).expect("a dump");
        assert!(facts.len() > MIB << 20, "{facts:?}");
        assert!(facts.blocks() * 512 < (MIB << 20) / 4, "{facts:?}");
        let core = Core::new(&file, &compile(&ZEROS));
        let last = address + (MIB << 20) - 8;
        let words = core.words(&[address, address + (MIB << 19), last]);
        assert_eq!(words, [Some(7), Some(0), Some(9 << 32)]);
    }
}
