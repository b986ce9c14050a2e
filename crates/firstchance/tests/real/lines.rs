//! Names and lines of frames in `inspect`: those of gdb, wherever the debug information comes from.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Child, Core, Firstchance, Program, Server, compile, file_in, folder, must, state_of, wait_until,
};

const C: Program = Program::c("lines.c").with(&["-O2", "-g", "-pthread"]);
const CPP: Program = Program::cpp("lines.cpp").with(&["-O2", "-g"]);
const RUST: Program = Program::rust("lines.rs").with(&["-O", "-g"]);
const NO_BUILD_ID: Program =
    Program::c("lines.c").with(&["-O2", "-g", "-pthread", "-Wl,--build-id=none"]);

/// Prints the frames of each thread that lie in the program itself. gdb also shows calls that leave nothing on the stack (tail
/// calls); these are left out.
const FRAMES: &str = "
import gdb
gdb.execute('set backtrace past-main on')
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame = gdb.newest_frame()
    while frame is not None:
        own = gdb.solib_name(frame.pc()) is None
        if own and frame.type() not in (gdb.TAILCALL_FRAME, gdb.SIGTRAMP_FRAME):
            sal = frame.find_sal()
            file = sal.symtab.fullname() if sal.symtab else '-'
            inlined = frame.type() == gdb.INLINE_FRAME
            print('frame', thread.ptid[1], frame.name(), file, sal.line, inlined, sep='\\t')
        frame = frame.older()
";

/// A frame: thread, function without its parameters, file, line, and whether it is inlined.
type Frame = (u64, String, String, u64, bool);

fn of_gdb(core: &Path, exe: &Path) -> Vec<Frame> {
    let folder = folder();
    let script = file_in(&folder, "frames.py");
    fs::write(&script, FRAMES).expect("a script for gdb");
    let answer = Core::new(core, exe).gdb(&[&format!("source {}", script.display())]);
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("frame\t"));
    let frame = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [thread, name, file, line, inlined] = parts[..] else {
            panic!("{answer}");
        };
        let number = |text: &str| text.parse().expect("a number");
        (
            number(thread),
            plain(name),
            file.to_owned(),
            number(line),
            inlined == "True",
        )
    };
    let mut frames: Vec<Frame> = lines.map(frame).collect();
    assert!(frames.len() > 3, "{answer}");
    frames.sort_by_key(|frame| frame.0);
    frames
}

/// The name without parameters and generic arguments, and closures without their numbers: each tool writes them in its own way.
fn plain(name: &str) -> String {
    let (mut text, mut depth) = (String::new(), 0);
    let name = name.replace("{closure#0}", "{{closure}}");
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' if depth == 0 => break,
            letter if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text
}

fn json(dump: &Path, options: &[&str]) -> Value {
    let run = inspect(dump, options).args(&["--json"]).run_well();
    serde_json::from_str(&run.stdout).expect("JSON")
}

/// Reads a dump. No server of the machine's own settings is asked.
fn inspect(dump: &Path, options: &[&str]) -> Firstchance {
    Firstchance::new(&["inspect"])
        .env("DEBUGINFOD_URLS", "")
        .arg(dump)
        .args(options)
}

/// The frames in this module, as in [`of_gdb`].
fn of_inspect(json: &Value, module: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    for thread in json["threads"].as_array().expect("threads") {
        let own = thread["frames"].as_array().expect("frames").iter();
        for frame in own.filter(|frame| frame["module"] == module) {
            frames.push((
                thread["id"].as_u64().expect("an id"),
                plain(frame["function"].as_str().unwrap_or("None")),
                frame["file"].as_str().unwrap_or("-").to_owned(),
                frame["line"].as_u64().unwrap_or(0),
                frame["inlined"].as_bool().expect("a word"),
            ));
        }
    }
    frames.sort_by_key(|frame| frame.0);
    frames
}

/// A dump of a program that stands.
struct Stood {
    folder: TempDir,
    exe: PathBuf,
    core: PathBuf,
}

impl Stood {
    /// Starts the file in a folder of its own, and takes a dump.
    fn of(program: &Path, arguments: &[&str]) -> Stood {
        Self::prepared(program, arguments, |_| {})
    }

