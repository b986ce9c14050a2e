//! What we write, judged by programs that others wrote.

mod common;

use common::*;
use snapshot::{DumpFormat, DumpKind, Selection};
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

/// What gdb says of a core, without the names that differ from file to file.
fn gdb_view(program: &str, core: &str) -> Option<String> {
    let mut arguments = vec!["-q", "-batch", "-nx", "-iex", "set debuginfod enabled off"];
    arguments.extend(["-iex", "set auto-load off", program, core]);
    let commands = [
        "info threads",
        "thread apply all bt",
        "thread apply all info registers",
        "thread apply all p $ymm0",
        "info sharedlibrary",
        "info proc mappings",
        "info auxv",
        "x/20gx $sp",
    ];
    commands.iter().for_each(|c| arguments.extend(["-ex", c]));
    output("gdb", &arguments)
}

/// Reads what gdb's own `gcore` wrote, writes it again, and lets gdb compare.
#[test]
fn gdb_sees_the_same_in_gcores_core_and_in_ours_made_from_it() {
    let Ok(mut child) = Command::new("python3")
        .args(["-c", "import threading,time\nfor _ in range(3): threading.Thread(target=time.sleep,args=(60,)).start()\nprint(1,flush=True)\n"])
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return;
    };
    std::io::Read::read(child.stdout.as_mut().unwrap(), &mut [0; 2]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("theirs");
    let pid = child.id().to_string();
    let done = output("gcore", &["-o", prefix.to_str().unwrap(), &pid]);
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let theirs = folder.path().join(format!("theirs.{pid}"));
    let Ok(bytes) = std::fs::read(&theirs) else {
        println!("no gcore: {done:?}");
        return;
    };
    let dump = read(&bytes).unwrap();
    assert_eq!(dump.producer, "gdb");
    assert_eq!(dump.snapshot.threads.len(), 4);
    assert_eq!(dump.warnings, Vec::<String>::new());
    let selection = Selection {
        ranges: dump.ranges.clone(),
        kind: DumpKind::Full,
        ..Selection::default()
    };
    let space = formats::RecordSpace::default();
    let plan = formats::plan(DumpFormat::Core, &dump.snapshot, &selection, space);
    let ours = file(".core", &carry_out(&plan, &dump.memory, b""));
    let program = program.to_str().unwrap();
    let Some(want) = gdb_view(program, theirs.to_str().unwrap()) else {
        return;
    };
    let got = gdb_view(program, ours.to_str().unwrap()).unwrap();
    assert_says(&want, &["libc.so.6", "AT_PHDR", "LWP"]);
    for (want, got) in want.lines().zip(got.lines()) {
        assert_eq!(want, got);
    }
    assert_eq!(want, got);
}

#[test]
fn readelf_finds_nothing_wrong_with_a_core() {
    let snapshot = two_threads();
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    let path = file(".core", &core);
    let Some(text) = output("readelf", &["-hlnW", path.to_str().unwrap()]) else {
        return;
    };
    assert_says(
        &text,
        &[
            "CORE (Core file)",
            "NT_PRSTATUS",
            "NT_X86_XSTATE",
            "FIRSTCHANCE",
        ],
    );
    let complaints = ["arning", "rror", "out of range", "corrupt"];
    assert!(!complaints.iter().any(|c| text.contains(c)), "{text}");
}

fn lldb_view(path: &str) -> Option<String> {
    let commands = [
        "thread list",
        "register read rip",
        "memory read -c 4 0x555555560000",
        "image list",
    ];
    let mut arguments = vec!["--batch", "--no-lldbinit", "-c", path];
    commands.iter().for_each(|c| arguments.extend(["-o", c]));
    output("lldb", &arguments)
}

#[test]
fn lldb_opens_a_core_and_a_minidump() {
    let snapshot = two_threads();
    for format in [DumpFormat::Core, DumpFormat::Minidump] {
        let dump = write(format, &snapshot, &everything(&snapshot));
        let path = file(&format!(".{}", format.extension()), &dump);
        let Some(text) = lldb_view(path.to_str().unwrap()) else {
            return;
        };
        println!("{text}");
        let byte = |n: u64| format!("{:02x}", byte_at(HEAP + n));
        let memory = format!(
            "0x555555560000: {} {} {} {}",
            byte(0),
            byte(1),
            byte(2),
            byte(3)
        );
        assert_says(
            &text,
            &["thread #1", "thread #2", "0x0000555555554123", &memory],
        );
        assert!(!text.contains("thread #3"), "{text}");
        if format == DumpFormat::Minidump {
            assert_says(&text, &["/usr/bin/made-up"]);
        }
    }
}

