//! Functions of Python and Go in dumps, judged by what these languages print of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Child, Firstchance, Program, compile, file_in, folder, wait_until};
use serde_json::Value;

/// A function, its file and line.
type Place = (String, String, u64);

const GOROUTINES: Program = Program::go("goroutines.go");
const STRIPPED: Program = Program::go("goroutines.go").with(&["build", "-ldflags=-s"]);

fn inspected(path: &Path) -> Value {
    let run = Firstchance::new(&["inspect", "--json"])
        .arg(path)
        .run_well();
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn text_of(path: &Path) -> String {
    Firstchance::new(&["inspect"]).arg(path).run_well().stdout
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |list| list)
}

fn place(frame: &Value) -> Place {
    let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
    let line = frame["line"].as_u64().unwrap_or_default();
    (text("function"), text("file"), line)
}

/// The functions of a language in the frames of a thread.
fn functions(thread: &Value) -> Vec<Place> {
    let frames = list(&thread["frames"]).iter();
    let functions = frames.flat_map(|frame| list(&frame["language"]));
    functions.map(place).collect()
}

fn thread_of(dump: &Value, id: u64) -> &Value {
    let mut threads = list(&dump["threads"]).iter();
    threads
        .find(|thread| thread["id"] == id)
        .expect("the thread")
}

/// All interpreters of this machine: that of the system, and those that pyenv has built.
fn pythons() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let root =
        std::env::var_os("PYENV_ROOT").map_or(Path::new(&home).join(".pyenv"), PathBuf::from);
    let built = std::fs::read_dir(root.join("versions"))
        .into_iter()
        .flatten();
    let built = built
        .flatten()
        .map(|version| version.path().join("bin/python3"));
    let known = built.filter(|python| minor(python).is_some_and(|minor| (8..=13).contains(&minor)));
    known.chain([PathBuf::from("/usr/bin/python3")]).collect()
}