    /// As [`Stood::of`], with a copy of the program that is changed before it is started.
    fn prepared(program: &Path, arguments: &[&str], prepare: impl Fn(&Path)) -> Stood {
        let folder = folder();
        let exe = file_in(&folder, "app");
        fs::copy(program, &exe).expect("a copy");
        prepare(&exe);
        let child = Child::start(Command::new(&exe).args(arguments));
        assert_eq!(child.line(), "ready");
        let threads = || crate::support::threads_of(child.pid());
        let stands = |thread: &u32| {
            let call = fs::read_to_string(format!("/proc/{thread}/syscall"));
            state_of(*thread) == 'S' && call.is_ok_and(|call| !call.starts_with("running"))
        };
        wait_until("all threads wait", || threads().iter().all(stands));
        let core = file_in(&folder, "app.core");
        Firstchance::full_dump(child.pid(), &core).run_well();
        Stood { folder, exe, core }
    }

    fn path(&self, name: &str) -> PathBuf {
        file_in(&self.folder, name)
    }

    /// Keeps the debug information in a file of its own, of this name, and strips the program.
    fn stripped(program: &Path, debug: &str, link: bool) -> Stood {
        Self::prepared(program, &[], |exe| {
            let debug = exe.with_file_name(debug);
            fs::create_dir_all(debug.parent().expect("a folder")).expect("a folder");
            objcopy(&[Path::new("--only-keep-debug"), exe, &debug]);
            let add = format!("--add-gnu-debuglink={}", debug.display());
            let strip: &[&Path] = match link {
                true => &[Path::new("--strip-all"), Path::new(&add), exe],
                false => &[Path::new("--strip-all"), exe],
            };
            objcopy(strip);
        })
    }

    /// The frames of the program.
    fn frames(&self, options: &[&str]) -> Vec<Frame> {
        of_inspect(&json(&self.core, options), "app")
    }

