//! Shared memory: how much of it counts as a process's own, and that a dump has what the process has not touched itself.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Child, Core, Dumped, Firstchance, Program, compile, file_in, folder, lldb, readelf,
};

const SHARES: Program = Program::c("shares.c");
const VIEWS: Program = Program::c("views.c");
const MANY_VIEWS: Program = Program::c("many_views.c");
const HALF: u64 = 2 << 20;

/// Shared anonymous memory, System V shared memory, memfd and /dev/shm. What others have written is there, what nobody
/// has is not, and the dump makes no pages.
#[test]
fn n50_shared_memory_that_others_have_written_is_in_the_dump() {
    for kind in ["--full", "--plus"] {
        let exe = compile(&SHARES);
        let mut child = Child::start(&mut Command::new(&exe));
        let line = child.line();
        let mut words = line.split_whitespace();
        let size_before = words.next_back().expect("a number").to_owned();
        let starts = starts_in(&line);
        let dumped = Dumped::with(child.pid(), &[kind]);
        let core = Core::new(&dumped.path, &exe);
        for (number, start) in starts.iter().enumerate() {
            let pattern = u64::from_ne_bytes([b'A' + number as u8; 8]);
            for at in [0, HALF / 2, HALF - 8] {
                assert_eq!(core.word(start + at), Some(pattern), "{kind} {number} {at}");
            }
        }
        let size = std::fs::metadata(&dumped.path).expect("a file").len();
        assert!((4 * HALF..6 * HALF).contains(&size), "{size}");
        child.tell("now");
        assert_eq!(child.line(), size_before);
    }
}

/// The kernel has forgotten what a dead process had mapped. What others have is found with them, and by its id.
#[test]
fn n50_shared_memory_of_a_dead_process_is_that_of_those_who_have_it() {
    let folder = folder();
    let (starts, dump, record) = full_dump_of_one_that_dies("beside", &folder);
    let core = Core::new(&dump, &compile(&SHARES));
    for (number, start) in starts.iter().enumerate() {
        let pattern = u64::from_ne_bytes([b'A' + number as u8; 8]);
        assert_eq!(core.word(start + HALF / 2), Some(pattern), "{number}");
    }
    assert_eq!(record["gap-count"], 0, "{record}");
}

/// Zeros would be wrong values.
#[test]
fn n12_shared_memory_of_a_dead_process_that_nobody_else_has_cannot_be_read_and_is_a_gap() {
    let folder = folder();
    let (starts, dump, record) = full_dump_of_one_that_dies("dies", &folder);
    let core = Core::new(&dump, &compile(&SHARES));
    let words = starts.iter().map(|start| core.word(start + HALF / 2));
    let segment = Some(u64::from_ne_bytes([b'B'; 8]));
    assert_eq!(words.collect::<Vec<_>>(), [None, segment, None, None]);
    assert_eq!(record["gap-count"], 3, "{record}");
}

/// Where it had shared memory, its dump, and the record of that.
fn full_dump_of_one_that_dies(
    how: &str,
    folder: &tempfile::TempDir,
) -> (Vec<u64>, std::path::PathBuf, serde_json::Value) {
    let mut child = Child::that_crashes(compile(&SHARES), &[how]);
    let starts = starts_in(&child.line());
    let watch = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do", "full dump", "-o"])
        .arg(folder.path());
    let watch = watch.spawn().until_it_says("\"event\":\"effective\"");
    child.tell("die");
    let run = watch.finish();
    run.assert_code(0);
    let record = run.events("dump").remove(0);
    let dump = record["path"].as_str().expect("a path").into();
    (starts, dump, record)
}

pub(crate) fn starts_in(line: &str) -> Vec<u64> {
    let words = line.split_whitespace().take(4);
    let start = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16);
    words.map(|word| start(word).expect("an address")).collect()
}

