//! The extended registers of every kind of processor, as gdb and lldb show them from our cores.

mod common;

use common::processors::*;
use std::process::Command;

/// gdb of this system, and with the slow tests gdb 16 of Debian 13.
#[test]
fn gdb_shows_every_processors_registers() {
    for processor in PROCESSORS {
        let core = file(&core_of(&processor, Some([1, 0x7fff_f7bf_ffd8])));
        for (gdb, output) in gdbs(core.to_str().unwrap(), &questions(&processor)) {
            let case = format!("{}, {gdb}:\n{output}", processor.name);
            assert!(!output.contains("reg-xstate"), "{case}");
            for want in answers(&processor) {
                assert!(output.contains(&want), "no {want:?}: {case}");
            }
        }
    }
}

/// lldb 14 knows no more than SSE of a core; what it knows must be right all the same.
#[test]
fn lldb_shows_every_processors_sse_registers() {
    for processor in PROCESSORS {
        let core = file(&core_of(&processor, Some([1, 0x7fff_f7bf_ffd8])));
        let mut lldb = Command::new("lldb");
        lldb.args(["--batch", "--no-lldbinit", "-c", core.to_str().unwrap()]);
        lldb.args(["-o", "register read xmm3", "-o", "register read rip"]);
        // This system has none, such as under Wine.
        let Ok(output) = lldb.output() else {
            return;
        };
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let bytes = vector(&processor, 3).into_iter().take(16);
        let bytes: Vec<String> = bytes.map(|byte| format!("0x{byte:02x}")).collect();
        for want in [&bytes.join(" "), "0x0000555555554123"] {
            let case = processor.name;
            assert!(output.contains(want), "no {want:?}: {case}:\n{output}");
        }
    }
}

/// Expressions for gdb: a register of each kind, but for MPX, which gdb 16 does not know any more.
fn questions(processor: &Processor) -> Vec<&'static str> {
    let has = |number| processor.components().any(|n| n == number);
    let all = [
        (true, "p/x $xmm3.v2_int64"),
        (true, "p/x $xmm15.v2_int64"),
        (has(2), "p/x $ymm3.v4_int64"),
        (has(2), "p/x $ymm15.v4_int64"),
        (has(5), "p/x $k3"),
        (has(6), "p/x $zmm3.v8_int64"),
        (has(7), "p/x $zmm17.v8_int64"),
        (has(7), "p/x $zmm31.v8_int64"),
        (has(9), "p/x $pkru"),
    ];
    let wanted = all.into_iter().filter(|(has, _)| *has);
    wanted.map(|(_, question)| question).collect()
}

fn answers(processor: &Processor) -> Vec<String> {
    let has = |number| processor.components().any(|n| n == number);
    let lanes = |register: usize, bytes: usize| {
        let bytes = &vector(processor, register)[..bytes];
        let lanes = (0..bytes.len() / 8).map(|lane| format!("{:#x}", word(bytes, lane * 8)));
        format!("= {{{}}}", lanes.collect::<Vec<_>>().join(", "))
    };
    let mut all = vec![lanes(3, 16), lanes(15, 16)];
    if has(2) {
        all.extend([lanes(3, 32), lanes(15, 32)]);
    }
    if has(5) {
        all.push(format!("= {:#x}\n", word(&contents(5, 64), 24)));
    }
    if has(7) {
        all.extend([lanes(3, 64), lanes(17, 64), lanes(31, 64)]);
    }
    if has(9) {
        // The register has 32 bits, its component 64.
        let pkru = word(&contents(9, 8), 0) as u32;
        all.push(format!("= {pkru:#x}\n"));
    }
    all
}

/// What each gdb answers, with its name; none where this system has no gdb, such as under Wine.
fn gdbs(core: &str, questions: &[&str]) -> Vec<(&'static str, String)> {
    let mut commands = vec![("gdb of this system", Command::new("gdb"))];
    // `cargo xtask test --all` names a command that runs another in Debian 13.
    if let Some(runner) = std::env::var_os("FIRSTCHANCE_IN_DEBIAN13") {
        let mut newer = Command::new(runner);
        newer.arg("gdb");
        commands.push(("gdb of Debian 13", newer));
    }
    let ask = |(name, mut command): (&'static str, Command)| {
        command.args(["-q", "-batch", "-nx", "-c", core]);
        // Both systems have this folder.
        command.current_dir(std::env::temp_dir());
        questions.iter().for_each(|question| {
            command.args(["-ex", question]);
        });
        match command.output() {
            Ok(output) => {
                let all = [output.stdout, output.stderr].concat();
                Some((name, String::from_utf8_lossy(&all).into_owned()))
            }
            Err(_) if name == "gdb of this system" => None,
            Err(error) => panic!("{name}: {error}"),
        }
    };
    commands.into_iter().filter_map(ask).collect()
}

fn file(bytes: &[u8]) -> tempfile::TempPath {
    let file = tempfile::Builder::new().suffix(".core").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file.into_temp_path()
}
