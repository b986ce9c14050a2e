//! What other readers look for in a dump of Windows, read by the `minidump` crate.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use minidump::{
    Minidump, MinidumpHandleDataStream, MinidumpSystemInfo, MinidumpThreadInfoList,
    MinidumpThreadList,
};
use tempfile::TempDir;

use crate::machine::{firstchance, started, starting, victim, windows, windows_path};
use crate::others::{has_32_bits, program, started_narrow};
use crate::registry::{ON_A_SERVER, Place, Registry};
use crate::support::{Victim, folder, holds};

type Dump = Minidump<'static, Vec<u8>>;

fn open(path: &Path) -> Dump {
    let bytes = std::fs::read(path).expect("a dump");
    Minidump::read(bytes).expect("a minidump")
}

/// A dump of a process, by `firstchance dump OPTIONS`.
fn dumped(pid: &str, options: &[&str], folder: &TempDir) -> PathBuf {
    let path = folder.path().join(format!("{pid}.dmp"));
    let to = windows_path(&path);
    let dump = firstchance(&["dump"]).args(options);
    dump.args(&[pid, "-o", &to]).run_well();
    path
}

/// The block of parameters of a process, found as a reader finds it: by the TEB of the first thread.
struct Parameters {
    dump: Dump,
    pointer: u64,
    at: u64,
}

impl Parameters {
    /// `pointer` is the size of a pointer in the process, in bytes.
    fn of(dump: Dump, pointer: u64) -> Parameters {
        let threads = dump.get_stream::<MinidumpThreadList>().expect("threads");
        let teb = threads.threads[0].raw.teb;
        let mut found = Parameters {
            dump,
            pointer,
            at: 0,
        };
        // `ProcessEnvironmentBlock` of `_TEB`, and `ProcessParameters` of `_PEB`.
        let peb = found.word(teb + 12 * pointer);
        found.at = found.word(peb + 4 * pointer);
        found
    }

    fn bytes(&self, at: u64, size: u64) -> Vec<u8> {
        let memory = self.dump.get_memory().expect("memory");
        let range = memory.memory_at_address(at);
        let range = range.unwrap_or_else(|| panic!("{at:#x} is not in the dump"));
        let start = (at - range.base_address()) as usize;
        let bytes = range.bytes().get(start..start + size as usize);
        bytes.expect("all of it").to_vec()
    }

    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        word[..self.pointer as usize].copy_from_slice(&self.bytes(at, self.pointer));
        u64::from_le_bytes(word)
    }

    /// The `UNICODE_STRING` at this offset.
    fn text(&self, offset: u64) -> String {
        let length = self.word(self.at + offset) & 0xffff;
        let text = self.word(self.at + offset + self.pointer);
        match length {
            0 => String::new(),
            length => utf16(&self.bytes(text, length)),
        }
    }
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks().0.iter();
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16(&units).expect("UTF-16")
}

/// Python's `minidump` reads all of these, and stops at the first that is missing.
#[test]
fn n18_a_mini_dump_has_every_text_of_the_process_parameters() {
    let folder = folder();
    let victim = victim(&["threads", "1"]);
    let dump = dumped(&victim.pid_text(), &["--mini"], &folder);
    let found = Parameters::of(open(&dump), 8);
    // `_RTL_USER_PROCESS_PARAMETERS`: program, command line, title of the window, folder, path of
    // libraries, desktop.
    assert!(found.text(0x60).ends_with("victim.exe"));
    assert!(found.text(0x70).ends_with("threads 1"));
    assert!(!found.text(0xb0).is_empty());
    assert!(!found.text(0x38).is_empty());
    for offset in [0x50, 0xc0, 0xd0] {
        found.text(offset);
    }
    let (environment, size) = (found.word(found.at + 0x80), found.word(found.at + 0x3f0));
    let environment = utf16(&found.bytes(environment, size));
    assert!(environment.contains("PATH="), "{environment}");
}

#[test]
fn n18_the_threads_of_a_32_bit_process_have_their_32_bit_tebs() {
    if !has_32_bits() {
        println!("this Wine has no 32 bits");
        return;
    }
    let folder = folder();
    let target = started_narrow(&folder);
    let dump = dumped(&target.pid_text(), &["--mini"], &folder);
    let found = Parameters::of(open(&dump), 4);
    assert!(found.text(0x38).ends_with("narrow.exe"));
    assert!(found.text(0x40).contains("narrow.exe"));
    let threads = found.dump.get_stream::<MinidumpThreadList>();
    let threads = threads.expect("threads").threads;
    for thread in threads {
        let teb = thread.raw.teb;
        // `NtTib.Self` and `ClientId`.
        assert_eq!(found.word(teb + 0x18), teb);
        assert_eq!(found.word(teb + 0x24), u64::from(thread.raw.thread_id));
    }
}

