//! Files that the dumped process has mapped: in a full core, each is whole or absent.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::dump_refuse::{NOBODY, folder_of_nobody, public_copy, public_folder};
use crate::shared_memory::starts_in;

use crate::support::{
    Child, Core, Dumped, Firstchance, Program, Tmpfs, compile, file_in, folder, judge, proc_status,
    wait_until,
};

const HEAP: Program = Program::java("Heap.java");
/// The number of objects of the class `Heap$Marker`.
const MARKERS: &str = "12345";

/// Starts a Java program with this collector. Its perf data would be mapped, too, and change by itself.
fn java(collector: &str) -> Child {
    let mut java = Command::new("java");
    java.args([
        &format!("-XX:+Use{collector}"),
        "-Xmx64m",
        "-XX:-UsePerfData",
    ]);
    let child = Child::start(java.arg("-cp").arg(compile(&HEAP)).arg("Heap"));
    assert_eq!(child.line(), "ready");
    child
}

fn jhsdb(words: &[&str], dumped: &Dumped) -> String {
    judge("jhsdb", "default-jdk-headless");
    let exe = std::fs::canonicalize("/usr/bin/java").expect("Java is installed");
    let mut jhsdb = Command::new("jhsdb");
    jhsdb.args(words).arg("--exe").arg(exe);
    let output = jhsdb.arg("--core").arg(&dumped.path).output();
    String::from_utf8_lossy(&output.expect("jhsdb runs").stdout).into_owned()
}

#[test]
fn n11_jhsdb_opens_full_cores_of_each_collector() {
    for collector in ["SerialGC", "G1GC", "ZGC"] {
        let child = java(collector);
        let dumped = Dumped::full(child.pid());
        let stacks = jhsdb(&["jstack"], &dumped);
        for expected in [
            "\"order-worker\"",
            "\"billing-worker\"",
            "Found a total of 1 deadlock",
        ] {
            assert!(stacks.contains(expected), "{collector}: {stacks}");
        }
        // The jmap of Java 17 counts nothing in any process with ZGC.
        if collector == "ZGC" {
            continue;
        }
        let histogram = jhsdb(&["jmap", "--histo"], &dumped);
        let line = histogram.lines().find(|line| line.ends_with("Heap$Marker"));
        let count = line.and_then(|line| line.split_whitespace().nth(1));
        assert_eq!(count, Some(MARKERS), "{collector}: {histogram}");
    }
}

/// Compares, in gdb, each page of some ranges in a core with those of another file. Prints how many pages the other
/// has that are not all zeros, and how many of them differ.
const COMPARE: &str = "
import gdb
pages = differ = 0
with open('OTHER', 'rb') as other:
    for address, offset, size in [RANGES]:
        for at in range(0, size, 4096):
            other.seek(offset + at)
            page = other.read(min(4096, size - at))
            if not any(page):
                continue
            pages += 1
            try:
                core = bytes(gdb.selected_inferior().read_memory(address + at, len(page)))
            except gdb.MemoryError:
                core = b''
            differ += core != page
print('compared', pages, differ)
";

/// A range of addresses, with its offset in a file: `(address, offset, size)`.
type Part = (u64, u64, u64);

/// Compares parts of a core with another file. Returns how many pages were compared.
fn compared(core: &Path, other: &Path, parts: &[Part]) -> u64 {
    let ranges: Vec<String> = parts.iter().map(|part| format!("{part:?}")).collect();
    let script = COMPARE.replace("RANGES", &ranges.join(", "));
    let script = script.replace("OTHER", &other.display().to_string());
    let folder = folder();
    let file = folder.path().join("compare.py");
    std::fs::write(&file, script).expect("a script for gdb");
    let answer = Core::alone(core).gdb(&[&format!("source {}", file.display())]);
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("compared "));
    let (pages, differ) = line.and_then(|line| line.split_once(' ')).expect(&answer);
    assert_eq!(differ, "0", "of {pages} pages");
    pages.parse().expect("a number")
}

/// The mappings of a process whose line in its list has this text, as parts of their file.
fn mappings(pid: u32, text: &str) -> Vec<Part> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let lines = maps.lines().filter(|line| line.contains(text));
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let parts = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = words[0].split_once('-').expect("a range");
        (hex(start), hex(words[2]), hex(end) - hex(start))
    });
    parts.collect()
}

