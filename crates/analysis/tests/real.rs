//! Real processes, dumped by gdb's gcore and unwound here; gdb itself is the judge.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod core;

use analysis::{Candidates, DebugFile, End, FileBytes, Files, How, NoFiles, Stack, Stacks};
use snapshot::Module;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A running program and a folder for its files.
struct Victim {
    child: Child,
    program: PathBuf,
    folder: TempDir,
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have died of its own fault already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Victim {
    /// Compiles the program with these flags and starts it.
    fn start(how: &str, flags: &[&str]) -> Victim {
        let (folder, program) = compile(flags);
        Victim::run(folder, program, how)
    }

    /// Starts the program; returns when it stands where it will wait.
    fn run(folder: TempDir, program: PathBuf, how: &str) -> Victim {
        let mut command = Command::new(&program);
        let mut child = command.arg(how).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.as_mut().unwrap();
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        Victim {
            child,
            program,
            folder,
        }
    }

    fn core(&self) -> PathBuf {
        let prefix = self.folder.path().join("core");
        let pid = self.child.id().to_string();
        let output = Command::new("gcore")
            .arg("-o")
            .arg(&prefix)
            .arg(&pid)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.folder.path().join(format!("core.{pid}"))
    }

    /// The names of the functions on every thread's stack, as gdb sees them; threads in gdb's
    /// order, innermost function first.
    fn gdb(&self, core: &Path) -> Vec<Vec<String>> {
        let output = Command::new("gdb")
            // Without separate debug files, which would add inlined functions.
            .args(["-batch", "-nx", "-iex", "set debug-file-directory /nowhere"])
            .args(["-ex", "thread apply all -ascending bt 60"])
            .arg(&self.program)
            .arg(core)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let threads = text.split("\nThread ").skip(1);
        threads
            .map(|thread| thread.lines().filter_map(gdb_function).collect())
            .collect()
    }
}

fn compile(flags: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("calls");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/calls.c");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-g0", "-pthread", "-fcf-protection=none"])
        .args(flags);
    let status = compiler
        .arg(source)
        .arg("-o")
        .arg(&program)
        .status()
        .unwrap();
    assert!(status.success());
    (folder, program)
}

/// `#1  0x00005555 in middle (n=2)` is `middle`.
fn gdb_function(line: &str) -> Option<String> {
    let rest = line
        .strip_prefix('#')?
        .trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.trim_start();
    if rest.starts_with("<signal handler") {
        return Some("<signal handler called>".to_owned());
    }
    let rest = rest.split_once(" in ").map_or(rest, |(_, rest)| rest);
    Some(rest.split([' ', '(']).next()?.to_owned())
}

fn open(module: &Module) -> Option<FileBytes> {
    Some(Arc::new(std::fs::read(&module.path).ok()?))
}

fn walk(core: &Path, files: &dyn Files) -> Vec<Stack> {
    let (snapshot, memory) = core::read(std::fs::read(core).unwrap());
    let stacks = Stacks::new(&snapshot, &memory, files);
    snapshot
        .threads
        .iter()
        .map(|thread| stacks.of(thread))
        .collect()
}

fn names(stack: &Stack) -> Vec<String> {
    let name = |frame: &analysis::Frame| match &frame.symbol {
        _ if frame.is_signal_frame => "<signal handler called>".to_owned(),
        Some(symbol) => symbol.name.clone(),
        None => "??".to_owned(),
    };
    stack.frames.iter().map(name).collect()
}

/// Functions have several names in glibc; the plainest is as good as the one gdb picks.
fn same(ours: &str, theirs: &str) -> bool {
    let plain = |name: &str| {
        let name = name
            .trim_start_matches("__GI_")
            .trim_start_matches("__libc_");
        name.trim_start_matches('_').to_owned()
    };
    ours == "??" || plain(ours) == plain(theirs) || theirs == "??"
}

