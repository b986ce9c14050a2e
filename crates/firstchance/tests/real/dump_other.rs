//! Rows B16 and B17: 32-bit processes, and processes in other namespaces.

use std::{path::Path, process::Command};

use crate::support::{
    Child, Core, Dumped, Firstchance, Program, compile, files_in, folder, proc_status, readelf,
    state_of, wait_until,
};

const IDLE_32: Program = Program::c32("idle32.c");

#[test]
fn b16_a_32_bit_process_has_a_32_bit_core() {
    let exe = compile(&IDLE_32);
    let process = Child::start(&mut Command::new(&exe));
    assert_eq!(process.line(), "ready");
    wait_until("it sleeps", || state_of(process.pid()) == 'S');
    let dumped = Dumped::full(process.pid());
    assert_has_32_bits(&dumped.path, &exe, process.pid());
    assert_eq!(state_of(process.pid()), 'S');
}

fn assert_has_32_bits(dump: &Path, exe: &Path, pid: u32) {
    let header = readelf(&["-h"], dump);
    assert!(
        header.contains("ELF32") && header.contains("Intel 80386"),
        "{header}"
    );
    let core = Core::new(dump, exe);
    assert_eq!(core.threads(), [pid]);
    let registers = core.registers(pid, &["esi", "edi"]);
    let narrow = [registers[0] as u32, registers[1] as u32];
    assert_eq!(narrow, [0x3232_3232, 0xc0de_c0de]);
    let frames = core.gdb(&["bt", "x/wx &marker"]);
    assert!(
        frames.contains("_start") && frames.contains("0x32323232"),
        "{frames}"
    );
}

/// Nobody stops it, and the kernel tells its registers and its signal as those of 64 bits.
#[test]
fn b16_a_32_bit_process_that_dies_has_a_32_bit_core() {
    let exe = compile(&IDLE_32);
    let process = Child::start(&mut Command::new(&exe));
    assert_eq!(process.line(), "ready");
    wait_until("it sleeps", || state_of(process.pid()) == 'S');
    let folder = folder();
    let running = Firstchance::new(&["watch", "--json", &process.pid().to_string()])
        .args(&["--when", "unhandled exception", "--format", "core", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    process.signal(libc::SIGSEGV);
    running.finish().assert_code(0);
    let dump = files_in(folder.path()).remove(0);
    assert_has_32_bits(&dump, &exe, process.pid());
    let sender = Core::new(&dump, &exe).gdb(&["print $_siginfo._sifields._kill.si_pid"]);
    let own = std::process::id().to_string();
    assert!(sender.contains(&own), "{own}: {sender}");
}

#[test]
fn b17_a_process_in_namespaces_of_its_own_has_both_pids() {
    const IDLE: Program = Program::musl("idle.c");
    let root = folder();
    let exe = root.path().join("idle");
    std::fs::copy(compile(&IDLE), &exe).unwrap();
    let mut starter = Command::new("unshare");
    starter.args([
        "--user",
        "--map-root-user",
        "--pid",
        "--mount",
        "--fork",
        "--kill-child",
    ]);
    let starter = Child::start(
        starter
            .arg(format!("--root={}", root.path().display()))
            .arg("/idle"),
    );
    assert_eq!(starter.line(), "ready 1");
    let children = format!("/proc/{0}/task/{0}/children", starter.pid());
    let outer: u32 = std::fs::read_to_string(children)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let dumped = Dumped::full(outer);
    let core = Core::new(&dumped.path, &exe);
    assert_eq!(core.threads(), [outer]);
    let shown = core.gdb(&["bt", "p/x known[0]"]);
    assert!(
        shown.contains("pause") && shown.contains("0x1d1e1d1e1d1e1d1e"),
        "{shown}"
    );
    assert_eq!(
        proc_status(outer, "NSpid")
            .unwrap()
            .split_whitespace()
            .count(),
        2
    );
    assert_eq!(proc_status(outer, "TracerPid").as_deref(), Some("0"));
}
