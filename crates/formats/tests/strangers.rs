//! What we write, judged by programs that others wrote.

mod common;

use common::*;
use snapshot::DumpFormat;
use std::process::Command;

/// What `program` prints; `None` where it is not installed.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let all = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&all).into_owned())
}

fn file(name: &str, bytes: &[u8]) -> tempfile::TempPath {
    let file = tempfile::Builder::new().suffix(name).tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file.into_temp_path()
}

#[track_caller]
fn assert_says(text: &str, wanted: &[&str]) {
    for want in wanted {
        assert!(text.contains(want), "no {want:?} in\n{text}");
    }
}

#[test]
fn gdb_opens_a_core() {
    let snapshot = two_threads();
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    let path = file(".core", &core);
    let path = path.to_str().unwrap();
    let mut arguments = vec!["-q", "-batch", "-nx", "-c", path];
    let commands = [
        "info threads",
        "info registers rip rax",
        "p $ymm0.v32_int8",
        "p $_siginfo.si_signo",
        "p/x $_siginfo._sifields._sigfault.si_addr",
        "info auxv",
        "info proc mappings",
        "info proc cmdline",
        "x/1xb 0x555555560000",
    ];
    commands.iter().for_each(|c| arguments.extend(["-ex", c]));
    let Some(text) = output("gdb", &arguments) else {
        return;
    };
    println!("{text}");
    assert_says(
        &text,
        &[
            "terminated with signal SIGSEGV",
            "LWP 4711",
            "LWP 4712",
            "0x555555554123",
            "{16 <repeats 16 times>, 32 <repeats 16 times>}",
            "= 11",
            "0xdeadbeef",
            "AT_PHDR",
            "/usr/bin/made-up",
            &format!("0x{:02x}", byte_at(HEAP)),
        ],
    );
}