/// Our frames are gdb's, name for name, and none is guessed.
#[track_caller]
fn agrees_with_gdb(how: &str, flags: &[&str]) -> Vec<Stack> {
    let victim = Victim::start(how, flags);
    let core = victim.core();
    let stacks = walk(&core, &open);
    let theirs = victim.gdb(&core);
    assert_eq!(stacks.len(), theirs.len());
    for (stack, theirs) in stacks.iter().zip(&theirs) {
        let ours = names(stack);
        // gdb stops at main unless told otherwise.
        let upto = theirs
            .iter()
            .position(|name| name == "main")
            .map_or(theirs.len(), |n| n + 1);
        let pairs = ours.iter().zip(&theirs[..upto]);
        let agree = ours.len() >= upto && pairs.clone().all(|(o, t)| same(o, t));
        assert!(
            agree,
            "\nours   {ours:?}\ntheirs {theirs:?}\n{:?}",
            stack.frames
        );
    }
    stacks
}

fn has_all(stack: &Stack, functions: &[&str]) -> bool {
    let mut names = names(stack).into_iter();
    functions
        .iter()
        .all(|function| names.any(|name| name == *function))
}

#[test]
fn a_plain_stack_is_whole() {
    for flags in [
        &["-O2"][..],
        &["-O0"],
        &["-O2", "-static"],
        &["-O2", "-no-pie"],
    ] {
        let stacks = agrees_with_gdb("plain", flags);
        assert!(has_all(
            &stacks[0],
            &["wait_here", "inner", "middle", "outer", "main", "_start"]
        ));
        assert_eq!(
            stacks[0].end,
            End::Root,
            "{flags:?} {:?}",
            names(&stacks[0])
        );
        assert!(stacks[0].frames.iter().skip(1).all(|f| f.how == How::Cfi));
    }
}

#[test]
fn a_function_that_realigns_its_stack_is_passed() {
    let stacks = agrees_with_gdb("aligned", &["-O2", "-mavx"]);
    assert!(has_all(&stacks[0], &["outer", "aligned", "main"]));
}

#[test]
fn a_signal_handler_leads_back_to_what_it_interrupted() {
    for how in ["signal", "sigaltstack"] {
        let stacks = agrees_with_gdb(how, &["-O2"]);
        let way = [
            "outer",
            "on_signal",
            "<signal handler called>",
            "raise",
            "interrupted",
            "main",
        ];
        assert!(has_all(&stacks[0], &way), "{how} {:?}", names(&stacks[0]));
    }
}

#[test]
fn a_thread_ends_where_it_began() {
    let stacks = agrees_with_gdb("thread", &["-O2"]);
    assert_eq!(stacks.len(), 2);
    assert!(
        stacks
            .iter()
            .any(|s| has_all(s, &["wait_here", "outer", "run"]))
    );
    assert!(stacks.iter().all(|s| s.end == End::Root));
}

#[test]
fn an_endless_recursion_is_cut() {
    let victim = Victim::start("recurse", &["-O1", "-fno-optimize-sibling-calls"]);
    let stacks = walk(&victim.core(), &open);
    assert_eq!(stacks[0].frames.len(), 1024);
    assert_eq!(stacks[0].end, End::Limit(analysis::FRAME_LIMIT));
}

#[test]
fn without_tables_the_frame_pointer_leads_on() {
    let flags = [
        "-O1",
        "-fno-asynchronous-unwind-tables",
        "-fno-exceptions",
        "-fno-omit-frame-pointer",
    ];
    let stacks = agrees_with_gdb("plain", &flags);
    assert!(has_all(
        &stacks[0],
        &["wait_here", "inner", "middle", "outer", "main"]
    ));
    assert!(stacks[0].frames.iter().any(|f| f.how == How::FramePointer));
}

#[test]
fn without_anything_return_addresses_are_looked_for() {
    let flags = [
        "-O2",
        "-fno-asynchronous-unwind-tables",
        "-fomit-frame-pointer",
    ];
    let victim = Victim::start("plain", &flags);
    let stacks = walk(&victim.core(), &open);
    assert!(
        has_all(&stacks[0], &["wait_here", "middle", "outer", "main"]),
        "{:?}",
        names(&stacks[0])
    );
    assert!(stacks[0].frames.iter().any(|f| f.how == How::Scan));
}