/// The second number of the version of an interpreter.
fn minor(python: &Path) -> Option<u32> {
    let script = "import sys; print(sys.version_info[1])";
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// What the program told of its threads.
fn told(child: &Child) -> BTreeMap<u64, Vec<Place>> {
    let mut threads: BTreeMap<u64, Vec<Place>> = BTreeMap::new();
    for line in child.lines_until("ready") {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        if let ["frame", thread, line, file, function] = words[..] {
            let frame = (
                function.to_owned(),
                file.to_owned(),
                line.parse().expect("a line"),
            );
            threads
                .entry(thread.parse().expect("a thread"))
                .or_default()
                .push(frame);
        }
    }
    threads
}

/// The qualified name of a function ends with its name, which is what a traceback has. A mini dump need not have the tables of lines.
fn assert_same(own: &[Place], told: &[Place], what: &str) {
    let is_it = |(own, told): (&Place, &Place)| {
        let name = own.0.rsplit('.').next().unwrap_or_default();
        name == told.0 && own.1 == told.1 && own.2 == told.2
    };
    let are_same = own.len() == told.len() && own.iter().zip(told).all(is_it);
    assert!(are_same, "{what}:\n{own:#?}\nPython says:\n{told:#?}");
}

/// Each thread that stands has the frames of Python's own traceback, and they stand in the frames of the interpreter's loop.
#[test]
fn python_functions_are_those_of_its_own_traceback() {
    for python in pythons() {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/tells_its_stacks.py");
        let child = Child::start(Command::new(&python).arg(script));
        let told = told(&child);
        assert_eq!(told.len(), 2, "{python:?}: {told:?}");
        let folder = folder();
        for (options, name) in [
            (&["--full", "--format", "core"][..], "x.core"),
            (&["--mini"], "x.dmp"),
        ] {
            let path = file_in(&folder, name);
            Firstchance::dump(child.pid(), options, &path).run_well();
            let dump = inspected(&path);
            for (thread, frames) in &told {
                let found = thread_of(&dump, *thread);
                assert_same(&functions(found), frames, &format!("{python:?} {name}"));
                let loops = list(&found["frames"])
                    .iter()
                    .filter(|f| !list(&f["language"]).is_empty());
                assert!(
                    loops.clone().all(|f| f["function"]
                        .to_string()
                        .contains("_PyEval_EvalFrameDefault")),
                    "{python:?}: {found}"
                );
                assert!(loops.count() > 1, "{python:?}: {found}");
            }
            let main = list(&dump["threads"])[0]["exceptions"].to_string();
            assert!(
                main.contains("handles ValueError \\\"no such customer\\\""),
                "{python:?}: {main}"
            );
            let text = text_of(&path);
            assert!(!text.contains("Languages    not in the dump:"), "{text}");
            assert!(
                text.contains("Python: stand  (tells_its_stacks.py:14)"),
                "{text}"
            );
            assert!(
                text.contains(" times more"),
                "a recursion is folded: {text}"
            );
        }
    }
}

/// Of threads that run Python at once, one has the lock of the interpreter, and the others wait for it.
#[test]
fn who_waits_for_the_gil_is_told_and_who_has_it() {
    for python in pythons() {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/tells_its_stacks.py");
        let child = Child::start(Command::new(&python).arg(script).arg("burn"));
        child.lines_until("ready");
        let folder = folder();
        // The lock is free for a moment whenever it changes hands.
        wait_until("a dump shows who has the lock", || {
            let path = file_in(&folder, "x.dmp");
            Firstchance::dump(child.pid(), &["--mini", "--overwrite"], &path).run_well();
            let dump = inspected(&path);
            let threads = list(&dump["threads"]);
            let waits = || {
                threads
                    .iter()
                    .filter(|t| t["waits"]["what"].to_string().contains("for the GIL"))
            };
            let owners: BTreeSet<u64> = waits()
                .filter_map(|t| t["waits"]["owner"].as_u64())
                .collect();
            assert!(owners.len() <= 1, "{owners:?}");
            let is_running = |id: &u64| {
                let owner = threads.iter().find(|t| t["id"] == *id).expect("the owner");
                functions(owner).iter().any(|(name, _, _)| name == "burn")
            };
            owners.iter().any(is_running) && waits().count() >= 2
        });
    }
}

/// What Go printed of its goroutines: what they do, their frames, and who made them.
#[derive(Debug, Default)]
struct Told {
    state: String,
    frames: Vec<Place>,
    creator: Option<Place>,
}

/// Reads a traceback of Go (`runtime/traceback.go`): "goroutine 18 [chan receive]:", then a line for each function, each with a line for
/// its place, which begins with a tab.
fn traceback(text: &str) -> BTreeMap<u64, Told> {
    let mut goroutines: BTreeMap<u64, Told> = BTreeMap::new();
    let (mut current, mut function) = (None, String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("goroutine ")
            && let Some((head, state)) = rest.split_once('[')
        {
            let id = head
                .split(' ')
                .next()
                .and_then(|id| id.parse().ok())
                .expect("a number");
            let state = state
                .split([']', ','])
                .next()
                .unwrap_or_default()
                .to_owned();
            goroutines.insert(
                id,
                Told {
                    state,
                    ..Told::default()
                },
            );
            current = Some(id);
        } else if line.is_empty() {
            current = None;
        } else if let Some(told) = current.and_then(|id| goroutines.get_mut(&id)) {
            let place = line
                .strip_prefix('\t')
                .and_then(|place| place.split(' ').next());
            match place.and_then(|place| place.rsplit_once(':')) {
                Some((file, line)) => told.add(&function, file, line.parse().expect("a line")),
                None => function = line.to_owned(),
            }
        }
    }
    goroutines
}

impl Told {
    fn add(&mut self, function: &str, file: &str, line: u64) {
        if let Some(creator) = function.strip_prefix("created by ") {
            let creator = creator.split(" in goroutine").next().unwrap_or_default();
            self.creator = Some((creator.to_owned(), file.to_owned(), line));
        } else {
            let arguments = function.rfind('(').unwrap_or(function.len());
            let name = match &function[..arguments] {
                "panic" => "runtime.gopanic",
                name => name,
            };
            self.frames.push((name.to_owned(), file.to_owned(), line));
        }
    }
}

/// All goroutines are told with the frames of Go's own traceback, whether the program has symbols or not.
#[test]
fn goroutines_are_those_of_go_s_own_traceback() {
    for (program, options) in [
        (&GOROUTINES, &["--full", "--format", "core"][..]),
        (&STRIPPED, &["--full", "--format", "core"]),
        (&GOROUTINES, &["--mini"]),
    ] {
        let folder = folder();
        let said = file_in(&folder, "stderr");
        let mut command = Command::new(compile(program));
        command.env("GOTRACEBACK", "system");
        let mut child = Child::start(command.stderr(File::create(&said).expect("a file")));
        child.line();
        let path = file_in(&folder, "x.dump");
        Firstchance::dump(child.pid(), options, &path).run_well();
        child.signal(libc::SIGQUIT);
        child.wait();
        let told = traceback(&std::fs::read_to_string(&said).expect("a traceback"));
        let dump = inspected(&path);
        let goroutines = list(&dump["goroutines"]);
        let ids: BTreeSet<u64> = goroutines.iter().filter_map(|g| g["id"].as_u64()).collect();
        assert_eq!(ids, told.keys().copied().collect(), "{:?}", program.options);
        assert!(ids.len() >= 24, "{ids:?}");
        for goroutine in goroutines {
            assert_is_told(
                goroutine,
                &told[&goroutine["id"].as_u64().expect("a number")],
            );
        }
        let text = text_of(&path);
        assert!(
            text.contains("  20 goroutines · waiting: chan receive: "),
            "{text}"
        );
        assert!(
            text.contains("created by main.main  (goroutines.go:"),
            "{text}"
        );
        let are_whole = goroutines
            .iter()
            .all(|goroutine| goroutine["whole"] == true);
        assert_eq!(
            are_whole,
            !text.contains("Languages    the stacks of "),
            "{text}"
        );
        if options.contains(&"--full") {
            assert!(are_whole, "{text}");
            assert_c_is_joined(&dump);
        }
    }
}

fn assert_is_told(goroutine: &Value, told: &Told) {
    let frames: Vec<Place> = list(&goroutine["frames"]).iter().map(place).collect();
    let creator = Some(place(&goroutine["creator"])).filter(|creator| !creator.0.is_empty());
    assert_eq!(creator, told.creator, "{goroutine}");
    match goroutine["state"].as_str() {
        // Go stops it for the traceback, in code that it has not been in before.
        Some("running") => assert!(
            frames.iter().any(|frame| frame.0 == "main.spin"),
            "{frames:?}"
        ),
        // Go tells it from where it left for C, and the innermost line is the one before.
        Some("syscall") => {
            let outer = told.frames.get(1..).expect("frames");
            assert!(frames.ends_with(outer), "{frames:#?} {told:#?}");
        }
        state => {
            let what = goroutine["reason"].as_str().or(state);
            assert_eq!(what, Some(&told.state[..]));
            // A mini dump need not have its stack.
            let told_here = if goroutine["whole"] == true {
                &told.frames[..]
            } else {
                &told.frames[..frames.len()]
            };
            assert_eq!(frames, told_here, "{told:#?}");
        }
    }
}

/// A thread in C stands on its own stack; what called it stands on that of the goroutine.
fn assert_c_is_joined(dump: &Value) {
    let names = |thread: &Value| -> Vec<String> {
        let frames = list(&thread["frames"]).iter();
        frames.map(|frame| place(frame).0).collect()
    };
    let mut threads = list(&dump["threads"]).iter().map(names);
    let joined = threads.find(|names| names.iter().any(|name| name == "main.inC"));
    let joined = joined.unwrap_or_else(|| panic!("no thread in main.inC: {dump}"));
    assert!(joined.iter().any(|name| name.contains("nap")), "{joined:?}");
}

/// The function that faults has no frame of its own, and is in the stack nevertheless. That of a stack overflow is behind a switch of
/// stacks.
#[test]
fn a_function_without_a_frame_is_in_the_stack_of_a_go_panic() {
    for options in [&["build"][..], &["build", "-ldflags=-s"]] {
        let exe = compile(&Program::go("go_faults.go").with(options));
        for (mode, innermost) in [("nil", "main.pay"), ("endless", "main.endless")] {
            let folder = folder();
            let path = file_in(&folder, "x.core");
            let path_text = path.to_str().expect("UTF-8");
            let words = [
                "--when",
                "unhandled exception",
                "--do",
                "full dump",
                "--output",
                path_text,
                "--",
            ];
            let run = Firstchance::new(&["run"])
                .args(&words)
                .arg(&exe)
                .args(&[mode]);
            let run = run.env("GOTRACEBACK", "system").run();
            let dump = inspected(&path);
            let thread = &dump["fault"]["thread"];
            let mut threads = list(&dump["threads"]).iter();
            let thread = threads
                .find(|found| found["id"] == *thread)
                .expect("the thread");
            let frames: Vec<Place> = list(&thread["frames"]).iter().map(place).collect();
            let first = frames.iter().position(|frame| frame.0.starts_with("main."));
            let first = first.unwrap_or_else(|| panic!("{frames:?}"));
            assert_eq!(frames[first].0, innermost, "{frames:#?}");
            if mode == "nil" {
                let told = traceback(&run.stderr);
                let told = told
                    .values()
                    .find(|told| told.state == "running")
                    .expect("one that panics");
                assert!(
                    frames.ends_with(&told.frames),
                    "{frames:#?}\nGo says:\n{told:#?}"
                );
            }
        }
    }
}

/// What a dump says of its runtimes may be anything: it is read as far as it goes, and never for long.
#[test]
fn damaged_runtimes_are_read_as_far_as_they_go() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/tells_its_stacks.py");
    let mut python = Command::new("/usr/bin/python3");
    python.arg(script);
    for command in [&mut python, &mut Command::new(compile(&GOROUTINES))] {
        let child = Child::start(command);
        child.lines_until("ready");
        let folder = folder();
        let path = file_in(&folder, "x.core");
        Firstchance::dump(child.pid(), &["--plus", "--format", "core"], &path).run_well();
        let whole = std::fs::read(&path).expect("a core");
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        for _ in 0..20 {
            let mut broken = whole.clone();
            // Behind the notes, which tell the threads and the modules: pointers and lengths.
            let head = whole.len() / 8;
            for _ in 0..whole.len() / 400 {
                let at = head + next(whole.len() - head);
                broken[at] = next(256) as u8;
            }
            std::fs::write(&path, broken).expect("a broken core");
            Firstchance::new(&["inspect"]).arg(&path).run_well();
        }
    }
}