#[test]
fn minidump_stackwalk_opens_a_minidump() {
    let mut snapshot = two_threads();
    snapshot.exception = Some(snapshot::Exception {
        thread: 4711,
        code: 11,
        flags: 1,
        address: 0xdead_beef,
        ..snapshot::Exception::default()
    });
    let dump = write(DumpFormat::Minidump, &snapshot, &everything(&snapshot));
    let path = file(".dmp", &dump);
    let home = std::env::var("HOME").unwrap_or_default();
    let path = path.to_str().unwrap();
    let program = format!("{home}/.cargo/bin/minidump-stackwalk");
    let Some(text) = output(&program, &["--human", path])
        .or_else(|| output("minidump-stackwalk", &["--human", path]))
    else {
        return;
    };
    println!("{text}");
    assert_says(
        &text,
        &[
            "SIGSEGV / SEGV_MAPERR",
            "Thread 0",
            "Thread 1",
            "made-up",
            "worker 1",
            "6.18.44",
        ],
    );
}

/// What gdb answers to `commands` about a core.
fn gdb(core: &[u8], commands: &[&str]) -> Option<String> {
    let path = file(".core", core);
    let mut arguments = vec!["-q", "-batch", "-nx", "-c", path.to_str()?];
    commands.iter().for_each(|c| arguments.extend(["-ex", c]));
    output("gdb", &arguments)
}

#[test]
fn gdb_opens_a_core_with_seventy_thousand_segments() {
    let mut snapshot = two_threads();
    let many = (0..70_000).map(|n| {
        region(
            0x1000_0000 + n * 2 * PAGE,
            1,
            "rw-",
            snapshot::RegionKind::Private,
            "",
        )
    });
    snapshot.regions.splice(0..0, many);
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    let last = 0x1000_0000 + 69_999 * 2 * PAGE;
    let (heap, last) = (format!("x/1xb {HEAP:#x}"), format!("x/1xb {last:#x}"));
    let Some(text) = gdb(&core, &["info threads", &heap, &last]) else {
        return;
    };
    let byte = |at| format!("{at:#x}:\t0x{:02x}", byte_at(at));
    let want = [byte(HEAP), byte(0x1000_0000 + 69_999 * 2 * PAGE)];
    assert_says(&text, &["LWP 4711", "LWP 4712", &want[0], &want[1]]);
}

#[test]
fn gdb_opens_a_32_bit_core_with_its_floating_point_registers() {
    let mut snapshot = two_threads();
    snapshot.system.architecture = snapshot::Architecture::X86;
    snapshot.process.auxv = vec![(6, 4096)];
    snapshot.modules.clear();
    snapshot.regions = vec![region(
        0x0804_8000,
        4,
        "r-x",
        snapshot::RegionKind::Image,
        "/bin/x",
    )];
    for thread in &mut snapshot.threads {
        thread.registers = Some(snapshot::Registers::X86(snapshot::X86 {
            eip: 0x0804_8123,
            esp: 0x0804_9000,
            cs: 0x23,
            ..snapshot::X86::default()
        }));
        let mut area = xsave(1);
        // ST(0) = 1.0 in physical register 7.
        area[2..4].copy_from_slice(&(7u16 << 11).to_le_bytes());
        area[4] = 0x80;
        area[32 + 7] = 0x80;
        area[32 + 8..32 + 10].copy_from_slice(&0x3fffu16.to_le_bytes());
        thread.extended = snapshot::SparseBytes::new(&area);
    }
    let core = write(DumpFormat::Core, &snapshot, &everything(&snapshot));
    let commands = [
        "info threads",
        "p $eip",
        "p $st0",
        "p/x $ftag",
        "p $ymm0.v32_int8",
    ];
    let Some(text) = gdb(&core, &commands) else {
        return;
    };
    let ymm = "{17 <repeats 16 times>, 33 <repeats 16 times>}";
    assert_says(&text, &["LWP 4712", "0x8048123", "= 1\n", "0x3fff", ymm]);
}
