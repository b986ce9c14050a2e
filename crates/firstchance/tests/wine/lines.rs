//! Names and lines of Windows programs, read on Linux: by DWARF in the program, and by PDB.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::machine::{firstchance, started, windows_path};
use crate::support::{Firstchance, Server, folder, judge, must};

/// The frames of `lines_windows.c`: function, line, and whether it is inlined.
const FRAMES: [(&str, u64, bool); 4] = [
    ("stands", 26, false),
    ("inner", 33, true),
    ("outer", 40, false),
    ("start", 47, false),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/lines_windows.c")
}

/// A dump of the program with all of its memory.
fn dumped(exe: &Path) -> PathBuf {
    let victim = started(exe, &[]);
    let dump = exe.with_extension("dmp");
    let to = windows_path(&dump);
    firstchance(&["dump", "--full", &victim.pid_text(), "-o", &to]).run_well();
    dump
}

/// The frames of the program with what debug information tells of them, as [`FRAMES`].
fn frames(dump: &Path, symbols: &Path) -> Vec<(String, u64, bool)> {
    let inspect = Firstchance::new(&["inspect", "--json", "--symbols"]).arg(symbols);
    told(&inspect.arg(dump).run_well().stdout)
}

fn told(json: &str) -> Vec<(String, u64, bool)> {
    let json: Value = serde_json::from_str(json).expect("JSON");
    let frames = json["threads"][0]["frames"]
        .as_array()
        .expect("frames")
        .clone();
    let own = frames.iter().filter(|frame| frame["module"] == "lines.exe");
    let told = own.map(|frame| {
        let function = frame["function"].as_str().unwrap_or_default();
        let file = frame["file"].as_str().unwrap_or_default();
        assert!(
            file.is_empty() || file.ends_with("lines_windows.c"),
            "{file}"
        );
        (
            function.split('(').next().unwrap_or_default().to_owned(),
            frame["line"].as_u64().unwrap_or(0),
            frame["inlined"] == true,
        )
    });
    told.collect()
}

fn expected() -> Vec<(String, u64, bool)> {
    let owned = |(name, line, inlined): (&str, u64, bool)| (name.to_owned(), line, inlined);
    FRAMES.map(owned).to_vec()
}

#[test]
fn lines_of_mingw_are_in_the_program_itself() {
    let (programs, aside) = (folder(), folder());
    let exe = programs.path().join("lines.exe");
    judge("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64");
    let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
    gcc.args(["-O2", "-g", "-nostdlib", "-e", "start", "-o"])
        .arg(&exe);
    must(gcc.arg(source()).arg("-lkernel32"));
    let dump = dumped(&exe);
    std::fs::copy(&exe, aside.path().join("lines.exe")).expect("a copy");
    assert_eq!(frames(&dump, aside.path()), expected());
}

#[test]
fn lines_of_a_pdb_are_those_of_the_program_that_it_is_of() {
    let (programs, aside) = (folder(), folder());
    let pdb = |folder: &Path| folder.join("lines.pdb");
    let exe = programs.path().join("lines.exe");
    linked(&exe, &pdb(programs.path()), "-O2");
    let dump = dumped(&exe);
    std::fs::rename(pdb(programs.path()), pdb(aside.path())).expect("it moves");
    assert_eq!(frames(&dump, aside.path()), expected());
    assert_eq!(frames(&dump, &pdb(aside.path())), expected());
    // That of the program as another compilation made it.
    let other = folder();
    linked(&other.path().join("lines.exe"), &pdb(other.path()), "-O1");
    let told = frames(&dump, other.path());
    assert!(told.iter().all(|(_, line, _)| *line == 0), "{told:?}");
}

/// The server has it under the name and the identity of the PDB. The path of symbols is that of Microsoft's tools.
#[test]
fn a_symbol_server_is_asked_for_a_pdb() {
    let (programs, cache) = (folder(), folder());
    let (exe, pdb) = (
        programs.path().join("lines.exe"),
        programs.path().join("lines.pdb"),
    );
    linked(&exe, &pdb, "-O2");
    let dump = dumped(&exe);
    let content = std::fs::read(&pdb).expect("the PDB");
    std::fs::remove_file(&pdb).expect("it is there");
    let inspect = |options: &[&str], path: &str| {
        let inspect = Firstchance::new(&["inspect", "--json"])
            .arg(&dump)
            .args(options);
        let cache = cache.path().display().to_string();
        let run = inspect
            .env("XDG_CACHE_HOME", &cache)
            .env("_NT_SYMBOL_PATH", path);
        told(&run.run_well().stdout)
    };
    let json = Firstchance::new(&["inspect", "--json"])
        .arg(&dump)
        .run_well()
        .stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let modules = json["modules"].as_array().expect("modules").iter();
    let mut own = modules.filter(|module| module["pdb"] == "lines.pdb");
    let id = own.next().expect("the program")["build-id"]
        .as_str()
        .expect("an id");
    let path = format!("/lines.pdb/{id}/lines.pdb");
    let server = Server::with(HashMap::from([(path.clone(), content)]));
    let symbol_path = format!("srv*C:\\cache*{}", server.url);
    assert_ne!(inspect(&[], &symbol_path), expected());
    assert!(server.asked().is_empty(), "nobody wanted it");
    for _ in 0..2 {
        assert_eq!(inspect(&["--symbol-server"], &symbol_path), expected());
    }
    let asked = server.asked().into_iter().filter(|asked| *asked == path);
    assert_eq!(asked.count(), 1, "it is kept");
}

/// Compiles the program as Visual C++ does, and links it with its debug information in a PDB.
fn linked(exe: &Path, pdb: &Path, level: &str) {
    judge("clang", "clang");
    let object = exe.with_extension("obj");
    let mut clang = Command::new("clang");
    clang.args([
        "--target=x86_64-pc-windows-msvc",
        level,
        "-g",
        "-gcodeview",
        "-c",
        "-o",
    ]);
    must(clang.arg(&object).arg(source()));
    let library =
        said(Command::new("x86_64-w64-mingw32-gcc").arg("-print-file-name=libkernel32.a"));
    let mut linker = Command::new(rust_lld());
    linker.args([
        "-flavor",
        "link",
        "/subsystem:console",
        "/entry:start",
        "/debug",
    ]);
    linker.args(["/pdbaltpath:lines.pdb", &format!("/pdb:{}", pdb.display())]);
    must(
        linker
            .arg(format!("/out:{}", exe.display()))
            .arg(&object)
            .arg(library),
    );
}

/// The linker that comes with Rust.
fn rust_lld() -> PathBuf {
    let root = said(Command::new("rustc").args(["--print", "sysroot"]));
    let host = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
    Path::new(&root).join(host)
}

fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