#[test]
fn n18_threads_have_the_time_of_their_begin_and_their_processors() {
    let folder = folder();
    let before = SystemTime::now() - Duration::from_secs(1);
    let victim = victim(&["threads", "2"]);
    let dump = open(&dumped(&victim.pid_text(), &[], &folder));
    let infos = dump.get_stream::<MinidumpThreadInfoList>().expect("infos");
    let threads = dump.get_stream::<MinidumpThreadList>().expect("threads");
    for thread in &threads.threads {
        let info = infos.get_thread_info(thread.raw.thread_id);
        let info = &info.expect("an entry for each thread").raw;
        // A FILETIME: units of 100 ns since 1601.
        let nanoseconds = (info.create_time - 116_444_736_000_000_000) * 100;
        let begun = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        assert!(before < begun && begun <= SystemTime::now(), "{begun:?}");
        assert_ne!(info.affinity, 0);
        assert_eq!((info.exit_status, info.exit_time), (0x103, 0));
    }
}

/// `wProductType` and `wSuiteMask`.
fn edition(dump: &Path) -> (u8, u16) {
    let dump = open(dump);
    let info = dump.get_stream::<MinidumpSystemInfo>().expect("it").raw;
    (info.product_type, info.suite_mask)
}

/// Wine tells a program that it is on a server if its registry says so for the program's name.
#[test]
fn n18_a_server_is_called_a_server() {
    let (registry, dumps, place) = (Registry::clean(), folder(), Place::new());
    let program = place.path("on-a-server.exe");
    std::fs::rename(place.path("firstchance.exe"), &program).expect("a new name");
    registry.set(ON_A_SERVER, "Version", "REG_SZ", "win2008");
    let victim = victim(&["idle"]);
    let [here, there] = ["here.dmp", "there.dmp"].map(|name| dumps.path().join(name));
    let dump = ["dump", &victim.pid_text(), "-o"];
    let on_server = windows(&program, &dump).arg(windows_path(&here));
    on_server.run_well();
    firstchance(&dump).arg(windows_path(&there)).run_well();
    // VER_NT_SERVER with VER_SUITE_SINGLEUSERTS, and VER_NT_WORKSTATION.
    assert_eq!(edition(&here), (3, 0x100));
    assert_eq!(edition(&there).0, 1);
}

#[test]
fn n18_processor_and_handles_are_described_as_the_system_describes_them() {
    let (programs, dumps) = (folder(), folder());
    let target = started(&program(&programs, "windows.c"), &[]);
    let ours = open(&dumped(&target.pid_text(), &["--full"], &dumps));
    let raw = ours.get_stream::<MinidumpSystemInfo>().expect("it").raw;
    // PF_XMMI_INSTRUCTIONS_AVAILABLE and PF_RDTSC_INSTRUCTION_AVAILABLE: every 64-bit processor has them.
    assert_eq!(raw.cpu.data[0] & 0x40, 0x40);
    assert_eq!(raw.cpu.data[1] & 0x01, 0x01);
    let handles = ours.get_stream::<MinidumpHandleDataStream>();
    let handles = handles.expect("handles").handles;
    let events = handles
        .iter()
        .filter(|handle| handle.type_name.as_deref() == Some("Event"));
    let sole = events.filter(|handle| handle.raw.handle_count() == Some(&1));
    assert!(sole.count() >= 100, "a hundred events with a handle each");
}

#[test]
fn n18_the_comment_is_the_command_line_as_it_was_typed() {
    let folder = folder();
    let victim = victim(&["idle"]);
    let to = windows_path(&folder.path().join("a name.dmp"));
    let pid = victim.pid_text();
    let procdump = firstchance(&["procdump", "-ma", "-dc", "two words", &pid, &to]);
    procdump.run_well();
    let dump = open(&folder.path().join("a name.dmp"));
    let comment =
        dump.get_raw_stream(minidump::format::MINIDUMP_STREAM_TYPE::CommentStreamW as u32);
    let comment = utf16(comment.expect("a comment"));
    let asked = format!("\n*** procdump -ma -dc \"two words\" {pid} \"{to}\"\n*** ");
    assert!(comment.starts_with(&asked), "{comment}");
    assert!(comment.contains("\ntwo words"), "{comment}");
}

/// As `n14_…` of the tests on Linux: other kinds have the secrets, so that the search would find them.
#[test]
fn n14_a_triage_dump_holds_nothing_of_what_it_promises_to_leave_out() {
    let (programs, dumps) = (folder(), folder());
    let secrets = program(&programs, "secrets.c");
    let mut command = starting(&secrets, &["secret-4711"]);
    let target = Victim::start_by(command.env("TOKEN", "secret-4711-environment"));
    let target = target.known_here_as_its_starter();
    for (kind, format) in [
        ("--triage", "minidump"),
        ("--triage", "core"),
        ("--full", "minidump"),
    ] {
        let path = dumped(&target.pid_text(), &[kind, "--format", format], &dumps);
        let bytes = std::fs::read(&path).expect("a dump");
        for place in ["", "-heap", "-variable", "-environment"] {
            let secret = format!("secret-4711{place}");
            let expected = match kind {
                "--triage" => [false, false],
                _ => [true, true],
            };
            assert_eq!(
                holds(&bytes, &secret),
                expected,
                "{secret} in {kind} {format}"
            );
        }
        std::fs::remove_file(path).expect("removed");
    }
}