#[test]
fn n11_a_zgc_heap_is_in_the_core_page_by_page() {
    let child = java("ZGC");
    child.signal(libc::SIGSTOP);
    let is_stopped =
        || proc_status(child.pid(), "State").is_some_and(|state| state.starts_with('T'));
    wait_until("it stands", is_stopped);
    let dumped = Dumped::full(child.pid());
    let heap = mappings(child.pid(), "memfd:java_heap");
    let in_memory: Vec<Part> = heap.iter().map(|&(at, _, size)| (at, at, size)).collect();
    let memory = PathBuf::from(format!("/proc/{}/mem", child.pid()));
    let pages = compared(&dumped.path, &memory, &in_memory);
    assert!(pages > 200, "{pages}");
}

/// A copy of a library, and a process that has loaded it, after which the copy was deleted.
#[test]
fn n11_a_library_that_was_deleted_is_whole() {
    let files = folder();
    let libraries = [
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/usr/lib64/libstdc++.so.6",
    ];
    let library = libraries.iter().find(|path| Path::new(path).exists());
    let (kept, deleted) = (files.path().join("kept"), files.path().join("deleted.so"));
    for copy in [&kept, &deleted] {
        std::fs::copy(library.expect("libstdc++"), copy).expect("a copy");
    }
    let child = maps_files(&deleted, &[]);
    let before = resident_kib(child.pid());
    let dumped = Dumped::full(child.pid());
    // Python itself may touch a page until it waits.
    let grown = resident_kib(child.pid()) - before;
    assert!(grown < 200, "{grown} KiB of pages were made in the target");
    let all = mappings(child.pid(), "deleted.so (deleted)");
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.pid())).expect("it lives");
    assert!(all.len() > 3, "{maps}");
    // The data that was relocated differs from the file.
    let code: Vec<Part> = all[..3].to_vec();
    let pages = compared(&dumped.path, &kept, &code);
    assert!(pages > 400, "{pages}");
}

fn resident_kib(pid: u32) -> i64 {
    let told = proc_status(pid, "VmRSS").expect("it lives");
    let number = told.split_whitespace().next().expect("a number");
    number.parse().expect("a number")
}

/// A process that has mapped files and touched a page of each, and has loaded a library and deleted it.
fn maps_files(library: &Path, files: &[&Path]) -> Child {
    let mut python = Command::new("python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/maps_files.py"));
    let child = Child::start(python.arg(library).args(files));
    assert_eq!(child.line(), "ready");
    child
}

#[test]
fn n11_other_files_are_whole_or_absent_and_named() {
    let files = folder();
    let (small, large) = (
        files.path().join("small.dat"),
        files.path().join("large.dat"),
    );
    let content: Vec<u8> = (0..1 << 20).map(|at: u32| (at >> 8) as u8 | 1).collect();
    std::fs::write(&small, content).expect("a file");
    let made = std::fs::File::create(&large).and_then(|file| file.set_len(300 << 20));
    made.expect("a sparse file");
    let child = maps_files(Path::new("-"), &[&small, &large]);
    let dumped = Dumped::full(child.pid());
    let pages = compared(&dumped.path, &small, &mappings(child.pid(), "small.dat"));
    assert_eq!(pages, 256);
    let size = std::fs::metadata(&dumped.path).expect("a dump").len();
    assert!(size < 100 << 20, "{size}");
    let name = large.display().to_string();
    dumped.run.assert_says("lacks a mapped file of 315 MB");
    let told = Firstchance::new(&["inspect"])
        .arg(&dumped.path)
        .arg("record");
    told.run_well().assert_says(&name);
}

const POSES: Program = Program::c("poses.c");

/// A process has a file of the same name and inode as one that it cannot read, and the kernel does not show which file
/// it has mapped. Root must not be led to the other one.
#[test]
fn n11_a_process_does_not_get_a_file_that_it_cannot_read() {
    let folder = public_folder();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let disk = Tmpfs::on(&disk, "1m");
    std::fs::set_permissions(disk.path(), Permissions::from_mode(0o755)).expect("our own");
    let secret = disk.path().join("secret.txt");
    std::fs::write(&secret, "TOP-SECRET-4711 ".repeat(4096)).expect("a file");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("our own");
    let program = public_copy(&folder, &compile(&POSES));
    let mut command = Command::new(NOBODY[0]);
    command.args(&NOBODY[1..]).arg(&program);
    let child = Child::start(command.arg("pose").arg(disk.path()).arg(&secret));
    assert_eq!(child.line(), "ready");
    let dumped = Dumped::full(child.pid());
    let bytes = std::fs::read(&dumped.path).expect("a dump");
    let found = bytes.windows(15).any(|part| part == b"TOP-SECRET-4711");
    assert!(!found);
}