/// Of private data of a file without a name, what the process has not touched is nowhere else.
#[test]
fn n50_untouched_private_data_of_files_without_a_name_is_in_the_dump() {
    const MAPS: &str = "\
import ctypes, mmap, os, sys, tempfile
kept, size, files = [], 1 << 20, [os.memfd_create('data'), tempfile.TemporaryFile(dir='.').fileno()]
for fd in files:
    os.write(fd, b'S' * size)
    memory = mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    kept.append(memory)
    print(hex(ctypes.addressof(ctypes.c_char.from_buffer(memory))), flush=True)
print('ready', flush=True)
sys.stdin.read()
";
    let place = folder();
    let mut python = Command::new("python3");
    let child = Child::start(python.args(["-c", MAPS]).current_dir(place.path()));
    let lines = child.lines_until("ready");
    let dumped = Dumped::with(child.pid(), &["--full"]);
    let core = Core::alone(&dumped.path);
    for line in lines.iter().filter(|line| line.starts_with("0x")) {
        let start = starts_in(line)[0];
        let pattern = Some(u64::from_ne_bytes([b'S'; 8]));
        assert_eq!(core.word(start + 0x8000), pattern, "{line}");
    }
}

/// The last page of an object whose size is no whole number of pages has zeros behind its end: they are no gap. Pages that
/// lie behind it as a whole cannot be read by the process either, and are none.
#[test]
fn n45_behind_the_end_of_shared_memory_there_is_no_gap() {
    let mut python = Command::new("python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/odd_sizes.py"));
    let child = Child::start(&mut python);
    let lines = child.lines_until("ready");
    let objects: Vec<(u64, u64)> = lines.iter().filter_map(|line| object(line)).collect();
    assert_eq!(objects.len(), 6, "{lines:?}");
    let ends = |(start, size): &(u64, u64)| {
        let end = start + size.next_multiple_of(4096);
        [*start, start + size - 8, start + size, end - 8]
    };
    let addresses: Vec<u64> = objects.iter().flat_map(ends).collect();
    let written = Some(u64::from_ne_bytes([b'x'; 8]));
    for kind in [&["--full"][..], &["--plus"], &["--custom", "0x7f"]] {
        let dumped = Dumped::with(child.pid(), kind);
        assert!(!dumped.run.stdout.contains("gap"), "{:#?}", dumped.run);
        let words = Core::alone(&dumped.path).words(&addresses);
        for (object, words) in objects.iter().zip(words.chunks(4)) {
            let expected = [written, written, Some(0), Some(0)];
            assert_eq!(words, expected, "{kind:?} {object:?}");
        }
    }
}

/// Where an object is mapped, and its size in bytes.
fn object(line: &str) -> Option<(u64, u64)> {
    let (start, size) = line.strip_prefix("0x")?.split_once(' ')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    Some((start, size.parse().ok()?))
}

/// To a `coredump_filter`, memory whose file has no name is anonymous, as in the kernel's cores and gcore's.
#[test]
fn n45_shared_memory_without_a_named_file_is_in_a_dump_by_the_filter() {
    let exe = compile(&SHARES);
    let child = Child::start(&mut Command::new(&exe));
    let line = child.line();
    let starts = starts_in(&line);
    let dumped = Dumped::with(child.pid(), &["--custom", "0x33"]);
    let core = Core::new(&dumped.path, &exe);
    for (number, start) in starts.into_iter().enumerate() {
        let pattern = u64::from_ne_bytes([b'A' + number as u8; 8]);
        assert_eq!(core.word(start), Some(pattern), "{number}: {line}");
    }
}

/// Maps 64 MiB of a kind of shared memory, touches all of it, and starts so many processes that touch it too.
const SHARER: &str = "
import mmap, os, sys
kind, others, size = sys.argv[1], int(sys.argv[2]), 64 << 20
if kind == 'memfd':
    fd = os.memfd_create('heap')
elif kind == 'tmpfs':
    path = '/dev/shm/firstchance-test-%d' % os.getpid()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
else:
    fd = -1