    /// The program's build-id, in hexadecimal digits.
    fn build_id(&self) -> String {
        let modules = json(&self.core, &[])["modules"].clone();
        let mut modules = modules.as_array().expect("modules").iter();
        let own = modules.find(|module| module["path"] == self.exe.display().to_string());
        own.expect("the program")["build-id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// The build-id as Breakpad writes it: its first 16 bytes as a GUID, whose first three numbers are little-endian, and an age.
    fn breakpad_id(&self) -> String {
        let id = self.build_id();
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let digits = order.map(|at| &id[2 * at..2 * at + 2]);
        format!("{}0", digits.concat().to_uppercase())
    }

    /// Asserts that the frames of `lines.c` are known, with the lines and what is inlined.
    #[track_caller]
    fn assert_known(&self, options: &[&str]) {
        let frames = self.frames(options);
        let known: Vec<String> = frames
            .iter()
            .filter(|frame| frame.3 > 0)
            .map(|frame| format!("{}:{}", frame.1, frame.3))
            .collect();
        assert_eq!(known, EXPECTED, "{frames:?}");
    }

    /// Asserts that no line is known.
    #[track_caller]
    fn assert_unknown(&self, options: &[&str]) {
        let frames = self.frames(options);
        assert!(frames.iter().all(|frame| frame.3 == 0), "{frames:?}");
    }

    fn text(&self, options: &[&str]) -> String {
        inspect(&self.core, options).run_well().stdout
    }
}

fn objcopy(arguments: &[&Path]) {
    must(Command::new("objcopy").args(arguments));
}

/// The frames of `lines.c` with their lines, of both threads.
const EXPECTED: [&str; 10] = [
    "stands:16",
    "innermost:22",
    "inner:30",
    "outer:37",
    "main:68",
    "stands:16",
    "innermost:22",
    "inner:30",
    "outer:37",
    "works:49",
];

#[test]
fn frames_of_c_and_cpp_are_those_of_gdb() {
    for (program, arguments, fewest) in
        [(&C, &[][..], 10), (&C, &["signal"][..], 11), (&CPP, &[], 7)]
    {
        let stood = Stood::of(&compile(program), arguments);
        let frames = stood.frames(&[]);
        assert_eq!(frames, of_gdb(&stood.core, &stood.exe));
        assert!(
            frames.len() >= fewest && frames.iter().any(|frame| frame.4),
            "{frames:?}"
        );
    }
}

/// The standard library of Rust writes its names in another way than gdb; its lines are the same.
#[test]
fn frames_of_rust_are_those_of_gdb() {
    let stood = Stood::of(&compile(&RUST), &[]);
    let own = |mut frame: Frame| {
        if !frame.2.ends_with("lines.rs") {
            frame.1.clear();
        }
        frame
    };
    let frames: Vec<Frame> = stood.frames(&[]).into_iter().map(own).collect();
    let told = of_gdb(&stood.core, &stood.exe).into_iter().map(own);
    assert_eq!(frames, told.collect::<Vec<_>>());
    let names: Vec<&str> = frames.iter().map(|frame| &frame.1[..]).collect();
    for name in [
        "lines::stands",
        "lines::inner",
        "lines::outer",
        "lines::main",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn the_page_shows_a_frame_in_a_line_and_marks_what_is_inlined() {
    let stood = Stood::of(&compile(&C), &[]);
    let text = stood.text(&[]);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.contains("app!stands+"));
    let [stands, innermost, inner, outer] = lines[at.expect("a frame")..][..4] else {
        panic!("{text}");
    };
    assert!(stands.ends_with("(lines.c:16)"), "{text}");
    assert_eq!(innermost, "innermost  (lines.c:22)  inlined");
    assert_eq!(inner, "inner  (lines.c:30)  inlined");
    assert!(
        outer.contains("app!outer+") && outer.ends_with("(lines.c:37)"),
        "{text}"
    );
}

#[test]
fn lines_come_from_the_file_that_the_debuglink_names() {
    let stood = Stood::stripped(&compile(&C), "app.debug", true);
    stood.assert_known(&[]);
    // Another file of the same name: it is of another build, and that is said.
    let other = compile(&CPP);
    fs::copy(&other, stood.path("app.debug")).expect("a copy");
    stood.assert_unknown(&[]);
    assert!(
        stood.text(&[]).contains(
            "app: the files that were found with its debug information are of other builds"
        )
    );
}

/// Without a build-id, the checksum tells whether it is the file.
#[test]
fn a_debuglink_without_a_build_id_is_checked_by_its_sum() {
    let stood = Stood::stripped(&compile(&NO_BUILD_ID), ".debug/app.debug", true);
    stood.assert_known(&[]);
    let text = stood.text(&[]);
    let frame = text.lines().find(|line| line.contains("app!outer"));
    assert!(
        frame.is_some_and(|line| line.ends_with("(perhaps another build)")),
        "{text}"
    );
    let debug = stood.path(".debug/app.debug");
    let mut bytes = fs::read(&debug).expect("the debug file");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    fs::write(&debug, bytes).expect("the debug file");
    stood.assert_unknown(&[]);
}

#[test]
fn lines_come_from_folders_of_build_ids_and_from_files_by_name() {
    let stood = Stood::stripped(&compile(&C), "aside/app.debug", false);
    stood.assert_unknown(&[]);
    let (id, aside) = (stood.build_id(), stood.path("aside"));
    let symbols = |path: &Path| ["--symbols".to_owned(), path.display().to_string()];
    let known = |path: &Path| stood.assert_known(&symbols(path).each_ref().map(|word| &word[..]));
    known(&aside);
    known(&aside.join("app.debug"));
    let (first, rest) = id.split_at(2);
    for name in [
        format!(".build-id/{first}/{rest}.debug"),
        format!("{first}/{rest}.debug"),
        format!("{id}/debuginfo"),
    ] {
        let root = folder();
        let path = file_in(&root, &name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::copy(aside.join("app.debug"), &path).expect("a copy");
        known(root.path());
    }
}

/// A file that is named itself, and is of another build, is not used, and that is said.
#[test]
fn a_file_of_another_build_is_named_in_vain() {
    let stood = Stood::stripped(&compile(&C), "aside/app.debug", false);
    let other = compile(&CPP).display().to_string();
    let options = ["--symbols", &other];
    stood.assert_unknown(&options);
    let text = stood.text(&options);
    assert!(
        text.contains(&format!(
            "{other} of --symbols is of no module on these stacks"
        )),
        "{text}"
    );
}

#[test]
fn a_folder_for_symbols_that_is_not_there_is_an_error() {
    let stood = Stood::of(&compile(&C), &[]);
    for option in ["--symbols", "--sysroot"] {
        let run = inspect(&stood.core, &[option, "/nowhere/at/all"]).run();
        run.assert_code(1).assert_says("/nowhere/at/all");
    }
}

/// Distributions leave the names of all functions in a stripped program, packed by xz.
#[test]
fn names_come_from_what_is_packed_in_the_program() {
    let prepare = |exe: &Path| {
        let (mini, packed) = (exe.with_extension("mini"), exe.with_extension("mini.xz"));
        objcopy(&[Path::new("--only-keep-debug"), exe, &mini]);
        objcopy(&[Path::new("--strip-debug"), &mini]);
        must(Command::new("xz").arg("-k").arg(&mini));
        let add = format!(".gnu_debugdata={}", packed.display());
        objcopy(&[Path::new("--strip-all"), exe]);
        objcopy(&[Path::new("--add-section"), Path::new(&add), exe]);
        fs::remove_file(&mini).expect("it is there");
    };
    let stood = Stood::prepared(&compile(&C), &[], prepare);
    let frames = stood.frames(&[]);
    let names: Vec<&str> = frames.iter().map(|frame| &frame.1[..]).collect();
    for name in ["stands", "outer", "works"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

/// Distributions move what several debug files have in common into one more file.
#[test]
fn what_debug_files_share_is_read_too() {
    let aside = folder();
    let shared = file_in(&aside, "shared.debug");
    let prepare = |exe: &Path| {
        let other = file_in(&aside, "other");
        // Only what is there twice is worth sharing.
        fs::copy(exe, &other).expect("a copy");
        must(
            Command::new("dwz")
                .arg("-m")
                .arg(&shared)
                .arg("-M")
                .arg(&shared)
                .arg(exe)
                .arg(&other),
        );
    };
    let stood = Stood::prepared(&compile(&C), &[], prepare);
    assert!(shared.is_file());
    stood.assert_known(&[]);
    fs::remove_file(&shared).expect("it is there");
    let frames = stood.frames(&[]);
    assert!(frames.iter().all(|frame| frame.1 != "inner"), "{frames:?}");
}

#[test]
fn compressed_debug_information_is_read() {
    for kind in ["zlib", "zstd"] {
        let pack = format!("--compress-debug-sections={kind}");
        let prepare = |exe: &Path| objcopy(&[Path::new(&pack), exe]);
        Stood::prepared(&compile(&C), &[], prepare).assert_known(&[]);
    }
}

/// The program is gone from where it was; a copy of the machine has it.
#[test]
fn the_files_of_another_machine_are_below_its_root() {
    let stood = Stood::of(&compile(&C), &[]);
    let root = stood.path("root");
    let there = root.join(stood.exe.strip_prefix("/").expect("an absolute path"));
    fs::create_dir_all(there.parent().expect("a folder")).expect("a folder");
    fs::rename(&stood.exe, &there).expect("it moves");
    stood.assert_unknown(&[]);
    let root = root.display().to_string();
    stood.assert_known(&["--sysroot", &root]);
    // What is here is of this machine, and not used.
    fs::rename(&there, &stood.exe).expect("it moves");
    stood.assert_unknown(&["--sysroot", &root]);
}

#[test]
fn what_was_exported_is_read_with_its_own_files() {
    let stood = Stood::of(&compile(&C), &[]);
    let pack = stood.path("pack.tar.gz");
    Firstchance::new(&["dumps", "export"])
        .arg(&stood.core)
        .arg("-o")
        .arg(&pack)
        .run_well();
    fs::remove_file(&stood.exe).expect("it is there");
    must(
        Command::new("tar")
            .arg("-xzf")
            .arg(&pack)
            .arg("-C")
            .arg(stood.folder.path()),
    );
    let packed = stood.path("app/app.core");
    let frames = of_inspect(&json(&packed, &[]), "app");
    assert!(
        frames
            .iter()
            .any(|frame| frame.1 == "inner" && frame.3 == 30),
        "{frames:?}"
    );
}

#[test]
fn a_debuginfod_server_is_asked_only_if_that_is_wanted_and_once() {
    let stood = Stood::stripped(&compile(&C), "aside/app.debug", false);
    let path = format!("/buildid/{}/debuginfo", stood.build_id());
    let content = fs::read(stood.path("aside/app.debug")).expect("the debug file");
    let server = Server::with(HashMap::from([(path.clone(), content)]));
    let cache = stood.path("cache").display().to_string();
    let ask = |options: &[&str], urls: &str| {
        let run = inspect(&stood.core, options)
            .env("DEBUGINFOD_URLS", urls)
            .env("DEBUGINFOD_CACHE_PATH", &cache)
            .args(&["--json"])
            .run_well();
        let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
        of_inspect(&json, "app")
            .iter()
            .any(|frame| frame.1 == "inner" && frame.3 == 30)
    };
    assert!(!ask(&[], &server.url), "nobody has asked for it");
    assert!(server.asked().is_empty());
    assert!(ask(&["--debuginfod", &server.url], ""));
    assert!(server.asked().contains(&path));
    let before = server
        .asked()
        .iter()
        .filter(|asked| **asked == path)
        .count();
    assert!(ask(&["--debuginfod"], &server.url), "it is kept");
    let after = server
        .asked()
        .iter()
        .filter(|asked| **asked == path)
        .count();
    assert_eq!((before, after), (1, 1));
    fs::remove_dir_all(&cache).expect("the cache");
    assert!(ask(
        &["--debuginfod"],
        &format!("ima:enforcing {}/", server.url)
    ));
}

/// A server that gives another file, one that fails, and one that is not there: nothing is believed, and it is said.
#[test]
fn what_a_server_gives_is_not_believed_unless_it_is_of_the_build() {
    let stood = Stood::stripped(&compile(&C), "aside/app.debug", false);
    let path = format!("/buildid/{}/debuginfo", stood.build_id());
    let other = fs::read(compile(&CPP)).expect("a program");
    let wrong = Server::with(HashMap::from([(path, other)]));
    let cache = stood.path("cache").display().to_string();
    let text = |url: &str| {
        let run = inspect(&stood.core, &["--debuginfod", url])
            .env("DEBUGINFOD_CACHE_PATH", &cache)
            .run_well();
        run.stdout
    };
    let told = text(&wrong.url);
    assert!(!told.contains("lines.c"), "{told}");
    assert!(
        told.contains(
            "app: the files that were found with its debug information are of other builds"
        ),
        "{told}"
    );
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let told = text(&nobody);
    assert!(
        told.contains(&format!("{nobody} could not be asked")),
        "{told}"
    );
    let run = inspect(&stood.core, &["--debuginfod"]).run();
    run.assert_code(1)
        .assert_says("DEBUGINFOD_URLS names no server");
}

#[test]
fn what_is_no_url_is_no_server() {
    let run = Firstchance::new(&["inspect", "--debuginfod", "app.core"]).run();
    assert_ne!(run.code, Some(0));
    run.assert_says("put the option behind the file");
}

/// A symbol file of Breakpad, written by hand: it has its own lines, so that they come from nowhere else.
#[test]
fn lines_come_from_a_symbol_file_of_breakpad() {
    let program = compile(&C);
    let stood = Stood::stripped(&program, "aside/app.debug", false);
    let names = said(Command::new("nm").arg("-S").arg(&program));
    let id = stood.breakpad_id();
    let mut records = format!("MODULE Linux x86_64 {id} app\nFILE 0 /src/by_hand.c\n");
    for line in names.lines() {
        // address size type name
        if let [address, size, _, name] = line.split_whitespace().collect::<Vec<_>>()[..]
            && ["outer", "stands"].contains(&name)
        {
            let line = name.len() + 100;
            records += &format!("FUNC {address} {size} 0 {name}\n{address} {size} {line} 0\n");
        }
    }
    let file = stood.path("app.sym");
    fs::write(&file, records).expect("a symbol file");
    for symbols in [&*file, stood.folder.path()] {
        let frames = stood.frames(&["--symbols", &symbols.display().to_string()]);
        for (name, line) in [("stands", 106), ("outer", 105)] {
            let told = frames.iter().filter(|frame| frame.1 == name);
            let told: Vec<_> = told.map(|frame| (&frame.2[..], frame.3)).collect();
            assert_eq!(told, [("/src/by_hand.c", line); 2], "{frames:?}");
        }
    }
}

fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