/// An open waits 45 s for the holder of a lease, who stands.
#[test]
fn n11_a_lease_does_not_hold_the_target() {
    let files = folder();
    let mut command = Command::new(compile(&POSES));
    let child = Child::start(command.arg("lease").arg(files.path().join("leased")));
    assert_eq!(child.line(), "ready");
    let dumped = Dumped::full(child.pid());
    assert!(
        dumped.run.took < Duration::from_secs(20),
        "{:?}",
        dumped.run
    );
    dumped
        .run
        .assert_says("1 of the mapped files could not be opened");
}

/// What a memfd has no content for is not made by the dump of a user who cannot open it.
#[test]
fn n11_a_dump_makes_no_memory_in_the_target() {
    let folder = public_folder();
    let program = public_copy(&folder, &compile(&POSES));
    let firstchance = public_copy(&folder, Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let mut command = Command::new(NOBODY[0]);
    let child = Child::start(command.args(&NOBODY[1..]).arg(&program));
    assert_eq!(child.line(), "ready");
    let before = resident_kib(child.pid());
    let dumps = folder_of_nobody(&folder);
    let dump = Firstchance::copy_by(NOBODY, &firstchance).args(&["dump", "--full"]);
    dump.args(&[&child.pid().to_string(), "-o"])
        .arg(dumps.join("x.core"))
        .run_well();
    let grown = resident_kib(child.pid()) - before;
    assert!(grown < 2000, "{grown} KiB");
}

/// What the files take counts, too, when it is judged whether there is room for a dump.
#[test]
fn n11_a_full_dump_that_does_not_fit_is_refused_before_the_process_is_stopped() {
    let child = maps_files(Path::new("-"), &[]);
    let dumped = Dumped::full(child.pid());
    let size = std::fs::metadata(&dumped.path).expect("a dump").len();
    let resident = u64::try_from(resident_kib(child.pid())).expect("a size") << 10;
    assert!(
        size > resident,
        "{size} bytes, of which {resident} are resident"
    );
    let disk = Tmpfs::new(&format!("{}k", ((size + resident) / 2) >> 10));
    let run = Firstchance::full_dump(child.pid(), &disk.path().join("x.core")).run();
    run.assert_code(6);
    run.assert_says("the dump needs about");
}

/// gdb opens each mapped file by its name, whatever is there by now, and hung so that only SIGKILL ended it.
#[test]
fn n37_a_dump_whose_file_is_a_fifo_by_now_is_not_given_to_a_debugger() {
    const MAPS: &str = "\
import mmap, sys
file = open('data', 'w+b')
file.write(b'A' * 8192); file.flush()
memory = mmap.mmap(file.fileno(), 8192)
print('ready', flush=True)
sys.stdin.read()
";
    let place = folder();
    let mut python = Command::new("python3");
    let child = Child::start(python.args(["-c", MAPS]).current_dir(place.path()));
    assert_eq!(child.line(), "ready");
    let dump = file_in(&place, "x.core");
    Firstchance::dump(child.pid(), &["--format", "core"], &dump).run_well();
    let data = file_in(&place, "data");
    std::fs::remove_file(&data).expect("a file");
    let made = Command::new("mkfifo").arg(&data).status();
    assert!(made.expect("mkfifo").success());
    let run = Firstchance::new(&["dumps", "open"]).arg(&dump).run();
    run.assert_code(1)
        .assert_says("is a pipe, a socket or a device now");
}

/// Anybody may have changed a file since: a small dump that had taken its name said what it holds today.
#[test]
fn n12_what_a_small_dump_leaves_out_of_files_cannot_be_read() {
    const MAPS: &str = "\
import ctypes, mmap, sys
file = open('data', 'w+b')
file.write(b'A' * 8192); file.flush()
def at(memory): return hex(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
writable = mmap.PROT_READ | mmap.PROT_WRITE
kept = [mmap.mmap(file.fileno(), 8192, flags, writable) for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE)]
kept.append(mmap.mmap(-1, 8192, mmap.MAP_PRIVATE, writable | mmap.PROT_EXEC))
kept[2].write(b'A' * 8192)
for memory in kept: print(at(memory))
print('ready', flush=True)
sys.stdin.read()
";
    let place = folder();
    let mut python = Command::new("python3");
    let child = Child::start(python.args(["-c", MAPS]).current_dir(place.path()));
    let lines = child.lines_until("ready");
    let lines = lines.iter().filter(|line| line.starts_with("0x"));
    let starts: Vec<u64> = lines.flat_map(|line| starts_in(line)).collect();
    assert_eq!(starts.len(), 3);
    let core = file_in(&place, "x.core");
    Firstchance::dump(child.pid(), &["--triage", "--format", "core"], &core).run_well();
    std::fs::write(file_in(&place, "data"), [b'Z'; 8192]).expect("a file");
    let words = Core::alone(&core).words(&starts);
    assert_eq!(words, [None, None, None], "{starts:x?}");
}