if fd >= 0: os.ftruncate(fd, size)
memory = mmap.mmap(fd, size, mmap.MAP_SHARED)
def touch():
    for at in range(0, size, 4096): memory[at] = 1
touch()
ready, go_on = os.pipe(), os.pipe()
for _ in range(others):
    if os.fork() == 0:
        os.close(go_on[1])
        touch()
        os.write(ready[1], b'x')
        # Ends with the first process, which alone has the other end.
        os.read(go_on[0], 1)
        os._exit(0)
for _ in range(others): os.read(ready[0], 1)
print('ready', flush=True)
sys.stdin.readline()
";

fn sharer(kind: &str, others: u32) -> Child {
    let mut command = Command::new("python3");
    let child = Child::start(command.args(["-c", SHARER, kind, &others.to_string()]));
    assert_eq!(child.line(), "ready");
    child
}

/// What a watch shows as the value of a level.
fn value_of(pid: u32, level: &str) -> String {
    shown_value(Firstchance::new(&[]), pid, level)
}

/// What a watch that is started in this way shows as the value of a level.
pub(crate) fn shown_value(program: Firstchance, pid: u32, level: &str) -> String {
    let folder = folder();
    let running = program
        .args(&["watch", &pid.to_string(), "--json", "--when", level])
        .args(&["--poll", "100ms", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"status\"");
    running.signal(libc::SIGINT);
    let run = running.finish();
    let of_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let mut lines = run.stdout.lines().map(of_json);
    let status = lines.find(|line| line["event"] == "status");
    let status = status.expect("it said so");
    let value = status["conditions"][0]["value"].as_str();
    value.expect("a value").to_owned()
}

fn mebibytes(pid: u32, level: &str) -> f64 {
    let value = value_of(pid, level);
    let number = value.strip_suffix("MiB").and_then(|n| n.parse().ok());
    number.unwrap_or_else(|| panic!("{level}: {value}"))
}

#[test]
fn n25_shared_memory_that_is_the_programs_own_counts_as_its_memory() {
    for kind in ["memfd", "tmpfs", "anonymous"] {
        let child = sharer(kind, 0);
        let memory = mebibytes(child.pid(), "memory > 1TiB");
        // The interpreter itself has some MiB.
        assert!((64.0..96.0).contains(&memory), "{kind}: {memory} MiB");
    }
}

#[test]
fn n25_memory_that_several_processes_share_counts_once_in_all() {
    let child = sharer("memfd", 3);
    let memory = mebibytes(child.pid(), "memory > 1TiB");
    assert!((16.0..48.0).contains(&memory), "{memory} MiB");
    // ProcDump for Linux counts what is resident, in each process in full.
    let linux = mebibytes(child.pid(), "rss+swap > 1TiB");
    assert!((64.0..112.0).contains(&linux), "{linux} MiB");
}

/// The heap of ZGC lies in a memfd, which it maps three times: `RssShmem` is three times its size.
fn with_zgc() -> Child {
    let classes = compile(&Program::java("Idle.java"));
    let mut java = Command::new("java");
    java.args([
        "-XX:+UseZGC",
        "-Xms256m",
        "-Xmx256m",
        "-XX:+AlwaysPreTouch",
        "-cp",
    ]);
    let java = Child::start(java.arg(classes).arg("Idle"));
    java.lines_until("ready");
    java
}

#[test]
fn n25_the_heap_of_zgc_counts_and_counts_once() {
    let mut java = with_zgc();
    let memory = mebibytes(java.pid(), "memory > 1TiB");
    assert!((256.0..500.0).contains(&memory), "{memory} MiB");
    java.end_input();
}

/// Its dump has the heap once, and Java goes on before that is written.
#[test]
fn s3_the_heap_of_zgc_is_put_aside_and_written_once() {
    let (folder, mut java) = (folder(), with_zgc());
    let path = file_in(&folder, "x.core");
    let dump = Firstchance::new(&["dump", "--full", "--json", &java.pid().to_string(), "-o"]);
    let run = dump.arg(&path).run_well();
    let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
    assert_eq!(record["method"], "clone", "{record}");
    assert_eq!(record["gap-count"], 0, "{record}");
    let mib = std::fs::metadata(&path).expect("a core").len() >> 20;
    assert!((256..600).contains(&mib), "{mib} MiB");
    java.end_input();
}

const PAGE: u64 = 4096;
/// For each mapping of the object of `views.c`, the number of its first page. It has so many pages.
const FIRST_PAGES: [u64; 3] = [0, 0, 4096];
const PAGES: u64 = 6144;
/// What exists of the object, in bytes.
const EXISTS: u64 = (10240 - 1024) * PAGE;

/// Pages of each mapping, at the bounds of what others have touched and map: addresses, and the words there.
fn words_of_views(starts: &[u64]) -> (Vec<u64>, Vec<Option<u64>>) {
    let mut words = Vec::new();
    for (start, first) in starts.iter().zip(FIRST_PAGES) {
        for page in [0, 1, 2047, 3072, 4095, 4096, 5119, 5120, 6143, 6144, 10239] {
            if (first..first + PAGES).contains(&page) {
                let word = u64::from(b'V') << 56 | page;
                words.push((start + (page - first) * PAGE + PAGE - 8, Some(word)));
            }
        }
    }
    words.into_iter().unzip()
}

/// As Java's ZGC maps its heap. Every page is there at each address, and in the file once, however the dump is taken.
#[test]
fn s3_memory_that_is_mapped_several_times_is_in_the_dump_once() {
    let folder = folder();
    let child = Child::start(&mut Command::new(compile(&VIEWS)));
    let line = child.line();
    let starts = starts_in(line.trim_end_matches(" ready"));
    let (addresses, words) = words_of_views(&starts);
    for options in [
        &["--clone"][..],
        &["--hold"],
        &["--clone", "--compress", "zstd"],
    ] {
        let path = file_in(&folder, "x.core");
        let dump = Firstchance::new(&["dump", "--full", "--json", "--overwrite"]).args(options);
        let run = dump.args(&[&child.pid().to_string(), "-o"]).arg(&path);
        let record: serde_json::Value =
            serde_json::from_str(&run.run_well().stdout).expect("a record");
        assert_eq!(record["gap-count"], 0, "{options:?}: {record}");
        let path = std::path::PathBuf::from(record["path"].as_str().expect("a path"));
        let taken = std::fs::metadata(&path).expect("a dump").blocks() * 512;
        assert!(taken < EXISTS + EXISTS / 4, "{options:?}: {taken}");
        let plain = match options.contains(&"zstd") {
            true => unpacked(&path),
            false => path,
        };
        let size = std::fs::metadata(&plain).expect("a core").len();
        assert!((EXISTS..EXISTS + EXISTS / 4).contains(&size), "{size}");
        judge_views(&plain, &starts, &addresses, &words);
    }
}

/// A stream has no holes, and is read as a file is.
#[test]
fn s3_memory_that_is_mapped_several_times_is_in_a_stream_once() {
    let folder = folder();
    let child = Child::start(&mut Command::new(compile(&VIEWS)));
    let line = child.line();
    let starts = starts_in(line.trim_end_matches(" ready"));
    let path = file_in(&folder, "x.core");
    let mut command = Command::new(env!("CARGO_BIN_EXE_firstchance"));
    let pid = child.pid().to_string();
    command.args(["dump", "--full", &pid, "-o", "-"]);
    let status = command.stdout(std::fs::File::create(&path).expect("a file"));
    assert!(status.status().expect("it runs").success());
    let size = std::fs::metadata(&path).expect("a core").len();
    assert!((EXISTS..EXISTS + EXISTS / 4).contains(&size), "{size}");
    let (addresses, words) = words_of_views(&starts);
    judge_views(&path, &starts, &addresses, &words);
}

fn unpacked(path: &Path) -> std::path::PathBuf {
    let plain = path.with_extension("plain");
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-d", "-f"])
        .arg(path)
        .arg("-o")
        .arg(&plain);
    assert!(zstd.status().expect("zstd runs").success());
    plain
}

/// What gdb, lldb, readelf and we ourselves read of a core.
fn judge_views(core: &Path, starts: &[u64], addresses: &[u64], words: &[Option<u64>]) {
    assert_eq!(Core::new(core, &compile(&VIEWS)).words(addresses), words);
    let reads: Vec<String> = addresses
        .iter()
        .map(|address| format!("memory read --size 8 --format x --count 1 {address:#x}"))
        .collect();
    let commands: Vec<&str> = reads.iter().map(String::as_str).collect();
    let found = lldb(core, None, &commands);
    for (address, word) in addresses.iter().zip(words) {
        let wanted = format!("{address:#x}: {:#018x}", word.unwrap_or_default());
        assert!(found.contains(&wanted), "{wanted}: {found}");
    }
    let headers = readelf(&["--segments"], core);
    assert!(!headers.contains("Warning"), "{headers}");
    let seen = Firstchance::new(&["inspect", "--json"]).arg(core);
    let seen: serde_json::Value = serde_json::from_str(&seen.run_well().stdout).expect("JSON");
    assert_eq!(seen["warnings"], serde_json::json!([]), "{seen}");
    for (start, exists) in starts.iter().zip([PAGES - 1024, PAGES - 1024, PAGES]) {
        let regions = seen["regions"].as_array().expect("regions");
        let start = format!("{start:#x}");
        let region = regions
            .iter()
            .find(|region| region["start"] == start.as_str());
        let region = region.unwrap_or_else(|| panic!("{start}: {regions:?}"));
        assert_eq!(region["dumped-bytes"], exists * PAGE, "{region}");
    }
}

/// A process that shows one object by so many mappings, and where three views of it begin.
fn with_many_mappings(count: u64) -> (Child, Vec<u64>) {
    let mut command = Command::new(compile(&MANY_VIEWS));
    let child = Child::start(command.arg(count.to_string()).arg("split"));
    let line = child.line();
    (child, starts_in(line.trim_end_matches(" ready")))
}

/// Only the first 4096 were looked at.
#[test]
fn n50_an_object_of_many_mappings_is_whole_by_each() {
    const COUNT: u64 = 12_000;
    let (child, starts) = with_many_mappings(COUNT);
    let dumped = Dumped::with(child.pid(), &["--full", "--hold"]);
    let stdout = &dumped.run.stdout;
    assert!(
        !stdout.contains("gap") && !stdout.contains("left out"),
        "{stdout}"
    );
    let core = Core::new(&dumped.path, &compile(&MANY_VIEWS));
    for start in starts {
        let pages = [0, 1, 4095, 4096, 4097, COUNT - 1];
        let words = core.words(&pages.map(|page| start + page * PAGE));
        assert_eq!(words, pages.map(|page| Some(u64::from(b'V') << 56 | page)));
    }
}

/// The pages of an object were looked at once more for each mapping: a process of 51,200 stood for twelve seconds.
#[test]
fn s2_the_pause_grows_with_the_number_of_mappings_and_not_with_its_square() {
    let folder = folder();
    let pause = |count: u64| {
        let (child, _) = with_many_mappings(count);
        let dump = Firstchance::new(&["dump", "--full", "--hold", "--json", "--overwrite"]);
        let dump = dump.args(&[&child.pid().to_string(), "-o"]);
        let run = dump.arg(file_in(&folder, "x.core")).run_well();
        let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
        record["pause-ms"].as_f64().expect("a time")
    };
    let best = |count| (0..3).map(|_| pause(count)).fold(f64::INFINITY, f64::min);
    let (of_few, of_many) = (best(6000), best(24_000));
    println!("{of_few} ms of 6000 mappings, {of_many} ms of 24,000");
    assert!(of_many < 8.0 * of_few, "{of_few} ms, {of_many} ms");
}
