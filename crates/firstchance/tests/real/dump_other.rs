//! Rows B16 and B17: 32-bit processes, and processes in other namespaces.

use std::process::Command;

use crate::support::{
    Child, Core, Dumped, Program, compile, folder, proc_status, readelf, state_of, wait_until,
};

#[test]
fn b16_a_32_bit_process_has_a_32_bit_core() {
    const IDLE_32: Program = Program::c32("idle32.c");
    let exe = compile(&IDLE_32);
    let process = Child::start(&mut Command::new(&exe));
    assert_eq!(process.line(), "ready");
    wait_until("it sleeps", || state_of(process.pid()) == 'S');
    let dumped = Dumped::full(process.pid());
    let header = readelf(&["-h"], &dumped.path);
    assert!(
        header.contains("ELF32") && header.contains("Intel 80386"),
        "{header}"
    );
    let core = Core::new(&dumped.path, &exe);
    assert_eq!(core.threads(), [process.pid()]);
    let registers = core.registers(process.pid(), &["esi", "edi"]);
    let narrow = [registers[0] as u32, registers[1] as u32];
    assert_eq!(narrow, [0x3232_3232, 0xc0de_c0de]);
    let frames = core.gdb(&["bt", "x/wx &marker"]);
    assert!(
        frames.contains("_start") && frames.contains("0x32323232"),
        "{frames}"
    );
    assert_eq!(state_of(process.pid()), 'S');
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