#[test]
fn a_call_to_nowhere_shows_who_called() {
    let victim = Victim::start("plain", &["-O1"]);
    let core = victim.folder.path().join("crash");
    let output = Command::new("gdb")
        .args(["-batch", "-nx", "-ex", "run nowhere", "-ex"])
        .arg(format!("generate-core-file {}", core.display()))
        .arg(&victim.program)
        .output()
        .unwrap();
    assert!(core.exists(), "{output:?}");
    let stacks = walk(&core, &open);
    assert_eq!(stacks[0].frames[0].ip, 0);
    assert!(names(&stacks[0])[1..].starts_with(&["nowhere".to_owned(), "main".to_owned()]));
}

#[test]
fn the_programs_are_gone_and_the_memory_is_enough() {
    let victim = Victim::start("plain", &["-O2", "-rdynamic"]);
    // 0x3f: pages of files, too.
    let filter = format!("/proc/{}/coredump_filter", victim.child.id());
    std::fs::write(filter, "0x3f").unwrap();
    let stacks = walk(&victim.core(), &NoFiles);
    assert!(
        has_all(
            &stacks[0],
            &["wait_here", "inner", "middle", "outer", "main"]
        ),
        "{:?}",
        stacks[0]
    );
    assert!(stacks[0].frames.iter().skip(1).all(|f| f.how == How::Cfi));
}

/// The files of modules, and one with debug information.
struct Separate {
    path: String,
    /// The paths that were asked for.
    wanted: Mutex<Vec<String>>,
}

impl Files for Separate {
    fn images<'a>(&'a self, module: &'a Module) -> Candidates<'a> {
        Box::new(open(module).into_iter())
    }

    fn debug<'a>(&'a self, wanted: &'a DebugFile) -> Candidates<'a> {
        self.wanted.lock().unwrap().extend(wanted.paths());
        let bytes = std::fs::read(&self.path).ok();
        let bytes = bytes.filter(|_| wanted.paths().contains(&self.path));
        Box::new(bytes.into_iter().map(|bytes| Arc::new(bytes) as FileBytes))
    }
}

#[test]
fn names_come_from_the_separate_debug_file() {
    let (folder, path) = compile(&["-O2"]);
    let program = path.to_str().unwrap();
    let debug = format!("{program}.debug");
    for args in [
        &["--only-keep-debug", program, &debug][..],
        &[
            "--strip-all",
            &format!("--add-gnu-debuglink={debug}"),
            program,
        ],
    ] {
        assert!(
            Command::new("objcopy")
                .args(args)
                .status()
                .unwrap()
                .success()
        );
    }
    let victim = Victim::run(folder, path.clone(), "plain");
    let core = victim.core();
    let files = Separate {
        path: debug,
        wanted: Mutex::default(),
    };
    let stacks = walk(&core, &files);
    assert!(has_all(
        &stacks[0],
        &["wait_here", "inner", "middle", "outer", "main"]
    ));
    let without = walk(&core, &open);
    assert!(!has_all(&without[0], &["middle"]));
    let wanted = files.wanted.into_inner().unwrap();
    assert!(
        wanted
            .iter()
            .any(|path| path.starts_with("/usr/lib/debug/.build-id/"))
    );
}

/// Whatever is broken in a core or in the programs' files, the walk ends, and does not crash.
#[test]
fn broken_files_break_nothing() {
    let victim = Victim::start("signal", &["-O2"]);
    let core = std::fs::read(victim.core()).unwrap();
    let (snapshot, memory) = core::read(core);
    let program = std::fs::read(&victim.program).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..300 {
        let mut broken = program.clone();
        for _ in 0..1 + next() % 64 {
            let at = next() as usize % broken.len();
            broken[at] = next() as u8;
        }
        if next() % 4 == 0 {
            broken.truncate(next() as usize % broken.len());
        }
        let image = |_: &Module| Some(Arc::new(broken.clone()) as FileBytes);
        let stacks = Stacks::new(&snapshot, &memory, &image);
        let frames = stacks.of(&snapshot.threads[0]).frames;
        assert!((1..=1024).contains(&frames.len()));
    }
}
