//! Rows C7 to C11: address spaces with many mappings, and with unusual ones.

use std::process::Command;
use std::time::Duration;

use crate::support::{
    Child, Core, Dumped, Firstchance, Program, Sysctl, Victim, compile, file_in, folder, judge,
    readelf, victim_exe,
};

const PAGE: u64 = 4096;

/// The word that page `number` of a victim is filled with.
fn pattern(number: u16) -> u64 {
    u64::from_be_bytes(*b"VICTIM\0\0") | u64::from(number)
}

fn many_maps(count: u64) {
    let mut victim = Victim::start(&["maps", &count.to_string()]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let start = victim.address("maps");
    let odd = [1, 1001, (count / 2) | 1, count - 1];
    let words = dumped.core().words(&odd.map(|index| start + index * PAGE));
    assert_eq!(words, odd.map(|index| Some(pattern(index as u16))));
    let frames = dumped.core().gdb(&["bt"]);
    assert!(frames.contains("main"), "{frames}");
    assert!(
        dumped.run.peak_memory < 64 << 20,
        "{} MiB",
        dumped.run.peak_memory >> 20
    );
}

#[test]
fn c7_six_thousand_mappings() {
    many_maps(6_022);
}

/// With more segments than the 16 bits of the header can count (PN_XNUM).
#[test]
fn c7_seventy_thousand_mappings() {
    let limit = Sysctl::at_least("vm/max_map_count", 200_000);
    let _limit = limit.expect("the right to set vm.max_map_count (root)");
    many_maps(70_000);
}

#[test]
fn c7_the_count_of_segments_is_where_the_standard_puts_it() {
    let limit = Sysctl::at_least("vm/max_map_count", 200_000);
    let _limit = limit.expect("the right to set vm.max_map_count (root)");
    let victim = Victim::start(&["maps", "140000"]);
    let dumped = Dumped::full(victim.pid());
    let header = readelf(&["-h"], &dumped.path);
    assert!(header.contains("65535 ("), "{header}");
    let segments = readelf(&["-l"], &dumped.path);
    assert!(segments.matches("LOAD ").count() >= 70_000, "{header}");
}

#[test]
fn c8_memory_of_every_kind() {
    let pages = Sysctl::at_least("vm/nr_hugepages", 4);
    let mut victim = Victim::start(&["kinds"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let kinds = ["hugetlb", "thp", "shared", "memfd", "sysv", "named"];
    for (number, kind) in kinds.into_iter().enumerate() {
        if victim.has(&format!("no-{kind}")) {
            // The kernel may have no 2 MiB in one piece, and may be built without names of mappings.
            println!("{kind}: {}", victim.fact(&format!("no-{kind}")));
            assert!(kind == "named" || kind == "hugetlb", "{kind}");
            continue;
        }
        let word = dumped.core().word(victim.address(kind));
        assert_eq!(word, Some(pattern(number as u16)), "{kind}");
    }
    drop(pages);
}

#[test]
fn c8_a_program_whose_file_is_gone() {
    let files = folder();
    let mut victim = Victim::start(&["deleted-exe", files.path().to_str().unwrap()]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let core = Core::alone(&dumped.path);
    let shown = core.gdb(&["info proc mappings", "bt"]);
    assert!(shown.contains("/gone"), "{shown}");
    // The file of the program is gone: its code is only in the dump.
    let with_exe = Core::new(&dumped.path, victim_exe()).gdb(&["bt"]);
    assert!(with_exe.contains("main"), "{with_exe}");
}

/// Regions come and go while they are read without stopping the process.
#[test]
fn c9_maps_that_change_while_they_are_read() {
    let mut victim = Victim::start(&["remap", "4"]);
    for _ in 0..10 {
        let dumped = Dumped::with(victim.pid(), &["--full", "--no-stop"]);
        assert!(
            dumped
                .core()
                .gdb(&["info proc mappings"])
                .contains("victim")
        );
        victim.assert_alive();
    }
    let dumped = Dumped::full(victim.pid());
    assert!(dumped.core().threads().len() >= 5);
    victim.assert_alive();
    victim.assert_counting();
}

#[test]
fn c10_names_that_are_hard_to_parse() {
    let files = folder();
    let mut victim = Victim::start(&["names", files.path().to_str().unwrap()]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let core = dumped.core();
    assert_eq!(core.threads().len(), 7);
    let shown = core.gdb(&["info proc mappings"]);
    for name in ["with space", "ends (deleted)", "[heap]", "tab\there"] {
        assert!(shown.contains(name), "{name:?} in {shown}");
    }
    let places: Vec<u64> = (0..7)
        .map(|n| victim.address(&format!("file-{n}")))
        .collect();
    let words = core.words(&places);
    assert!(
        words.iter().all(|word| *word == Some(pattern(7))),
        "{words:x?}"
    );
    assert_eq!(core.word(victim.address("deep")), Some(pattern(7)));
}

/// The kernel writes an int3 where a uprobe is. A dump has the original code.
#[test]
fn c11_text_under_a_probe_is_as_in_the_file() {
    const PROBED: Program = Program::c("probed.c");
    const UPROBE: Program = Program::c("uprobe.c");
    let exe = compile(&PROBED);
    let target = Child::start(&mut Command::new(&exe));
    let lines = target.lines_until("ready ");
    let word = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim().trim_start_matches("0x"), 16).unwrap()
    };
    let (address, before) = (word("address"), word("bytes"));
    let clean = Dumped::full(target.pid());
    assert_eq!(Core::alone(&clean.path).word(address), Some(before));
    let probe = Child::start(
        Command::new(compile(&UPROBE))
            .arg(&exe)
            .args(["probed", &target.pid().to_string()]),
    );
    assert_eq!(probe.line(), "armed");
    let dumped = Dumped::full(target.pid());
    assert_eq!(Core::alone(&dumped.path).word(address), Some(before));
    assert!(dumped.run.took < Duration::from_secs(30));
}

#[test]
fn a_dump_of_everything_else_opens_too() {
    for kind in ["--plus", "--mini", "--triage"] {
        let mut victim = Victim::start(&["threads", "3"]);
        let folder = folder();
        let path = folder.path().join("x.core");
        Firstchance::dump(victim.pid(), &[kind, "--format", "core"], &path).run_well();
        victim.assert_alive();
        let core = Core::new(&path, victim_exe());
        assert_eq!(core.threads().len(), 4, "{kind}");
        // A triage dump has only stacks, so that gdb does not find the libraries.
        let frames = core.gdb(&["bt"]);
        assert!(
            frames.contains("main") || kind == "--triage",
            "{kind}: {frames}"
        );
    }
}

/// Whoever may write to a file could end or mislead who maps it: neither a target's images nor dumps are mapped.
#[test]
fn n20_no_file_of_another_is_mapped() {
    judge("strace", "strace");
    let victim = Victim::start(&["threads", "3"]);
    let (pid, folder) = (victim.pid_text(), folder());
    let path = |name: &str| folder.path().join(name).to_str().expect("plain").to_owned();
    let (core, other, trace) = (path("x.core"), path("y.core"), path("trace"));
    let rule = ["--when", "exception", "--when", "every 20ms", "-n", "1"];
    let watch = [&["watch", &pid][..], &rule, &["-o", &other]].concat();
    let commands = [
        vec!["dump", &pid, "--full", "-o", &core],
        vec!["inspect", &core, "threads"],
        vec!["dumps", "show", &core],
        watch,
    ];
    for words in commands {
        let strace = ["strace", "-fqqyo", &trace, "-e", "trace=mmap"];
        Firstchance::by(&strace).args(&words).run_well();
        let calls = std::fs::read_to_string(&trace).expect("a trace");
        assert!(calls.contains("mmap("), "strace saw nothing: {words:?}");
        // What the loader maps for firstchance itself, memory of its own, and rings of the kernel's.
        let own = [
            "MAP_DENYWRITE",
            "ANONYMOUS",
            "/ld.so.cache>",
            "/memfd:",
            "anon_inode:",
            "---",
            "<... mmap",
        ];
        let others = calls
            .lines()
            .filter(|call| !own.iter().any(|own| call.contains(own)));
        assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{words:?}");
    }
}

/// Its images are cut short while firstchance reads them: that must not end firstchance.
#[test]
fn n20_images_that_are_cut_short_do_not_end_us() {
    let images = folder();
    let mut truncates = Command::new(compile(&Program::c("truncates.c")));
    let child = Child::start(truncates.arg(images.path()));
    assert_eq!(child.line(), "ready");
    let pid = child.pid().to_string();
    for _ in 0..10 {
        let folder = folder();
        let to = file_in(&folder, "x.core");
        Firstchance::dump(child.pid(), &["--full"], &to).run_well();
        let watch = Firstchance::new(&[
            "watch",
            &pid,
            "--when",
            "exception",
            "--when",
            "every 20ms",
            "-n",
            "2",
            "-o",
        ]);
        watch.arg(folder.path()).run_well();
    }
}
